"""What the services report: deterministic rows for many apps, countries and days."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path

COUNTRIES = (
    "US JP DE GB FR BR IN KR CA AU MX IT ES NL SE PL TR ID TH VN PH TW HK SG MY AE SA IL ZA EG "
    "NG KE AR CL CO PE UA RO CZ HU GR PT BE CH AT DK NO FI"
).split()
"""48 countries, the large ones first."""

CURRENCIES = {
    "US": "USD", "JP": "JPY", "GB": "GBP", "BR": "BRL", "IN": "INR", "KR": "KRW", "CA": "CAD",
    "AU": "AUD", "MX": "MXN", "SE": "SEK", "PL": "PLN", "TR": "TRY", "ID": "IDR", "TH": "THB",
    "PH": "PHP", "HK": "HKD", "SG": "SGD", "MY": "MYR", "IL": "ILS", "ZA": "ZAR", "RO": "RON",
    "CZ": "CZK", "HU": "HUF", "CH": "CHF", "DK": "DKK", "NO": "NOK",
}  # fmt: skip
"""What customers of a country pay in where the ECB publishes a rate; EUR in the euro area."""
_EURO = {"DE", "FR", "IT", "ES", "NL", "GR", "PT", "BE", "AT", "FI"}


@dataclass(frozen=True)
class App:
    """One app on one store; `package` is its id there, `admob` its id at AdMob."""

    name: str
    platform: str
    package: str
    admob: str
    apple_id: str = ""


APPS = tuple(
    App(
        f"{name} {'for iOS' if platform == 'ios' else 'for Android'}",
        platform,
        f"com.example.{name.lower()}",
        f"ca-app-pub-8123415297019784~{1_000_000_000 + 7 * number}",
        str(1_500_000_000 + number) if platform == "ios" else "",
    )
    for number, (name, platform) in enumerate(
        (name, platform)
        for name in ("Chess", "Puzzle", "Runner")
        for platform in ("ios", "android")
    )
)


@dataclass(frozen=True)
class Row:
    """A day of one app in one country; money in millionths of `currency`."""

    date: date
    country: str
    app: str
    platform: str
    impressions: int
    installs: int
    revenue_micros: int
    currency: str


@dataclass(frozen=True)
class Move:
    """From `first` on a country earns `factor` times as much: an anomaly to be found."""

    country: str
    first: date
    factor: float


@dataclass
class Data:
    """The rows of every day: made from a seed, or read from a file.

    `late` are corrections: the factor by which a day's numbers differ from what was
    reported before (AdMob's estimates settle, days after).
    """

    seed: int = 7
    apps: tuple[App, ...] = APPS
    countries: tuple[str, ...] = tuple(COUNTRIES)
    moves: tuple[Move, ...] = ()
    late: dict[date, float] = field(default_factory=dict)
    given: dict[date, list[Row]] | None = None

    @classmethod
    def read(cls, path: Path) -> Data:
        """The rows of a CSV file with the columns of :class:`Row`. Raises ValueError."""
        days: dict[date, list[Row]] = {}
        apps: dict[str, App] = {}
        with path.open(encoding="utf-8", newline="") as file:
            for line, found in enumerate(csv.DictReader(file), start=2):
                try:
                    row = Row(
                        date.fromisoformat(found["date"]), found["country"], found["app"],
                        found["platform"], int(found["impressions"]), int(found["installs"]),
                        int(found["revenue_micros"]), found["currency"],
                    )  # fmt: skip
                except (KeyError, TypeError, ValueError) as error:
                    raise ValueError(f"{path}, line {line}: {error!r}") from None
                days.setdefault(row.date, []).append(row)
                apps.setdefault(row.app, _app(row, len(apps)))
        countries = sorted({row.country for rows in days.values() for row in rows})
        return cls(apps=tuple(apps.values()), countries=tuple(countries), given=days)

    def rows(
        self, day: date, *, settled: bool = True, countries: frozenset[str] = frozenset()
    ) -> Iterator[Row]:
        """The rows of a day, of some countries or of all.

        Without `settled` as they were before late corrections.
        """
        factor = self.late.get(day, 1.0) if settled else 1.0
        found = self.given.get(day, []) if self.given is not None else self._made(day, countries)
        for row in found:
            if not countries or row.country in countries:
                yield row if factor == 1.0 else scaled(row, factor)

    def of(self, day: date, platform: str) -> list[Row]:
        """The rows of a day on one platform."""
        return [row for row in self.rows(day) if row.platform == platform]

    def app(self, name: str) -> App:
        """An app by its name."""
        return self._named[name]

    @cached_property
    def _named(self) -> dict[str, App]:
        return {one.name: one for one in self.apps}

    def _made(self, day: date, countries: frozenset[str]) -> Iterator[Row]:
        for rank, country in enumerate(self.countries):
            if countries and country not in countries:
                continue
            moved = 1.0
            for move in self.moves:
                if move.country == country and day >= move.first:
                    moved *= move.factor
            for app in self.apps:
                size = 40_000 / (1 + rank) * (1 + _unit(self.seed, app.name, country))
                weekly = 1.15 if day.weekday() >= 5 else 1.0
                noise = 0.96 + 0.08 * _unit(self.seed, app.name, country, day.isoformat())
                impressions = max(1, round(size * weekly * noise * moved))
                per_mille = 1.5 + 3 * _unit(self.seed, "rpm", app.name, country)
                yield Row(
                    day, country, app.name, app.platform, impressions,
                    impressions // 400, round(impressions * per_mille * 1000), "USD",
                )  # fmt: skip


def _app(row: Row, number: int) -> App:
    slug = "".join(letter for letter in row.app.lower() if letter.isalnum()) or f"app{number}"
    return App(
        row.app,
        row.platform,
        f"com.example.{slug}",
        f"ca-app-pub-8123415297019784~{1_000_000_000 + 7 * number}",
        str(1_500_000_000 + number) if row.platform == "ios" else "",
    )


def scaled(row: Row, factor: float) -> Row:
    """The row with its counts and its money multiplied."""
    return replace(
        row,
        impressions=round(row.impressions * factor),
        installs=round(row.installs * factor),
        revenue_micros=round(row.revenue_micros * factor),
    )


def totals(rows: Iterable[Row]) -> int:
    """The money of rows, in micros."""
    return sum(row.revenue_micros for row in rows)


def currency(country: str) -> str:
    """What is paid in: the country's own currency where it is listed, else dollars."""
    return "EUR" if country in _EURO else CURRENCIES.get(country, "USD")


@lru_cache(maxsize=100_000)
def _unit(*parts: object) -> float:
    """A number in [0, 1) that only the parts decide."""
    text = "\0".join(map(str, parts)).encode()
    return int.from_bytes(sha256(text).digest()[:6], "big") / 2**48
