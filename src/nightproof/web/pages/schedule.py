"""The schedule: what is due when, what ran for it, and what did not."""

from __future__ import annotations

from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from nightproof.views.schedules import ScheduleView, schedules
from nightproof.web.nights import backfill, moment, zone_of
from nightproof.web.rendering import page
from nightproof.web.site import site_of

_COMING, _PAST = 5, 7


class Time(NamedTuple):
    """A time in UTC and as the clocks of its schedule show it; what ran, and how it went."""

    at: str
    there: str
    run: str = ""
    word: str = ""


class Shown(NamedTuple):
    """A schedule as its page shows it."""

    one: ScheduleView
    next: list[Time]
    last: list[Time]
    missed: list[Time]
    backfill: str


def shown(one: ScheduleView) -> Shown:
    """A schedule with its times in words, and the way to run what was missed."""
    last = [Time(*moment(each.at or "", one.tz), each.run, each.status) for each in one.last]
    missed = [Time(*moment(at, one.tz)) for at in one.missed]
    return Shown(
        one,
        [Time(*moment(at, one.tz)) for at in one.next],
        last,
        missed,
        backfill(one),
    )


async def schedule(request: Request) -> Response:
    """See the module."""
    site = site_of(request)
    found = await schedules(site.journal, late=site.settings.late, coming=_COMING, past=_PAST)
    order = sorted(
        found,
        key=lambda one: (one.retired, not one.next, one.next and moment(one.next[0], one.tz)[0]),
    )
    here = zone_of(request)
    return page(
        request,
        "schedule.html",
        schedules=[shown(one) for one in order],
        alone=bool(order) and not any(one.served for one in order),
        abroad={one.tz for one in order if one.tz != here},
    )


routes: list[BaseRoute] = [Route("/schedule", schedule, name="schedule")]
