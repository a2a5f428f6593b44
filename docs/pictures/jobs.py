"""Three jobs with a month of nights behind them, for the pictures in the README.

Rates come from a seeded generator, so every night has figures of its own that are the same in
every replicate; what goes wrong, and on which dates, is in ``faults.json`` beside this file.
"""

import json
import os
import random
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from nightproof import Contract, Retry, Window, artifact, effect, expect, job, measure, step

COUNTRIES = "DE FR IT ES PL NL SE JP US BR MX CA".split()
FAULTS = json.loads(Path(__file__).with_name("faults.json").read_text())
FORMAT = Path("~/.config/report-format").expanduser()
PACE = float(os.environ.get("PACE", "0"))
"""How long one answer of an API takes, in seconds."""


class DailyRevenue(Contract):
    task: Literal["daily-revenue"] = "daily-revenue"
    window: Window
    countries: list[str] = COUNTRIES


class CatalogueNight(Contract):
    task: Literal["catalogue"] = "catalogue"
    window: Window
    products: int = 240


class WeeklyReport(Contract):
    task: Literal["weekly-report"] = "weekly-report"
    window: Window


def yesterday(fire: datetime) -> Window:
    """The day before the night."""
    return Window.settled_day("Europe/Berlin", fire, after="4h")


@step(retry=Retry(attempts=3, base=0.05))
def fetch_country(country: str, window: Window) -> float:
    time.sleep(PACE * random.uniform(0.6, 1.4))
    seen = Path(f"asked-{country}-{window.date}")
    if country in ("IT", "US") and not seen.exists():
        seen.touch()
        raise ConnectionError("503 from the reports API")
    if country == "JP" and str(window.date) in FAULTS["quota"] and not os.environ.get("QUOTA"):
        raise ValueError("429: the daily quota of requests is used up")
    return round(random.lognormvariate(7.0, 0.4), 2)


@step(pure=True)
def anomalies(totals: dict[str, float]) -> list[str]:
    time.sleep(PACE / 2)
    middle = sorted(totals.values())[len(totals) // 2]
    return [country for country, total in totals.items() if abs(total / middle - 1) > 0.6]


@effect(key="daily-revenue/{window.date}", unknown="hold")
def post_report(window: Window, text: str) -> str:
    time.sleep(PACE / 2)
    if str(window.date) in FAULTS["reset"]:
        raise ConnectionError("the connection was reset after the request was sent")
    return f"posted {len(text)} characters"


@job
async def daily_revenue(contract: DailyRevenue) -> float:
    found = await fetch_country.map(
        contract.countries, key=str, window=contract.window, concurrency=4
    )
    totals = dict(zip(contract.countries, found, strict=True))
    expect(totals, "no revenue at all")
    measure("revenue", round(sum(totals.values())))
    unusual = await anomalies(totals)
    report = f"# Revenue of {contract.window.date}\n\n" + "".join(
        f"* {country}: {total:,.2f}{'  **look**' if country in unusual else ''}\n"
        for country, total in totals.items()
    )
    await artifact("report.md", report)
    await post_report(contract.window, report)
    return sum(totals.values())


@step(retry=Retry(attempts=1))
def enrich(product: int) -> int:
    return random.randint(1, 9) + product


@job
async def catalogue(contract: CatalogueNight) -> int:
    found = await enrich.map(range(contract.products), key=lambda n: f"sku-{n:05}", concurrency=8)
    measure("products", len(found))
    return sum(found)


@step
def wording(window: Window) -> str:
    style = FORMAT.read_text().strip() if FORMAT.exists() else "plain"
    return f"Week of {window.date}: revenue held steady. ({style})"


@job
async def weekly_report(contract: WeeklyReport) -> str:
    text = await wording(contract.window)
    measure("words", len(text.split()))
    await artifact("weekly.md", text)
    return text


@daily_revenue.nightly("04:30", tz="Europe/Berlin")
def revenue_tonight(fire: datetime) -> DailyRevenue:
    return DailyRevenue(window=yesterday(fire))


@catalogue.nightly("03:00", tz="Europe/Berlin")
def catalogue_tonight(fire: datetime) -> CatalogueNight:
    return CatalogueNight(window=yesterday(fire))


@weekly_report.cron("0 6 * * 1", tz="Europe/Berlin")
def report_tonight(fire: datetime) -> WeeklyReport:
    end = yesterday(fire).end
    return WeeklyReport(window=Window(start=end - timedelta(days=7), end=end))
