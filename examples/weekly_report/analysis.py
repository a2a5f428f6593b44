"""What one week meant for one currency, measured against its own past.

Changes are those of the quoted pair EUR/XXX: positive means that the euro buys
more of the currency. Results are rounded to ten decimals, so that the last bits
of a platform's ``log`` and ``sqrt`` are not part of them.
"""

from __future__ import annotations

import bisect
import itertools
import math
import statistics
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from .rates import YEARS, Days, RateTable, years_before

FIXINGS_A_YEAR = 252
"""Trading days by which daily volatility is annualised (market convention)."""
THRESHOLD = 3.0
"""Standard deviations beyond which a weekly move is an anomaly."""
MIN_WEEKS = 52
"""Earlier weeks below which mean and deviation are not stated."""
STALE = timedelta(days=14)
"""A rate older than this is not 'the last rate before' anything."""
SPARK_WEEKS = 4
"""Every how many weeks the five-year line has a point."""

Status = Literal["active", "ended", "resumed", "not yet"]
Series = list[tuple[date, float]]


@dataclass(frozen=True)
class CurrencyWeek:
    """The result for one currency.

    `status` is "active"; "ended" (rates earlier, none in the period); "resumed"
    (a rate in the period, but none shortly before it to compare with); or "not
    yet" (no rate up to the end of the period). Only "active" has numbers.
    """

    code: str
    status: Status
    last_day: date | None = None
    last_rate: float | None = None
    before_day: date | None = None
    before_rate: float | None = None
    change: float | None = None
    """Simple return of EUR/XXX from the last rate before the period to its last."""
    volatility: float | None = None
    """Annualised, from daily log returns of the year up to the end of the period."""
    mean: float | None = None
    deviation: float | None = None
    """Mean and standard deviation of the earlier weekly changes within five years."""
    z: float | None = None
    rank: int | None = None
    """1 is the largest rise of the euro among `weeks` weeks, this one included."""
    weeks: int = 0
    larger_until: date | None = None
    """End of the latest earlier week with at least this move in this direction."""
    spark: list[float] = field(default_factory=list)
    """Rates every four weeks over five years, the last one of the period at the end."""


@dataclass(frozen=True)
class Anomaly:
    """A weekly move beyond three standard deviations of the currency's own past."""

    code: str
    change: float
    z: float
    deviation: float
    larger_until: date | None


@dataclass(frozen=True)
class Move:
    """The change over one period and the rates it is made of."""

    before: tuple[date, float]
    last: tuple[date, float]

    @property
    def change(self) -> float:
        """Simple return."""
        return self.last[1] / self.before[1] - 1.0


def move(series: Series, days: Days) -> Move | None:
    """The move over `days`, or None without a rate in it and one shortly before it."""
    begin = bisect.bisect_left(series, (days.first,))
    end = bisect.bisect_left(series, (days.until,))
    if begin in {0, end}:
        return None
    before = series[begin - 1]
    if days.first - before[0] > STALE:
        return None
    return Move(before, series[end - 1])


def past_moves(series: Series, days: Days) -> list[Move]:
    """The moves of the earlier periods of the same length within five years, latest first."""
    limit = years_before(days.first, YEARS)
    moves = []
    times = 1
    while (span := days.earlier(times)).first >= limit:
        found = move(series, span)
        if found is not None:
            moves.append(found)
        times += 1
    return moves


def volatility(series: Series, days: Days) -> float | None:
    """Annualised standard deviation of daily log returns over a year up to `days.until`."""
    begin = bisect.bisect_left(series, (years_before(days.until, 1),))
    end = bisect.bisect_left(series, (days.until,))
    year = series[begin:end]
    returns = [math.log(b[1] / a[1]) for a, b in itertools.pairwise(year) if b[0] - a[0] <= STALE]
    if len(returns) < 20:
        return None
    return statistics.stdev(returns) * math.sqrt(FIXINGS_A_YEAR)


def analyse(table: RateTable, code: str, days: Days) -> CurrencyWeek:
    """The week `days` of `code`."""
    series = table.series(code)
    end = bisect.bisect_left(series, (days.until,))
    series = series[:end]
    if not series:
        seen = table.ended.get(code)
        return CurrencyWeek(code, "ended" if seen else "not yet", last_day=seen)
    last_day, last_rate = series[-1]
    if last_day < days.first:
        return CurrencyWeek(code, "ended", last_day=last_day, last_rate=last_rate)
    this = move(series, days)
    if this is None:
        return CurrencyWeek(code, "resumed", last_day=last_day, last_rate=last_rate)
    past = past_moves(series, days)
    changes = [one.change for one in past]
    mean = deviation = z = None
    if len(changes) >= MIN_WEEKS:
        mean, deviation = statistics.fmean(changes), statistics.stdev(changes)
        # A currency that is pegged has no deviation, and then no z-score either.
        z = (this.change - mean) / deviation if deviation > 0 else None
    return CurrencyWeek(
        code=code,
        status="active",
        last_day=last_day,
        last_rate=last_rate,
        before_day=this.before[0],
        before_rate=this.before[1],
        change=_rounded(this.change),
        volatility=_rounded(volatility(series, days)),
        mean=_rounded(mean),
        deviation=_rounded(deviation),
        z=_rounded(z),
        rank=1 + sum(change > this.change for change in changes),
        weeks=1 + len(changes),
        larger_until=_larger_until(this, past),
        spark=[*reversed([one.last[1] for one in past[SPARK_WEEKS - 1 :: SPARK_WEEKS]]), last_rate],
    )


def _larger_until(this: Move, past: list[Move]) -> date | None:
    size = abs(this.change)
    for one in past:
        if one.change * this.change > 0 and abs(one.change) >= size:
            return one.last[0]
    return None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 10) + 0.0


def anomalies(weeks: list[CurrencyWeek]) -> list[Anomaly]:
    """The moves beyond the threshold, the most unusual first."""
    found = [
        Anomaly(week.code, week.change, week.z, week.deviation, week.larger_until)
        for week in weeks
        if week.z is not None and abs(week.z) > THRESHOLD
        if week.change is not None and week.deviation is not None
    ]
    return sorted(found, key=lambda one: (-abs(one.z), one.code))
