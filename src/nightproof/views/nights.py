"""Nights as a calendar: for each job and date, whether it ran and whether it is as it should be.

A night is the local date on which a run was due, in the zone of its job's schedule, or on
which it began, where no schedule started it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta, tzinfo
from functools import cache
from typing import Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from nightproof.errors import UsageError
from nightproof.journal.listing import QUARTER_MS, RunGroup
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunFilter, RunRow
from nightproof.journal.schedules import ScheduleRow
from nightproof.model import clock
from nightproof.model.states import RunStatus
from nightproof.views.replicates import Replicates
from nightproof.views.runs import view, word
from nightproof.views.schedules import exactly, history, last_seen, retired, timetable
from nightproof.views.values import Day

NightStatus = Literal[
    "failed", "missed", "interrupted", "parked", "drifted", "running", "cancelled", "due",
    "completed", "skipped",
]  # fmt: skip
WORST: tuple[NightStatus, ...] = get_args(NightStatus)
"""What a night is called that has several of these: the first."""
_DAY_MS = 86_400_000
_ROWS, _FEWEST = 4000, 10
"""So many runs are read for a calendar, of each job at least so many.

Jobs with more are shown as the store counts them."""
_REPLICATES = 3000
"""So many replicates are looked at, the newest."""
_OPEN = (RunStatus.RUNNING, RunStatus.PARKED)


@dataclass(frozen=True, slots=True)
class NightView:
    """One night of a job; `status` is the worst of `counts`, "" where nothing was due and ran.

    Statuses are those of runs, "interrupted" (running without a living process), "drifted"
    (completed, and a replicate came out differently), "missed", "skipped" and "due". `run` is
    the newest run with that status.
    """

    date: Day
    status: NightStatus | Literal[""]
    run: str
    counts: dict[NightStatus, int]


@dataclass(frozen=True, slots=True)
class JobNights:
    """The nights of a job in its zone; `schedules` are the names of those that start it."""

    job: str
    zone: str
    schedules: list[str]
    nights: list[NightView]
    last: NightView | None
    """The last night that something was due in, or ran."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Jobs by name, each with the same dates, the oldest first."""

    dates: list[Day]
    zone: str
    """The zone of jobs that no schedule starts."""
    jobs: list[JobNights]


