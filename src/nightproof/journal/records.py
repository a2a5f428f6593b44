"""What the journal records, as plain data that any store can keep.

Named tuples, not dataclasses: seventeen dataclasses would be a good part of the time to the first step.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple
from zlib import crc32

from nightproof.journal.quotas import SpendQuota
from nightproof.model.identity import ProcessIdentity
from nightproof.model.states import EffectState, Kind, RunStatus


class Entry(NamedTuple):
    """One line of a run's history.

    `at` is milliseconds since the epoch, `took` microseconds, `code` the id of a
    :class:`CodeRow` (0 for none). `output` is JSON; where it is large, `blob`
    holds ``<sha256 hex>`` instead. `crc` covers fingerprint, output and blob.
    """

    run: int
    seq: int
    kind: int
    code: int
    fp: bytes
    at: int
    took: int
    inputs: bytes | None
    output: bytes | None
    blob: str | None
    crc: int


def checksum(fp: bytes, output: bytes | None, blob: str | None) -> int:
    """The checksum that an entry carries, to notice damage inside a page."""
    value = crc32(fp)
    if output:
        value = crc32(output, value)
    if blob:
        value = crc32(blob.encode(), value)
    return value


def intact(entry: Entry) -> bool:
    """Whether the entry is what was written."""
    return checksum(entry.fp, entry.output, entry.blob) == entry.crc


class Recorded(NamedTuple):
    """What a resume loads of an entry at first; `output` only where it is short."""

    seq: int
    kind: int
    code: int
    fp: bytes
    size: int
    output: bytes | None
    blob: str | None


class CodeRow(NamedTuple):
    """A step or job body: its name and the digest of its code."""

    id: int
    name: str
    digest: str


class Boot(NamedTuple):
    """The first thing a process writes: it has started, before user code is imported."""

    id: int
    at: int
    process: ProcessIdentity
    command: str
    stage: str = "boot"


class Wanted(NamedTuple):
    """The run that a caller wants to own; it is created if it does not exist.

    `replicate` 0 is the run itself, -1 the next free replicate. `reopen` asks for a
    completed run too: its result was lost and is worked out again from its history.
    """

    job: str
    digest: str
    contract: bytes
    replicate: int = 0
    target: str = ""
    code: str = ""
    parent: int | None = None
    options: bytes = b"{}"
    reopen: bool = False


class Owner(NamedTuple):
    """Who claims: the process, the boot it belongs to, and for how long (milliseconds)."""

    process: ProcessIdentity
    boot: int
    lease_ms: int


class RunRow(NamedTuple):
    """A run as the store has it. Times are milliseconds since the epoch."""

    id: int
    name: str
    job: str
    digest: str
    replicate: int
    contract: bytes
    target: str
    code: str
    parent: int | None
    options: bytes
    status: RunStatus
    created: int
    updated: int
    finished: int | None
    wake: int | None
    waiting: str
    result: bytes | None
    result_blob: str | None
    error: bytes | None
    token: int
    owner: ProcessIdentity | None
    beat: int
    lease_until: int
    cancel: bool
    attempts: int
    result_crc: int | None = None
    """Of `result`, to notice damage inside a page; None where an older schema wrote it."""


def run_name(job: str, digest: str, replicate: int = 0) -> str:
    """The public name of a run: job, contract and replicate, nothing of chance."""
    identity = sha256(f"{job}\x00{digest}".encode()).hexdigest()[:10]
    base = f"{job.replace('_', '-')}-{identity}"
    return f"{base}.{replicate}" if replicate else base


class Claimed(NamedTuple):
    """The answer to a claim.

    `owned` is False for a finished run, or where another attempt is in possession
    (then `run.owner` says who). `before` is the status that the claim found;
    None for a new run.
    """

    run: RunRow
    owned: bool
    before: RunStatus | None


class EffectRow(NamedTuple):
    """An effect in the global ledger."""

    key: str
    name: str
    run: int
    state: EffectState
    digest: bytes
    inputs: bytes
    tries: int
    at: int
    output: bytes | None
    blob: str | None
    error: str
    run_name: str = ""
    trying: bytes | None = None
    """Of an intent: who tries it, as nightproof/journal/trying.py encodes it."""


class AttemptRow(NamedTuple):
    """One process's try at a run."""

    run: int
    n: int
    boot: int
    started: int
    ended: int | None
    outcome: str
    process: ProcessIdentity


