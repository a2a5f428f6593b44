"""A job: its nights over a year, how long they took and what came out."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from nightproof.errors import NotFound
from nightproof.journal.records import RunFilter
from nightproof.views.listing import listed
from nightproof.views.nights import JobNights, calendar
from nightproof.views.runs import word
from nightproof.views.schedules import schedules
from nightproof.views.usual import CourseView, course
from nightproof.web.nights import Cell, cell, day_name, memory_of, zone_of
from nightproof.web.pages.runs import Listed
from nightproof.web.pages.schedule import shown
from nightproof.web.rendering import page, param
from nightproof.web.site import site_of

_WEEKS = 53
_RUNS = 12
_CHARTS = 8
_REPLICATES = 100
_UNITS = (("h", "hours", 3600), ("min", "minutes", 60), ("s", "seconds", 1))
"""What the chart of durations is in: the first of which the longest took two, or seconds."""


class Week(NamedTuple):
    """A column of the year: where a month begins in it, its name; Monday first, None to come."""

    month: str
    name: str
    cells: list[Cell | None]


async def job(request: Request) -> Response:
    """See the module."""
    site, known, name = site_of(request), memory_of(request), param(request, "job")
    reader, late = site.journal, site.settings.late
    plans = [one for one in await schedules(reader, late=late) if one.job == name]
    recent = await listed(reader, RunFilter(job=name, limit=_RUNS))
    if not recent.runs and not plans:
        raise NotFound(
            f"no job '{name[:100]}' has run or is scheduled", "The list of runs has more."
        )
    nights = await calendar(
        reader, nights=_WEEKS * 7, job=name, zone=zone_of(request), late=late,
        replicates=known.replicates,
    )  # fmt: skip
    told = await course(reader, name, known.history)
    return page(
        request,
        "job.html",
        job=name,
        schedules=[shown(one) for one in plans],
        runs=[Listed(one, word(one)) for one in recent.runs],
        more=recent.next is not None,
        nights=nights.jobs[0],
        weeks=weeks(nights.jobs[0]),
        course=told,
        charts=charts(told),
        replicates=await known.replicates.of(reader, name, 0, _REPLICATES),
    )


def weeks(nights: JobNights) -> list[Week]:
    """The nights as columns of a week each."""
    found: list[Week] = []
    for night in nights.nights:
        day = date.fromisoformat(night.date)
        if not found or day.weekday() == 0:
            monday = day - timedelta(days=day.weekday())
            month = f"{day:%b}" if not found or monday.day <= 7 else ""
            found.append(Week(month, day_name(monday), [None] * 7))
        found[-1].cells[day.weekday()] = cell(nights.job, night)
    return found


def charts(told: CourseView) -> list[tuple[str, dict[str, Any]]]:
    """Captions and the data of charts: how long runs took, and each measure."""
    if len(told.at) < 2:
        return []
    common = {
        "x": [datetime.fromisoformat(at).timestamp() for at in told.at],
        "time": True,
        "x_label": "Night",
    }
    unit, word, seconds = next(one for one in _UNITS if max(told.took) >= 2 * one[2] or one[2] == 1)
    took = {"label": "Took", "values": [round(one / seconds, 4) for one in told.took]}
    caption = f"How long it took, in {word}"
    found = [(caption, {**common, "unit": unit, "zero": True, "series": [took]})]
    for one in told.outputs[:_CHARTS]:
        series = [{"label": one.name[:60], "values": one.values}]
        found.append((one.name[:60], {**common, "series": series}))
    return found


routes: list[BaseRoute] = [Route("/jobs/{job}", job, name="job")]
