"""What several messages between workflow and activities have in common; see messages.py."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class RunOptions(TypedDict):
    """How the run was asked for; see engines/attempt/state.py:Options."""

    effects: bool
    concurrency: dict[str, int]
    answers: dict[str, Any]


class Pending(TypedDict):
    """An entry that the workflow made; it is written with the next activity.

    `kind` 0 is no entry, only a signal taken. Everything but a WAIT has a fingerprint: an
    activity that is tried again writes it once. See :func:`event_fp`.
    """

    kind: int
    fp: str
    output: str | None
    inputs: NotRequired[str | None]
    signal: NotRequired[int]
    """The id of a signal that is taken in the same commit."""


class MintRecord(TypedDict):
    """An expiring or secret value, and how to make it again."""

    fp: str
    step: str
    module: str
    args: list[str]
    """The stored arguments of the call that made it, as parts (JSON text)."""
    value: str
    """The newest value, as JSON text."""
    made: float
    serial: int
    older: NotRequired[list[str]]
    """What it was before (JSON text), oldest first: of a call, what its arguments still hold; of
    an answer, the last few."""


class Head(TypedDict):
    """What every activity but begin is told of its run."""

    run: int
    name: str
    job: str
    token: int
    n: int
    """Counts the activities of an execution."""
    strict: bool
    options: RunOptions
    pending: list[Pending]
    mints: NotRequired[list[MintRecord]]
    """Those that occur in the arguments."""


class Refused(TypedDict):
    """An error that no other try will mend: raise nightproof.errors.<type> of it."""

    type: str
    message: str
    hint: str
    run: NotRequired[str]
    """Of AlreadyRunning."""


class Rest(TypedDict):
    """Nothing can be done before `until`; None: until the workflow is poked."""

    until: float | None
    reason: str


class Held(TypedDict):
    """An effect whose outcome is unknown waits for a person."""

    effect: str
    key: str
    why: str
    reason: str
    """What to say in `waiting` of the run."""


class Failure(TypedDict):
    """A recorded failure; see engines/attempt/steps.py:recorded_failure."""

    type: str
    message: str
    attempts: list[Any]


class Told(TypedDict, total=False):
    """What came up meanwhile in this worker, told once."""

    retries: int
    divergences: list[dict[str, Any]]
    changed: dict[str, tuple[str, str]]
    """Code that has changed, as ``Ledger.changed``."""
    mints: list[MintRecord]
    """Values that were made or made again."""
