"""Documents of jobs over many nights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nightproof.journal.protocol import Reader
from nightproof.views.attention import NeedView
from nightproof.views.schedules import ScheduleView
from nightproof.views.values import Time, iso


@dataclass(frozen=True, slots=True)
class JobView:
    """A job that has runs of its own: no child runs and no replicates are counted."""

    job: str
    runs: int
    latest: Time | None
    """When the newest of them was created."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of the store, by name."""

    jobs: list[JobView]


async def jobs(reader: Reader) -> Jobs:
    """The jobs that have runs."""
    return Jobs([JobView(one.job, one.runs, iso(one.latest)) for one in await reader.jobs()])


@dataclass(frozen=True, slots=True)
class Schedules:
    """Every schedule that was ever served, by name."""

    schedules: list[ScheduleView]


@dataclass(frozen=True, slots=True)
class IncidentView:
    """Something that a watcher saw go wrong.

    `run` is null where it is about no single run, `cleared` while it lasts; `next` is a command
    that shows more, `text` what people were told.
    """

    event: Literal["opened", "cleared"]
    key: str
    kind: Literal["stalled", "held", "failed", "missed", "no-output", "drift", "quota", "store"]
    job: str
    run: str | None
    opened: Time
    cleared: Time | None
    note: str
    next: str
    text: str


@dataclass(frozen=True, slots=True)
class Incidents:
    """The incidents that last, and those that are over since not long; the latest first."""

    incidents: list[IncidentView]


@dataclass(frozen=True, slots=True)
class Attention:
    """What needs a person, the most urgent first."""

    needs: list[NeedView]
