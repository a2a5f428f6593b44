"""What a store keeps of incidents: what went wrong, since when, and who has been told."""

from __future__ import annotations

from typing import NamedTuple

UNTOLD = 0
"""`notified`: nobody has been told of the incident yet."""
OPEN_TOLD = 1
"""`notified`: it was told that it opened."""
ALL_TOLD = 2
"""`notified`: it was told that it cleared. A negative number is the time of a claim."""


class IncidentRow(NamedTuple):
    """Something that is wrong, or was; under one `key` it is told once, and once more at its end.

    Times are milliseconds since the epoch; `cleared` is None while it lasts. `job` and
    `run` are empty where it is about none.
    """

    key: str
    kind: str
    job: str
    run: str
    opened: int
    cleared: int | None
    notified: int
    note: str


class Checkpoint(NamedTuple):
    """The last outcome that a run has recorded."""

    seq: int
    at: int
    kind: int
    code: int
