"""What pages that show nights have in common: the viewer's zone, dates, what was read before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from math import isfinite
from typing import NamedTuple
from zoneinfo import ZoneInfo

from starlette.requests import Request

from nightproof.model import clock
from nightproof.views.attention import NeedView
from nightproof.views.nights import NightView, place
from nightproof.views.replicates import Replicates
from nightproof.views.schedules import ScheduleView
from nightproof.views.watch import History
from nightproof.web.rendering import url

PHONE = 14
"""So many of the newest nights are shown on a phone."""
KINDS = {
    "store": ("failed", "Store does not answer"),
    "held": ("held", "Waits for your decision"),
    "stalled": ("interrupted", "Stalled"),
    "failed": ("failed", "Failed"),
    "missed": ("missed", "Missed"),
    "unserved": ("missed", "Not served"),
    "interrupted": ("interrupted", "Interrupted"),
    "overdue": ("parked", "Overdue"),
    "doubt": ("held", "Effects in doubt"),
    "signal": ("parked", "Waits for a signal"),
    "no-output": ("failed", "No output"),
    "drift": ("drifted", "Drifted"),
    "quota": ("parked", "Quota used up"),
}
"""What needs a person: the mark, and the words."""
_FAR_DAYS = 180
"""Times farther away are told with their year."""
_MARKS = {"": "none", "due": "pending"}


@dataclass
class Memory:
    """What a dashboard need not read twice."""

    history: History = field(default_factory=History)
    replicates: Replicates = field(default_factory=Replicates)


class Day(NamedTuple):
    """A column of a calendar; `old` is not shown on a phone, and `first` only there.

    They name the month above the first column and above the first of a month.
    """

    name: str
    day: int
    month: str
    first: str
    weekend: bool
    old: bool


class Cell(NamedTuple):
    """A night of a calendar, as the macro of that name takes it."""

    word: str
    href: str | None
    label: str
    many: int


def memory_of(request: Request) -> Memory:
    """What this dashboard has read so far."""
    state = request.app.state
    if not hasattr(state, "nights"):
        state.nights = Memory()
    found: Memory = state.nights
    return found


def zone_of(request: Request) -> str:
    """The zone of whoever looks, as a script told it; "" where it is not known."""
    told = request.query_params.get("tz") or request.cookies.get("tz") or ""
    return told if place(told) is not None else ""


def days(dates: Sequence[str]) -> list[Day]:
    """Dates as the head of a calendar."""
    found = []
    for place_, text in enumerate(dates):
        day = date.fromisoformat(text)
        month = f"{day:%b}" if place_ == 0 or day.day == 1 else ""
        first = f"{day:%b}" if place_ == len(dates) - PHONE and not month else ""
        old = place_ < len(dates) - PHONE
        found.append(Day(day_name(day), day.day, month, first, day.weekday() > 4, old))
    return found


def day_name(day: date) -> str:
    """Like Mon 3 Nov 2026."""
    return f"{day:%a} {day.day} {day:%b %Y}"


def cell(job: str, night: NightView) -> Cell:
    """A night with its text and where it leads."""
    total = sum(night.counts.values())
    told: str = night.status or "no run"
    if total > 1:
        told = ", ".join(f"{count} {status}" for status, count in night.counts.items())
    href = None
    if night.run:
        href = url("/runs/{}", night.run)
    elif night.status:
        href = "/schedule"
    name = job if len(job) <= 60 else job[:59] + "…"
    label = f"{name}, {day_name(date.fromisoformat(night.date))}: {told}"
    return Cell(_MARKS.get(night.status, night.status), href, label, total)


def backfill(one: ScheduleView) -> str:
    """The page that runs nights again, from the first to the last that was missed."""
    days = [datetime.fromisoformat(at).astimezone(place(one.tz)).date() for at in one.missed]
    span = {"from": min(days), "to": max(days)} if days else {}
    return url("/act/backfill", schedule=one.schedule, **span)


def action(need: NeedView, plans: Sequence[ScheduleView] = ()) -> tuple[str, str]:
    """What to do about it: the words of a link, and where it leads."""
    if need.count > 1:
        word = {"failed": "failed", "interrupted": "interrupted"}.get(need.kind, "parked")
        return f"Show all {need.count:,}", url("/runs", job=need.job, status=word)
    run = need.run
    for one in plans:
        if need.kind == "missed" and one.schedule == need.schedule:
            return "Backfill", backfill(one)
    known = {
        "held": ("Decide", url("/act/resolve", run=run, effect=need.effect)),
        "signal": ("Send signal", url("/act/signal", run=run, name=need.signal)),
        "failed": ("Resume", url("/act/resume", run=run)),
        "interrupted": ("Resume", url("/act/resume", run=run)),
        "overdue": ("Resume", url("/act/resume", run=run)),
        "missed": ("Backfill", url("/act/backfill", schedule=need.schedule)),
        "unserved": ("Schedule", "/schedule"),
        "doubt": ("Effects", url("/runs/{}", run)),
        "drift": ("Compare", url("/drift", a=need.of or None, b=run)),
        "quota": ("Quotas", "/quotas"),
        "store": ("Runs", "/runs"),
    }
    return known.get(need.kind, ("Look", url("/runs/{}", run) if run else "/runs"))


def moment(iso: str, zone: str) -> tuple[str, str]:
    """A time as UTC, and as the clocks of a zone show it."""
    at = datetime.fromisoformat(iso)
    try:
        there = at.astimezone(ZoneInfo(zone))
    except (LookupError, ValueError, OSError):
        there = at
    far = abs((at - clock.now()).days) > _FAR_DAYS
    day = day_name(there.date())
    shown = f"{day if far else day[:-5]}, {there:%H:%M}"
    return at.astimezone(UTC).isoformat(timespec="seconds"), shown


def short(value: float | None) -> str:
    """A number as it is compared at a glance: whole, or with four digits."""
    if value is None:
        return "-"
    if not isfinite(value):
        return str(value)
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def bound(text: str, zone: str, after: int = 0) -> int | None:
    """When a date begins, `after` days later, in milliseconds; None for what is no date."""
    try:
        day = date.fromisoformat(text) + timedelta(days=after)
        at = datetime.combine(day, time())
        here = place(zone)
        return int(
            (at.astimezone() if here is None else at.replace(tzinfo=here)).timestamp() * 1000
        )
    except (ValueError, OverflowError, OSError):
        return None
