"""Schedules as the store knows them: when they are due, what ran, what was missed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import Annotated, Literal, NamedTuple

from nightproof.errors import NotFound, UsageError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.journal.schedules import ScheduleRow
from nightproof.model import clock
from nightproof.model.timetable import Timetable
from nightproof.views.runs import Standing, view, word
from nightproof.views.values import Form, Time, iso

EARLIEST = date(1971, 1, 1)
"""Nothing is looked for before this day."""
WEEK = timedelta(days=7)
"""A time that was missed longer ago is history."""
SERVED_MS = 5 * 60_000
"""A schedule that is served is seen every minute."""
_WEEK_MS = 7 * 86_400_000
_LOOK_BACK_MS = 40 * 86_400_000
_RETIRED_MS = 15 * 60_000
_MOST = 50
_DAY_MS = 86_400_000
_AT_ITS_TIME_MS = 120_000


FireState = Literal["ran", "missed", "skipped", "due"]


class Fire(NamedTuple):
    """One time that a schedule was due at, in milliseconds.

    `state` is "ran", "missed", "skipped" (missed, and it is not caught up), or "due" where it
    is not late yet.
    """

    at: int
    run: str
    state: FireState


@dataclass(frozen=True, slots=True)
class FireView:
    """What ran for one time.

    `status` is the run's, or "missed", "skipped", "due", or "collected" where the run was
    removed from the store.
    """

    at: Time | None
    run: str
    status: Standing | Literal["missed", "skipped", "due", "collected"]


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule; `served` says whether some process looks after it now.

    It is retired when others are served and it is not. `last` are the newest times it was
    due at, the newest first, `missed` those of the last week for which nothing ran.
    `problem` says why its times cannot be told.
    """

    schedule: str
    job: str
    target: str
    tz: str
    at: Annotated[str, Form(pattern="^([0-9]{2}:[0-9]{2})?$")]
    cron: str
    if_missed: Literal["catch up", "skip", ""]
    catch_up: int
    since: Time | None
    seen: Time | None
    served: bool
    retired: bool
    problem: str
    next: list[Time]
    last: list[FireView]
    missed: list[Time]


async def schedules(
    reader: Reader, *, late: float = 3600.0, coming: int = 3, past: int = 7
) -> list[ScheduleView]:
    """Every schedule that was ever served, by name; the next `coming` and the last `past` times.

    A night is missed when nothing has begun `late` seconds after it was due.
    """
    rows = await reader.schedules()
    look = _Look(reader, clock.now_ms(), last_seen(rows), late, coming, past)
    return [await _view(look, row) for row in rows]


def last_seen(rows: Iterable[ScheduleRow]) -> int:
    """When any of the schedules was served last (ms)."""
    now = clock.now_ms()  # a clock may have been ahead when one was seen last
    return max((min(one.seen, now) for one in rows), default=0)


def retired(row: ScheduleRow, latest: int) -> bool:
    """Whether a schedule is not served any more, while others are; see :func:`last_seen`."""
    return latest - row.seen > _RETIRED_MS


def timetable(row: ScheduleRow) -> Timetable:
    """When it is due."""
    spec = json.loads(row.spec)
    return Timetable(spec["tz"], spec.get("at") or "", spec.get("cron") or "")


async def within(
    reader: Reader, name: str, first: date, last: date, most: int = 1000
) -> list[datetime]:
    """When a schedule was due from day `first` to day `last` of its zone, up to now.

    The oldest first, at most `most`. Raises NotFound, and UsageError where its times cannot be
    told.
    """
    row = next((one for one in await reader.schedules() if one.name == name), None)
    if row is None:
        raise NotFound(f"there is no schedule '{name}'", "The page Schedule lists them.")
    # Wide enough for every zone; what lies outside of the days is left out again.
    now, margin = clock.now(), timedelta(days=2)
    begin = datetime.combine(max(first, EARLIEST), time(), UTC) - margin
    until = min(datetime.combine(min(last, now.date()), time(), UTC) + margin, now)
    found = (at for at in timetable(row).fires(begin, until) if first <= at.date() <= last)
    return list(islice(found, most))


