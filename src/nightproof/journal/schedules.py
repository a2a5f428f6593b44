"""What a store keeps of schedules: since when they are served, and what ran for which time."""

from __future__ import annotations

from typing import NamedTuple


class ScheduleRow(NamedTuple):
    """A schedule that some process serves, or served.

    `spec` is JSON (``tz``, ``at``, ``cron``, ``missed``, ``catchUp``). Times are
    milliseconds since the epoch: `since` when it was first served with this spec,
    `seen` when it was served last. What was due before `since` was never missed.
    """

    name: str
    job: str
    target: str
    spec: str
    since: int
    seen: int


class FireRow(NamedTuple):
    """What runs for one time that a schedule was due at.

    `at` is that time in milliseconds. The contract is fixed by whoever comes first, so
    that all who serve the schedule, and every catching up, run the same. `ran` says
    whether the run is, or was, in the store; `contract` is None once that was collected.
    """

    schedule: str
    at: int
    run: str
    contract: bytes | None
    ran: bool = False
