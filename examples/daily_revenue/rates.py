"""The ECB's daily euro reference rates.

Source: European Central Bank, euro foreign exchange reference rates,
``eurofxref-hist.zip``: one CSV, newest day first, units of a currency for one euro.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

MICROS = Decimal(1_000_000)


class RatesError(ValueError):
    """The file is not what the contract names, or has no rate."""


def on(path: Path, sha256: str, day: date) -> dict[str, Decimal]:
    """Units for one euro, by currency, on the last day with rates up to `day`.

    Raises RatesError where the file is another one, or begins later.
    """
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise RatesError(f"{path} has the sha256 {found}, the contract names {sha256}")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    for row in csv.DictReader(io.StringIO(text, newline="")):
        if row["Date"] <= day.isoformat():
            rates = {
                name: Decimal(value)
                for name, value in row.items()
                if name and name != "Date" and value not in ("N/A", "", None)
            }
            return {"EUR": Decimal(1), **rates}
    raise RatesError(f"{path} has no rates up to {day}")


def converted(amount: Decimal, source: str, target: str, rates: dict[str, Decimal]) -> int:
    """An amount of `source` in millionths of `target`. Raises RatesError without a rate."""
    missing = [name for name in (source, target) if name not in rates]
    if missing:
        raise RatesError(f"the ECB has no rate of {', '.join(missing)}")
    return int((amount * MICROS * rates[target] / rates[source]).to_integral_value())
