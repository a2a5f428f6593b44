"""The home page: did everything run, is it as it should be, what needs somebody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from nightproof.views import listing
from nightproof.views.attention import NeedView, attention
from nightproof.views.nights import WORST, Calendar, JobNights, calendar
from nightproof.views.schedules import ScheduleView, schedules
from nightproof.views.usual import UsualView, newest
from nightproof.views.watch import FEWEST
from nightproof.web.nights import (
    KINDS,
    action,
    cell,
    day_name,
    days,
    memory_of,
    moment,
    short,
    zone_of,
)
from nightproof.web.rendering import page
from nightproof.web.site import site_of

_JOBS = 60
"""So many jobs are shown in the calendar, those that are not as they should be before others."""
_LAST = 30
"""So many jobs' last runs are looked at."""
_FINE = ("completed", "drifted")


@dataclass(frozen=True, slots=True)
class Morning:
    """What somebody wants to know first.

    `jobs` counts the jobs whose last night is told of, by how it went; `ran` those that
    completed. `drifted` and `unusual` are names of jobs, the latter those of the `compared` whose
    last run has something odd; `next` is the next time that a schedule is due (UTC) with its job.
    """

    jobs: dict[str, int]
    ran: int
    drifted: list[str]
    unusual: list[str]
    compared: int
    next: tuple[str, str] | None

    @property
    def total(self) -> int:
        """How many jobs had a last night."""
        return sum(self.jobs.values())


async def home(request: Request) -> Response:
    """See the module."""
    site, known = site_of(request), memory_of(request)
    reader, late = site.journal, site.settings.late
    rows = await listing.open_rows(reader)
    plans = await schedules(reader, late=late, coming=1, past=0)
    nights = await calendar(reader, zone=zone_of(request), late=late, replicates=known.replicates)
    needs = await attention(
        reader, late=late, stall=site.settings.stall, replicates=known.replicates,
        timetable=plans, rows=rows,
    )  # fmt: skip
    recent = sorted(
        (one for one in nights.jobs if one.last is not None),
        key=lambda one: one.last.date if one.last else "",
        reverse=True,
    )
    lasts = await newest(reader, [one.job for one in recent[:_LAST]], known.history)
    shown = calendar_of(nights.jobs)
    return page(
        request,
        "home.html",
        morning=_morning(nights, plans, lasts, needs),
        needs=[
            (one, *KINDS.get(one.kind, ("failed", one.kind)), *action(one, plans)) for one in needs
        ],
        dates=_dates(nights),
        days=days(nights.dates),
        calendar=[(one, [cell(one.job, night) for night in one.nights]) for one in shown],
        zones=sorted({one.zone for one in shown}),
        more_jobs=len(nights.jobs) - len(shown),
        lasts=lasts,
        missed={one.job for one in nights.jobs if one.last and {*one.last.counts} == {"missed"}},
        complete=all(one.complete for one in lasts),
        opened=listing.counts(rows),
        short=short,
    )


def calendar_of(jobs: Sequence[JobNights], most: int = _JOBS) -> list[JobNights]:
    """The jobs whose nights are shown, by name: of too many those with a bad last night first."""
    bad = [one for one in jobs if one.last is not None and one.last.status != "completed"]
    fine = [one for one in jobs if one.last is None or one.last.status == "completed"]
    return sorted([*bad, *fine][:most], key=lambda one: one.job)


def _morning(
    nights: Calendar,
    plans: Sequence[ScheduleView],
    lasts: Sequence[UsualView],
    needs: Sequence[NeedView],
) -> Morning:
    """Jobs that are scheduled, and others that ran since yesterday."""
    served = {one.job for one in plans if not one.retired}
    recent = f"{date.fromisoformat(nights.dates[-1]) - timedelta(days=1)}"
    told: dict[str, str] = {
        one.job: one.last.status
        for one in nights.jobs
        if one.last is not None and (one.job in served or one.last.date >= recent)
    }
    counts = Counter(told.values())
    drifted = {job for job, status in told.items() if status == "drifted"}
    drifted |= {one.job for one in needs if one.kind == "drift"}
    coming = sorted((moment(one.next[0], one.tz)[0], one.job) for one in plans if one.next)
    return Morning(
        jobs={word: counts[word] for word in WORST if counts[word]},
        ran=sum(counts[word] for word in _FINE),
        drifted=sorted(drifted),
        compared=sum(one.run.job in told and len(one.took) > FEWEST for one in lasts),
        unusual=[one.run.job for one in lasts if one.unusual and one.run.job in told],
        next=coming[0] if coming else None,
    )


def _dates(nights: Calendar) -> dict[str, str]:
    """The nights of the runs that the calendar leads to."""
    return {
        night.run: day_name(date.fromisoformat(night.date))[:-5]
        for one in nights.jobs
        for night in one.nights
        if night.run
    }


routes: list[BaseRoute] = [Route("/", home, name="home")]
