"""What workflow and activities say to each other: plain JSON, the same for every version.

Bytes that are JSON travel as text, others as base64 under a key that ends in ``64``.
Fingerprints are hex. Times are seconds since the epoch, unless a name ends in ``_ms``.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from nightproof.engines.temporal.parts import (
    Failure,
    Head,
    Held,
    Refused,
    Rest,
    RunOptions,
    Told,
)
from nightproof.model.fingerprint import fingerprint

BEGIN, END = "nightproof.begin", "nightproof.end"
RECALL = "nightproof.recall"
TAKE, ARTIFACT = "nightproof.take", "nightproof.artifact"
PAUSE, FLUSH = "nightproof.pause", "nightproof.flush"
"""Activity types of their own; every other one is the name of a step or effect."""

INDEX_LIMIT = 100_000
"""So many outcomes are in the index that a workflow begins with."""
UNKNOWN_STEP = "UnknownStep"
OUTAGE = "Outage"
"""Types of the retryable errors: another worker may know the step, the store may come back."""


class BeginAsk(TypedDict):
    """Claim the run and say what is on record."""

    job: str
    contract: str
    """Its JSON."""
    replicate: int
    options: RunOptions
    strict: bool
    remembered: str
    """What the run row keeps as options (JSON): folder, stall, effects, isolate."""
    parent: int | None
    target: str
    workflow: str
    """The workflow's id."""
    started_ms: int
    """When this execution began: a later one takes the run over from an earlier one."""
    token: int | None
    """Of the execution that continued as this one: it is the same attempt; else None."""
    notes: dict[str, dict[str, Any]]
    """What the log says of this attempt, by the kind of the entry."""


IndexRow = list[Any]
"""``[fp, seq, kind, code, size, output | None, blob | None]``; output (JSON text) where short.

Kinds are outcomes and WAIT, as engines/attempt/ledger.py:Ledger.recorded has them: failures
and undone results of a reopened run are left out already. A result whose `blob` is set, whose
`size` is more than its output, or whose step has Refs is got by its activity.
"""


class RunFacts(TypedDict):
    """What the workflow needs of the run row."""

    id: int
    name: str
    digest: str
    token: int
    created_ms: int
    replicate: int
    attempts: int
    parent: int | None


class BeginAnswer(TypedDict, total=False):
    """Either `refused`, or `recorded` (the run is complete), or the rest."""

    refused: Refused
    recorded: OutcomeAnswer
    run: RunFacts
    before: str | None
    """The status that the claim found; None for a new run."""
    cancelled: bool
    """Somebody has asked to cancel it."""
    waiting: str
    """What its row says that it waits for; "" where it does not."""
    index: list[IndexRow]
    cut: bool
    """There is more on record than in the index: activities look it up."""
    codes: dict[str, tuple[str, str]]
    """``{id: (name, digest)}`` of the code on record; changes are noted by :func:`change_fp`."""
    undone: list[str]
    damaged: int
    last_seq: int
    told: Told
    code: str
    """The digest of the job's code that the worker has."""


class StepAsk(TypedDict):
    """Run (or read) one step, effect or expiring value."""

    head: Head
    op: Literal["step", "effect", "mint"]
    step: str
    module: str
    """Of its function: where two steps have one name."""
    args: list[str]
    """The stored arguments in the order of their parameters, JSON text (``Arguments.parts``
    before substitution of expiring values)."""
    fp: str
    occurrence: int
    """How many equal calls came before: the worker computes the same fingerprint."""
    label: NotRequired[str]


class ChunkAsk(TypedDict):
    """Run some items of a map."""

    head: Head
    op: Literal["chunk"]
    step: str
    module: str
    common: list[str]
    """The stored arguments behind the item, JSON text."""
    items: list[tuple[str, str, str, int]]
    """``(item, label, fp, occurrence)``."""
    width: int
    on_error: Literal["raise", "collect"]


class StepAnswer(TypedDict, total=False):
    """One of `ok`/`raw64`, `failed`, `rest`, `held`, `refused`.

    For an effect without result (``b""`` on record) `ok` is "". For a mint `ok` is its value
    and `told.mints` its record.
    """

    fp: str
    """Of the call that this is the answer to."""
    code: str
    """The digest of the code that gave it: what replays it may have another one."""
    ok: str
    raw64: str
    """The value's own bytes, with `form`: ``Codec.from_raw``."""
    form: str
    """"t" or "b"."""
    executed: bool
    """Whether it ran now; False where it was on record."""
    pure: bool
    """It is not on disk yet, and need not be."""
    failed: Failure
    rest: Rest
    held: Held
    refused: Refused
    told: Told