async def history(
    reader: Reader, row: ScheduleRow, latest: int, first: int, late: float
) -> list[Fire]:
    """What became of the times from `first` (ms) until now, oldest first; the newest 3000.

    `latest` is when any schedule was seen. Raises UsageError where its times cannot be told.
    """
    now = clock.now_ms()
    until = min(now, row.seen) if retired(row, latest) else now
    due = _due(timetable(row), max(first, row.since + 1), until)
    known = await reader.fires(row.name, first, now)
    ran = {one.at: one.run for one in known if one.ran or one.contract is None}
    skips = json.loads(row.spec).get("missed") == "skip"
    newest = max(ran, default=0)
    found = []
    for at in sorted({*due, *ran}):
        state: FireState
        if at in ran:
            state = "ran"
        elif at > now - late * 1000:
            state = "due"
        else:
            # What is skipped on purpose is over with the next night that takes place.
            state = "skipped" if skips and at < newest else "missed"
        found.append(Fire(at, ran.get(at, ""), state))
    return found


@dataclass
class _Look:
    """One look at many schedules, most of which may be due at the same times."""

    reader: Reader
    now: int
    latest: int
    late: float
    coming: int
    past: int
    _next: dict[Timetable, list[str]] = field(default_factory=dict)

    def next(self, times: Timetable) -> list[str]:
        """The next times. Raises UsageError."""
        if times not in self._next:
            fires = islice(times.fires(clock.from_ms(self.now)), self.coming)
            self._next[times] = [one.isoformat() for one in fires]
        return self._next[times]


async def _view(look: _Look, row: ScheduleRow) -> ScheduleView:
    reader, now = look.reader, look.now
    spec = json.loads(row.spec)
    problem, upcoming = "", list[str]()
    fires: list[Fire] = []
    try:
        times = timetable(row)
        upcoming = look.next(times)
        first = now - _WEEK_MS
        if look.past:
            since = max(row.since + 1, now - _LOOK_BACK_MS)
            first = min(_first(times, since, now), now - _DAY_MS)
        fires = await history(reader, row, look.latest, first, look.late)
    except UsageError as error:
        problem = error.message
    gone = retired(row, look.latest)
    return ScheduleView(
        schedule=row.name,
        job=row.job,
        target=row.target,
        tz=spec["tz"],
        at=spec.get("at") or "",
        cron=spec.get("cron") or "",
        if_missed=spec.get("missed") or "",
        catch_up=spec.get("catchUp") or 0,
        since=iso(row.since),
        seen=iso(row.seen),
        served=not gone and (now - row.seen < SERVED_MS or _at_its_time(row, fires)),
        retired=gone,
        problem=problem,
        next=[] if gone else upcoming,
        last=[await _fire(reader, one) for one in fires[::-1][: look.past]],
        missed=[
            str(iso(one.at)) for one in fires if one.state == "missed" and one.at >= now - _WEEK_MS
        ],
    )


def _at_its_time(row: ScheduleRow, fires: Sequence[Fire]) -> bool:
    """Temporal starts what is due by itself, and is seen only then."""
    ran = bool(fires) and fires[-1].state == "ran"
    return ran and 0 <= row.seen - fires[-1].at < _AT_ITS_TIME_MS


async def _fire(reader: Reader, one: Fire) -> FireView:
    if one.state != "ran":
        return FireView(iso(one.at), "", one.state)
    row = await exactly(reader, one.run)
    return FireView(iso(one.at), one.run, "collected" if row is None else word(view(row)))


async def exactly(reader: Reader, name: str) -> RunRow | None:
    """The run of exactly this name, None where there is none."""
    try:
        found = await reader.find(name)
    except NotFound:
        return None
    return found if found is not None and found.name == name else None


def _due(times: Timetable, first: int, until: int) -> list[int]:
    """The due times from `first` to `until` (ms); days are worked out once."""
    found: list[int] = []
    day = until // _DAY_MS
    while day >= first // _DAY_MS and len(found) < 3000:
        found = [at for at in _of_day(times, day) if first <= at <= until] + found
        day -= 1
    return found


def _first(times: Timetable, since: int, now: int) -> int:
    """The first of the newest due times, from `since` to `now` (ms); `now` where there is none."""
    found = now
    day, count = now // _DAY_MS, 0
    while day >= since // _DAY_MS and count < _MOST:
        here = [at for at in _of_day(times, day) if since <= at <= now]
        count += len(here)
        found = here[max(0, count - _MOST)] if here else found
        day -= 1
    return found


@lru_cache(20_000)
def _of_day(times: Timetable, day: int) -> tuple[int, ...]:
    """The due times of a day in UTC, counted from the epoch, in milliseconds."""
    begin = clock.from_ms(day * _DAY_MS) - timedelta(milliseconds=1)
    end = begin + timedelta(days=1)
    return tuple(int(one.timestamp() * 1000) for one in times.fires(begin, end))
