"""What is read of a journal to show it: filters, and rows that a store counts itself.

Apart from the records that every run needs, whose import is part of its start.
"""

from __future__ import annotations

from typing import NamedTuple

from nightproof.model.states import EffectState, RunStatus

QUARTER_MS = 900_000
"""The time that :class:`RunGroup` counts in: every zone's days begin at a quarter of an hour."""


class JobRow(NamedTuple):
    """A job that has runs of its own (no child runs, no replicates).

    `latest` is when the newest was created, in milliseconds since the epoch.
    """

    job: str
    runs: int
    latest: int


class RunGroup(NamedTuple):
    """How many runs of a job's own began in a quarter of an hour and have a status now.

    `quarter` counts from the epoch; `name` is the newest of the runs.
    """

    job: str
    quarter: int
    status: RunStatus
    count: int  # type: ignore[assignment]
    name: str


class SpanRow(NamedTuple):
    """The entries of one kind and code in one part of a run's time.

    `part` is how many of the given bounds had passed when they were written. `first` is the
    beginning of the earliest and `last` the end of the latest, in milliseconds since the
    epoch; `took` is the sum and `longest` the most that one took, in microseconds.
    """

    kind: int
    code: int
    part: int
    count: int  # type: ignore[assignment]
    first: int
    last: int
    took: int
    longest: int


class EffectPlace(NamedTuple):
    """Where an effect stands in the ledger: `at` is when it was last tried or settled (ms)."""

    at: int
    key: str


class EffectFilter(NamedTuple):
    """Which effects to list, newest first; `text` is part of the key or of the name.

    Only what stands behind `before`, and not beyond `down_to`.
    """

    run: int | None = None
    states: tuple[EffectState, ...] = ()
    text: str = ""
    limit: int = 50
    before: EffectPlace | None = None
    down_to: EffectPlace | None = None


class AuditRow(NamedTuple):
    """What a person had done to the journal.

    It is written before the act: `code` is the exit code of `command` once it has ended, None
    before, and for ever where whoever waited for it died; until then `outcome` names that process
    (see :mod:`nightproof.views.audit`). `run` is a run's name, or "".
    """

    id: int
    at: int
    who: str
    act: str
    run: str
    command: str
    code: int | None = None
    outcome: str = ""


def plain_digest(digest: str) -> str:
    """A sha256 as its 64 hex digits, given with ``sha256:`` or without."""
    return digest.strip().lower().removeprefix("sha256:")


def searched(text: str) -> tuple[str, str]:
    """A text as people write it, and as it stands inside of a JSON text."""
    import json  # searching is rare

    return text, json.dumps(text, ensure_ascii=False)[1:-1]
