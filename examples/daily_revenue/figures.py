"""From what the services report to the lines of the table, and to what moved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from .clients.admob import AdRow
from .clients.database import Line
from .contract import AppRef
from .rates import converted

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class AppDay:
    """A day of one app in one country on its store; proceeds in a currency of their own."""

    app: str
    country: str
    installs: int
    proceeds: Decimal
    currency: str


@dataclass(frozen=True)
class CountryDay:
    """All that is known of a country: its ads in dollars, and its stores."""

    country: str
    ads: list[AdRow]
    stores: list[AppDay]


@dataclass(frozen=True)
class Anomaly:
    """A country that moved: money in millionths of a dollar, a week before and now."""

    country: str
    before: int
    now: int
    percent: int


def by_country(
    day: date, ads: Iterable[Sequence[AdRow]], stores: Iterable[Sequence[AppDay]]
) -> list[CountryDay]:
    """What the services say of `day`, country by country, in the order of their names."""
    found: dict[str, tuple[list[AdRow], list[AppDay]]] = defaultdict(lambda: ([], []))
    for rows in ads:
        for row in rows:
            if row.day == day:
                found[row.country][0].append(row)
    for lines in stores:
        for line in lines:
            found[line.country][1].append(line)
    return [CountryDay(country, *found[country]) for country in sorted(found)]


def lines(
    found: CountryDay,
    day: date,
    apps: Sequence[AppRef],
    currency: str,
    rates: dict[str, Decimal],
) -> list[Line]:
    """The table's lines of a country, one for each app that has something there."""
    ours = {app.admob: app.id for app in apps}
    result = []
    for app in sorted(
        {ours.get(row.app, row.app) for row in found.ads} | {s.app for s in found.stores}
    ):
        ads = [row for row in found.ads if ours.get(row.app, row.app) == app]
        stores = [one for one in found.stores if one.app == app]
        micros = sum(row.micros for row in ads)
        result.append(
            Line(
                date=day,
                country=found.country,
                app=app,
                ads_micros=converted(Decimal(micros) / 1_000_000, "USD", currency, rates),
                proceeds_micros=sum(
                    converted(one.proceeds, one.currency, currency, rates) for one in stores
                ),
                impressions=sum(row.impressions for row in ads),
                installs=sum(one.installs for one in stores),
                currency=currency,
            )
        )
    return result


def moved(
    day: date, ads: Iterable[Sequence[AdRow]], threshold_percent: int, minimum_micros: int
) -> list[Anomaly]:
    """Countries whose ads earned much more or less than on the same weekday before."""
    now: dict[str, int] = defaultdict(int)
    before: dict[str, int] = defaultdict(int)
    for rows in ads:
        for row in rows:
            if row.day == day:
                now[row.country] += row.micros
            elif row.day == day - WEEK:
                before[row.country] += row.micros
    found = []
    for country in sorted({*now, *before}):
        old, new = before[country], now[country]
        if max(old, new) < minimum_micros or not old:
            continue
        percent = round(100 * (new - old) / old)
        if abs(percent) > threshold_percent:
            found.append(Anomaly(country, old, new, percent))
    return sorted(found, key=lambda one: (-abs(one.percent), one.country))