LOST = "lost by Temporal"
"""The outcome of an attempt that did nothing but give a run back whose workflow is no more."""


def was_distant(attempts: Sequence[AttemptRow]) -> bool:
    """Whether the last of these attempts at a run was on Temporal."""
    real = [one for one in attempts if one.outcome != LOST]
    return bool(real) and real[-1].process.is_workflow


class SignalRow(NamedTuple):
    """A signal that was sent to a run and not yet taken."""

    id: int
    run: int
    name: str
    payload: bytes
    at: int


class Finish(NamedTuple):
    """Ends an attempt: the run's new status, and its lease given back."""

    status: RunStatus
    at: int
    outcome: str
    result: bytes | None = None
    result_blob: str | None = None
    error: bytes | None = None
    wake: int | None = None
    waiting: str = ""
    code: str = ""


class Settle(NamedTuple):
    """Sets the state of an effect, with its result where there is one.

    With `seen` only where the ledger still has that number of tries and that state: whoever
    decides about another's try must not undo what became of it meanwhile.
    """

    key: str
    state: EffectState
    at: int
    output: bytes | None = None
    blob: str | None = None
    error: str = ""
    seen: tuple[int, EffectState] | None = None


class UseBlob(NamedTuple):
    """The run refers to a blob."""

    digest: str
    size: int


class TakeSignal(NamedTuple):
    """The run has consumed a signal."""

    id: int


class Pause(NamedTuple):
    """Shows what a run waits for ("" that it goes on) while its owner keeps it.

    For an engine that distributes: `wake` (milliseconds) only informs.
    """

    at: int
    waiting: str
    wake: int | None = None


class Forget(NamedTuple):
    """In a run that several processes write: the entry is the outcome of its fingerprint no more.

    So that another can be written, where what it refers to is lost or has expired. Nothing
    happens where the outcome is another entry by now.
    """

    fp: bytes
    seq: int


Write = Finish | Settle | UseBlob | TakeSignal | CodeRow | SpendQuota | Pause | Forget


class LaneBatch(NamedTuple):
    """What one run wants written in one commit, fenced by its token.

    With `shared` several processes write the run under one token: the store numbers the
    entries itself, in the order of commits, and leaves out an outcome of a fingerprint
    that has one already (see :func:`counts`).
    """

    run: int
    token: int
    entries: Sequence[Entry] = ()
    writes: Sequence[Write] = ()
    shared: bool = False


NEVER_OUTCOMES = (Kind.RETRY, Kind.WAIT, Kind.UNDONE, Kind.REOPENED)
"""Kinds of which a run may have many entries with one fingerprint."""


def counts(kind: int, fp: bytes) -> bool:
    """Whether an entry is the outcome of its fingerprint, of which there is one in a shared run."""
    return bool(fp) and kind not in NEVER_OUTCOMES


def event(run: int, seq: int, at: int, data: bytes, fp: bytes = b"") -> Entry:
    """An entry that only informs: a log line, a measure, a divergence."""
    return Entry(run, seq, Kind.EVENT, 0, fp, at, 0, None, data, None, checksum(fp, data, None))


class Collected(NamedTuple):
    """What a retention pass removed."""

    runs: int
    entries: int
    names: tuple[str, ...] = ()


class RunFilter(NamedTuple):
    """Which runs to list; newest first.

    `since` (included) and `until` (not) are times of creation in milliseconds, `before` is an
    id that only older runs are listed of, `own` leaves out child runs and replicates, `again`
    everything but replicates (of jobs that nobody calls), `text` is part of the name or of the contract's JSON. With `brief` the rows come without their
    contract and result: those may be large.
    """

    job: str | None = None
    status: tuple[RunStatus, ...] = ()
    parent: int | None = None
    limit: int = 50
    finished_before: int | None = None
    since: int | None = None
    until: int | None = None
    before: int | None = None
    own: bool = False
    digest: str | None = None
    text: str = ""
    brief: bool = False
    again: bool = False
