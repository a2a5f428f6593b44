"""The week as a whole: what the headline, the template and every format draw on."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from . import wording
from .analysis import Anomaly, CurrencyWeek
from .rates import Days

MOVERS = 6


@dataclass(frozen=True)
class Week:
    """All currencies of one period, in the order in which they are shown."""

    site: str
    days: Days
    active: list[CurrencyWeek]
    """Largest rise of the euro first."""
    absent: list[CurrencyWeek]
    """Currencies without a change to state, by code."""
    anomalies: list[Anomaly]

    @property
    def period(self) -> str:
        """``19 to 25 October 2026``."""
        return wording.day_range(self.days.first, self.days.last)

    @property
    def total(self) -> int:
        """All currencies of the data, with or without a rate."""
        return len(self.active) + len(self.absent)


def summarise(site: str, days: Days, results: list[CurrencyWeek], anomalies: list[Anomaly]) -> Week:
    """Sort the currencies; equal changes by code, so that the order is always the same."""
    active = [one for one in results if one.status == "active"]
    absent = [one for one in results if one.status != "active"]
    return Week(
        site,
        days,
        sorted(active, key=lambda one: (-change(one), one.code)),
        sorted(absent, key=lambda one: one.code),
        anomalies,
    )


def change(one: CurrencyWeek) -> float:
    """The change of an active currency."""
    return one.change if one.change is not None else 0.0


def pair(code: str) -> str:
    """``EUR/USD``."""
    return f"EUR/{code}"


def stated(one: CurrencyWeek | Anomaly) -> str:
    """``EUR/USD −0.53 %``."""
    return f"{pair(one.code)} {wording.percent(one.change or 0.0)}"


def headline(week: Week) -> str:
    """What a tired person must know, in one line."""
    if not week.anomalies:
        return "A quiet week: no unusual move"
    count = wording.plural(len(week.anomalies), "unusual move", "unusual moves")
    named = [stated(one) for one in week.anomalies[:3]]
    more = len(week.anomalies) - len(named)
    if more:
        named.append(f"{more} more")
    return f"{count}: {wording.listing(named)}"


def breadth(week: Week) -> tuple[int, int, int]:
    """Against how many currencies the euro rose, fell and stood still."""
    rose = sum(change(one) > 0 for one in week.active)
    fell = sum(change(one) < 0 for one in week.active)
    return rose, fell, len(week.active) - rose - fell


def breadth_text(week: Week) -> str:
    """``rose against 9, fell against 18 and stood still against 2 of 29 currencies``."""
    rose, fell, unchanged = breadth(week)
    counts = [f"rose against {rose}", f"fell against {fell}"]
    if unchanged:
        counts.append(f"stood still against {unchanged}")
    return f"{wording.listing(counts)} of {len(week.active)} currencies"


def median(week: Week) -> str:
    """The median change."""
    return wording.percent(statistics.median(change(one) for one in week.active))


def extremes(week: Week) -> str:
    """The two ends of the list, in a sentence that holds for every week."""
    top, bottom = week.active[0], week.active[-1]
    high = "rose most" if change(top) > 0 else "fell least"
    low = "fell most" if change(bottom) < 0 else "rose least"
    return (
        f"It {high} against the {wording.name(top.code)} ({stated(top)}) "
        f"and {low} against the {wording.name(bottom.code)} ({stated(bottom)})."
    )


def unusual(week: Week) -> str:
    """The anomalies, or how near the nearest move came."""
    if not week.anomalies:
        measured = [one for one in week.active if one.z is not None]
        if not measured:
            return "No move could be measured against five years: there is too little history."
        nearest = max(measured, key=lambda one: (abs(one.z or 0.0), one.code))
        return (
            "No move went beyond three standard deviations of its currency's own five years; "
            f"the nearest was {stated(nearest)}, at {wording.signed(nearest.z or 0.0, 1)}."
        )
    moves = [
        f"{stated(one)} ({wording.signed(one.z, 1)} standard deviations, {since(one)})"
        for one in week.anomalies
    ]
    return (
        "Beyond three standard deviations of the currency's own five years: "
        f"{wording.listing(moves)}."
    )


def since(one: CurrencyWeek | Anomaly) -> str:
    """``the largest rise since 6 March 2026``, or in five years."""
    kind = "rise" if (one.change or 0.0) > 0 else "fall"
    if one.larger_until is None:
        return f"the largest {kind} in five years"
    return f"the largest {kind} since {wording.day(one.larger_until)}"


def volatility(week: Week) -> str:
    """The most and the least volatile currency of the past year."""
    known = [(one.volatility, one.code) for one in week.active if one.volatility is not None]
    if len(known) < 2:
        return ""
    (low, calm), (high, rough) = min(known), max(known)
    return (
        f"Over the past year the {wording.name(rough)} was the most volatile "
        f"({wording.share(high)} a year), the {wording.name(calm)} the least "
        f"({wording.share(low)})."
    )


def absent(week: Week) -> str:
    """Which currencies the report has nothing to say about."""
    if not week.absent:
        return f"All {week.total} currencies have a rate in this period."
    codes = wording.listing([one.code for one in week.absent])
    return (
        f"{len(week.absent)} of the {week.total} currencies have no change to report "
        f"in this period: {codes}."
    )


def absence(one: CurrencyWeek) -> str:
    """Why one currency has no change."""
    if one.status == "ended" and one.last_day is not None:
        return f"last rate {wording.day(one.last_day)}"
    if one.status == "resumed":
        return "no rate shortly before the period"
    return "no rate yet"


def movers(week: Week) -> list[CurrencyWeek]:
    """The most unusual moves, anomalies first: three, and up to six beyond one deviation."""
    moved = [one for one in week.active if one.z is not None and change(one)]
    moved.sort(key=lambda one: (-abs(one.z or 0.0), one.code))
    return [one for i, one in enumerate(moved[:MOVERS]) if i < 3 or abs(one.z or 0.0) > 1]