class ChunkAnswer(TypedDict, total=False):
    """What became of the items, by their place in the chunk."""

    fp: str
    """That of the first item."""
    code: str
    values: list[str | None]
    """JSON text; None for an item that is in one of the others."""
    raw: dict[str, tuple[str, str]]
    """``{place: (base64, form)}``."""
    failures: dict[str, Failure]
    missing: list[int]
    """Not done: schedule them again (after `rest`, where it is set)."""
    executed: int
    replayed: int
    failed: int
    rest: Rest
    held: Held
    refused: Refused
    told: Told


class RecallAsk(TypedDict):
    """Get outcomes that are on record and too long for the index."""

    head: Head
    seqs: list[int]


class RecallAnswer(TypedDict, total=False):
    """``[seq, answer]`` of those that are there whole; others are left to their activities."""

    found: list[tuple[int, StepAnswer]]
    refused: Refused


class TakeAsk(TypedDict):
    """Look for a signal. Taking it travels as :class:`Pending` (kind SIGNAL, `signal` its id)."""

    head: Head
    name: str
    fp: str
    but: list[int]
    """Signals that the workflow has already."""


class TakeAnswer(TypedDict, total=False):
    """Empty where there is none. `id` 0: it was taken before and is on record."""

    id: int
    payload: str
    refused: Refused


class ArtifactAsk(TypedDict):
    """Deliver a file."""

    head: Head
    path: str
    content: NotRequired[str]
    content64: NotRequired[str]
    media_type: str | None
    fp: str


class ArtifactNote(TypedDict):
    """A delivered file: where it lies in the worker's folders, and its blob."""

    path: str
    name: str
    """As the job named it: below the run's folder, or absolute."""
    sha256: str
    size: int
    blob: str
    manifest: str | None
    manifest_blob: NotRequired[str]


class ArtifactAnswer(TypedDict, total=False):
    """One of both."""

    artifact: ArtifactNote
    refused: Refused


class PauseAsk(TypedDict):
    """The run waits (`waiting` says for what), or goes on (`waiting` is "")."""

    head: Head
    waiting: str
    wake: float | None


class FlushAsk(TypedDict):
    """Write what is pending."""

    head: Head


class PlainAnswer(TypedDict, total=False):
    """Of pause and flush: empty, or refused."""

    refused: Refused


class Undo(TypedDict):
    """A completed step that says how it is undone, in the order of completion."""

    step: str
    module: str
    args: list[str]
    fp: str


class EndAsk(TypedDict):
    """The body is over."""

    head: Head
    status: Literal["completed", "failed", "cancelled", "released"]
    """"released": it was refused, and stays as it is for whoever goes on with it."""
    result: NotRequired[str]
    """JSON text of the result."""
    error: NotRequired[dict[str, Any]]
    """``engines.attempt.ending.stored(error)`` of a failure."""
    resumed: bool
    undoable: list[Undo]
    unasked: list[int]
    """Sequence numbers of the index rows (RESULT, EFFECT, CHILD) that nobody asked for."""
    last_seq: int
    """As begin gave it."""
    executed: int
    replayed: int
    failed: int
    artifacts: list[ArtifactNote]
    divergences: list[dict[str, Any]]
    changed: dict[str, tuple[str, str]]


class OutcomeAnswer(TypedDict, total=False):
    """How the run ended; the client makes an engines.attempt.state.Outcome of it."""

    name: str
    job: str
    status: str
    result: str
    result_blob: str | None
    """Where `result` is not there."""
    error: dict[str, Any]
    """As stored in the run row."""
    refused: Refused
    """The run did not end (a manifest cannot be written, a lease was lost)."""
    executed: int
    replayed: int
    failed: int
    artifacts: list[ArtifactNote]
    divergences: list[dict[str, Any]]
    changed: dict[str, tuple[str, str]]
    from_record: bool


def event_fp(run: int, token: int, output: str) -> bytes:
    """The fingerprint of a log line that an attempt's workflow writes.

    By what it says: in a history that is continued lines may come in another order.
    """
    return fingerprint(b"\0event", [b"%d" % run, b"%d" % token, output.encode()])


def change_fp(token: int, what: str, before: str, after: str) -> bytes:
    """The fingerprint of the line that says that code has changed: each worker notes it."""
    parts = [b"%d" % token, what.encode(), before.encode(), after.encode()]
    return fingerprint(b"\0code-changed", parts)