@dataclass
class _Job:
    """What is collected of one job: per date, how many of each status and the newest of them."""

    place: tzinfo | None
    schedules: list[ScheduleRow]
    day_of: Callable[[tzinfo | None, int], date]
    nights: dict[date, dict[str, tuple[int, str]]] = field(default_factory=dict)
    due: dict[str, date] = field(default_factory=dict)
    """The nights of runs that a schedule started."""

    def day(self, ms: int) -> date:
        return self.day_of(self.place, ms // QUARTER_MS)

    def add(self, day: date, status: str, count: int, run: str) -> None:
        here = self.nights.setdefault(day, {})
        known, newest = here.get(status, (0, ""))
        here[status] = known + count, newest or run


async def calendar(
    reader: Reader,
    *,
    nights: int = 35,
    job: str | None = None,
    zone: str = "",
    late: float = 3600.0,
    replicates: Replicates | None = None,
) -> Calendar:
    """The last `nights` nights of every job that ran in them or is scheduled, or of one `job`.

    `zone` is that of jobs without a schedule, "" for the zone of this machine; a night is
    missed when nothing has begun `late` seconds after it was due.
    """
    here = place(zone)
    scheduled = await reader.schedules()
    now = clock.now_ms()
    since = now - (nights + 1) * _DAY_MS
    groups: dict[str, list[RunGroup]] = {}
    for group in await reader.groups(since):
        groups.setdefault(group.job, []).append(group)
    wanted = sorted({*groups, *(row.job for row in scheduled)}) if job is None else [job]
    jobs: dict[str, _Job] = {}
    latest, of_job = last_seen(scheduled), dict[str, list[ScheduleRow]]()
    for row in scheduled:
        of_job.setdefault(row.job, []).append(row)
    # Wherever it is, a new day begins with a quarter of an hour.
    day_of = cache(_day_of)
    for name in wanted:
        mine = of_job.get(name, [])
        live = [row for row in mine if not retired(row, latest)] or mine
        one = jobs[name] = _Job(_place_of(live, here), mine, day_of)
        for row in mine:
            await _fires(reader, one, row, latest, since, late)
    limit = max(_FEWEST, _ROWS // max(1, len(jobs)))
    drifted = await _drifted(reader, replicates or Replicates(), job, since, limit)
    gone = await _interrupted(reader, job)
    for name, one in jobs.items():
        counted = Counted(groups.get(name, []), gone.get(name, {}), drifted.get(name, []))
        await _runs(reader, name, one, counted, since, limit)
    return _calendar(jobs, nights, here)


def place(zone: str) -> tzinfo | None:
    """The zone of a name; None, that of this machine, where there is none of that name."""
    try:
        return ZoneInfo(zone) if zone else None
    except (LookupError, ValueError, OSError):
        return None


def zone_name(here: tzinfo | None) -> str:
    """What a zone is called."""
    return str(here) if here is not None else f"{clock.now().astimezone():%Z}"


def _place_of(rows: Sequence[ScheduleRow], here: tzinfo | None) -> tzinfo | None:
    for row in rows:
        try:
            return timetable(row).place
        except UsageError:
            continue
    return here


def _day_of(place: tzinfo | None, quarter: int) -> date:
    return clock.from_ms(quarter * QUARTER_MS).astimezone(place).date()


class Counted(NamedTuple):
    """The runs of a job as the store counts them.

    `left` are those that their process has left, by the quarter of an hour that they began in,
    `drifted` those that a replicate came out differently from.
    """

    groups: list[RunGroup]
    left: dict[int, list[str]]
    drifted: list[str]


async def _fires(
    reader: Reader, one: _Job, row: ScheduleRow, latest: int, since: int, late: float
) -> None:
    try:
        fires = await history(reader, row, latest, since, late)
    except UsageError:
        return  # the schedule's page says why
    for fire in fires:
        if fire.state == "ran":
            one.due[fire.run] = one.day(fire.at)
        else:
            one.add(one.day(fire.at), fire.state, 1, "")


async def _drifted(
    reader: Reader, replicates: Replicates, job: str | None, since: int, limit: int
) -> dict[str, list[str]]:
    """The runs that the newest outcome of a replicate differs from, by their job.

    Of each job its newest `limit` replicates are looked at.
    """
    again: dict[str, list[RunRow]] = {}
    want = RunFilter(job=job, again=True, since=since, limit=_REPLICATES, brief=True)
    for row in await reader.runs(want):
        again.setdefault(row.job, []).append(row)
    found: dict[str, list[str]] = {}
    for name, rows in again.items():
        told = await replicates.among(reader, rows[:limit])
        equal = {one.of: one.equal for one in reversed(told)}
        found[name] = [run for run, same in equal.items() if not same]
    return found


async def _runs(
    reader: Reader, name: str, one: _Job, counted: Counted, since: int, limit: int
) -> None:
    """Run by run, or as the store counts them, where there are more than `limit`."""
    many = sum(group.count for group in counted.groups)
    if not many:
        return
    drifted = counted.drifted
    if many < limit:
        want = RunFilter(job=name, own=True, since=since, limit=limit, brief=True)
        for row in await reader.runs(want):
            status: str = "drifted" if row.name in drifted and _done(row) else word(view(row))
            one.add(one.due.get(row.name) or one.day(row.created), status, 1, row.name)
        return
    apart: dict[int, int] = {}
    for run in drifted:
        found = await exactly(reader, run)
        if found is not None and _done(found):
            one.add(one.due.get(run) or one.day(found.created), "drifted", 1, run)
            quarter = found.created // QUARTER_MS
            apart[quarter] = apart.get(quarter, 0) + 1
    for group in reversed(counted.groups):
        day = one.due.get(group.name) or one.day(group.quarter * QUARTER_MS)
        status, count = str(group.status), group.count
        left = counted.left.get(group.quarter, []) if group.status is RunStatus.RUNNING else []
        if left:
            one.add(day, "interrupted", len(left), left[0])
            count -= len(left)
        if group.status is RunStatus.COMPLETED:
            count -= apart.get(group.quarter, 0)
        if count > 0:
            one.add(day, status, count, group.name)


def _done(row: RunRow) -> bool:
    return row.status is RunStatus.COMPLETED


async def _interrupted(reader: Reader, job: str | None) -> dict[str, dict[int, list[str]]]:
    """Of each job, or of one, the runs that their process has left, see :class:`Counted`."""
    found: dict[str, dict[int, list[str]]] = {}
    want = RunFilter(job=job, status=(RunStatus.RUNNING,), own=True, limit=-1, brief=True)
    for row in await reader.runs(want):
        if word(view(row)) == "interrupted":
            mine = found.setdefault(row.job, {})
            mine.setdefault(row.created // QUARTER_MS, []).append(row.name)
    return found


def _calendar(jobs: dict[str, _Job], nights: int, here: tzinfo | None) -> Calendar:
    now = clock.now()
    today = max(
        (now.astimezone(one.place).date() for one in jobs.values()),
        default=now.astimezone(here).date(),
    )
    days = [today - timedelta(days=back) for back in reversed(range(nights))]
    dates = {day: f"{day}" for day in days}
    return Calendar(
        list(dates.values()),
        zone_name(here),
        [_job(name, one, dates) for name, one in jobs.items()],
    )


def _job(name: str, one: _Job, dates: Mapping[date, str]) -> JobNights:
    shown = [_night(told, one.nights.get(day)) for day, told in dates.items()]
    last = next((night for night in reversed(shown) if night.status not in ("", "due")), None)
    zone = zone_name(one.place)
    return JobNights(name, zone, [row.name for row in one.schedules], shown, last)


def _night(day: str, found: dict[str, tuple[int, str]] | None) -> NightView:
    if not found:
        return NightView(day, "", "", {})
    counts = {one: found[one][0] for one in WORST if one in found}
    status = next(iter(counts))
    return NightView(day, status, found[status][1], counts)
