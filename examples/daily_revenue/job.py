"""The nightly revenue: ``nightproof run examples/daily_revenue/job.py contract.json``.

Five stages: ads by country, installs and sales by app, the table, what moved, the
report. The body decides; the steps do the work; the clients know nothing of steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx2

from nightproof import (
    Ambient,
    Dataset,
    Retry,
    Window,
    artifact,
    decide,
    effect,
    expect,
    job,
    measure,
    step,
)

from . import figures, rates, report
from .allowance import ADMOB
from .clients import admob, appstore, database, google, play, slack
from .clients.admob import AdReport
from .clients.database import Stored
from .clients.slack import Posted
from .contract import AppRef, DailyRevenue, nightly_contract
from .credentials import setting
from .figures import Anomaly, AppDay, CountryDay
from .report import Report

PATIENT = Retry(attempts=6)


@dataclass(frozen=True)
class Summary:
    """The night in short; money in millionths of `currency`."""

    day: date
    countries: int
    rows: int
    inserted: int
    updated: int
    unchanged: int
    revenue_micros: int
    currency: str
    anomalies: list[Anomaly]
    message: Posted
    report_sha256: str


@step(expires=timedelta(minutes=50), secret=True, retry=PATIENT)
async def google_token(http: Ambient[httpx2.AsyncClient]) -> str:
    """Access to AdMob and to Google Play's bucket."""
    return await google.access_token(http)


@step(expires=timedelta(minutes=18), secret=True)
def app_store_token() -> str:
    """Apple's tokens live 20 minutes at most."""
    return appstore.token()


@step(retry=PATIENT, timeout=150, quota=ADMOB)
async def ads(
    country: str, window: Window, token: str, http: Ambient[httpx2.AsyncClient]
) -> AdReport:
    """What a country's ads earned on the day, and in the week before."""
    last = window.date
    return await admob.report(http, token, country, last - figures.WEEK, last)


@step(retry=PATIENT, timeout=150)
async def store(
    app: AppRef,
    window: Window,
    apple_token: str,
    play_token: str,
    http: Ambient[httpx2.AsyncClient],
) -> list[AppDay]:
    """Installs and sales of one app, by country."""
    day = window.date
    if app.platform == "ios":
        sold = await appstore.sales(http, apple_token, day, app.apple_id)
        return [AppDay(app.id, s.country, s.installs, s.proceeds, s.currency) for s in sold]
    file = await play.locate(http, play_token, app.package, day)
    installed = [] if file is None else await play.installs(http, play_token, file, day)
    if not installed:
        decide(f"no installs of {app.id}", because="Google Play is days behind, or there were none")
    return [AppDay(app.id, one.country, one.installs, Decimal(0), "EUR") for one in installed]


@step
def rates_of(fx: Dataset, window: Window) -> dict[str, Decimal]:
    """The ECB's rates in force on the day."""
    return rates.on(fx.path, fx.sha256, window.date)


@step(retry=PATIENT)
def prepare_table() -> None:
    """The table, where it is not there yet."""
    database.prepare()


@step(retry=PATIENT, timeout=60)
def upsert(
    found: CountryDay,
    day: date,
    apps: list[AppRef],
    currency: str,
    rate: dict[str, Decimal],
    night: str,
) -> Stored:
    """Convert a country's money and write its lines; unchanged ones are left alone."""
    lines = figures.lines(found, day, apps, currency, rate)
    return database.upsert(found.country, lines, night)


@step(pure=True)
def anomalies(
    reports: list[AdReport], day: date, threshold_percent: int, minimum_micros: int
) -> list[Anomaly]:
    """The countries that moved."""
    rows = [one.rows for one in reports]
    return figures.moved(day, rows, threshold_percent, minimum_micros)


@step(pure=True)
def render(
    countries: list[CountryDay],
    found: list[Anomaly],
    contract: DailyRevenue,
    rate: dict[str, Decimal],
    remarks: list[str],
) -> Report:
    """The report, as a file and as a message."""
    day, currency = contract.window.date, contract.currency
    rows = [
        line for one in countries for line in figures.lines(one, day, contract.apps, currency, rate)
    ]
    return report.write(day, rows, found, currency, remarks)


def find_report(day: date, channel: str, message: Any) -> Posted | None:
    """Ask the channel's history whether the message of a day is there."""
    del message  # the key alone says which message it is
    return slack.find(channel, _key(day))


@effect(key="daily-revenue/{day}", unknown=find_report, retry=PATIENT, timeout=60)
def post_report(day: date, channel: str, message: Ambient[Report]) -> Posted:
    """Tell the channel, once per date, whatever the message says."""
    return slack.post(channel, _key(day), message.digest, message.text, message.blocks)


@step(retry=PATIENT)
def shown(posted: Posted, day: date, revision: int) -> str:
    """The digest of what the channel shows of a day before this revision."""
    del revision  # another one asks again
    found = slack.find(posted.channel, _key(day))
    return found.digest if found is not None else posted.digest


@effect(key="daily-revenue/{day}/revision-{revision}", unknown="retry", retry=PATIENT, timeout=60)
def correct_report(day: date, revision: int, posted: Posted, message: Ambient[Report]) -> Posted:
    """Let the message of a day say what is known now; a second time changes nothing."""
    del revision
    return slack.correct(posted, _key(day), message.digest, message.text, message.blocks)


def _key(day: date) -> str:
    return f"daily-revenue/{day.isoformat()}"


@job
async def daily_revenue(contract: DailyRevenue) -> Summary:
    """One day of revenue: collected, stored, looked through, told."""
    window, day = contract.window, contract.window.date
    async with httpx2.AsyncClient(timeout=google.TIMEOUT) as http:
        token = await google_token(http)
        reports = await ads.map(
            contract.countries, key=str, concurrency=12, window=window, token=token, http=http
        )
        stores = await store.map(
            contract.apps, key=lambda app: app.id, concurrency=4, window=window,
            apple_token=await app_store_token(), play_token=token, http=http,
        )  # fmt: skip
    remarks = sorted({warning for one in reports for warning in one.warnings})
    if "DATA_DELAYED" in remarks:
        decide("numbers of the day may still change", because="AdMob says DATA_DELAYED")

    countries = figures.by_country(day, [one.rows for one in reports], stores)
    expect(countries, f"no revenue rows of {day} at all")
    rate = await rates_of(contract.fx, window)
    await prepare_table()
    written = await upsert.map(
        countries, key=lambda one: one.country, concurrency=8, day=day, apps=contract.apps,
        currency=contract.currency, rate=rate, night=contract.digest,
    )  # fmt: skip
    rows = sum(one.inserted + one.updated + one.unchanged for one in written)
    measure("rows", rows)

    found = await anomalies(reports, day, contract.threshold_percent, contract.minimum_micros)
    message = await render(countries, found, contract, rate, remarks)
    file = await artifact("report.md", message.markdown)
    posted = await post_report(day, setting("SLACK_CHANNEL"), message)
    if contract.revision and await shown(posted, day, contract.revision) != message.digest:
        posted = await correct_report(day, contract.revision, posted, message)

    revenue = sum(
        line.ads_micros + line.proceeds_micros
        for one in countries
        for line in figures.lines(one, day, contract.apps, contract.currency, rate)
    )
    measure("revenue", revenue / 1_000_000)
    return Summary(
        day=day,
        countries=len(written),
        rows=rows,
        inserted=sum(one.inserted for one in written),
        updated=sum(one.updated for one in written),
        unchanged=sum(one.unchanged for one in written),
        revenue_micros=revenue,
        currency=contract.currency,
        anomalies=found,
        message=posted,
        report_sha256=file.sha256,
    )


@daily_revenue.nightly("04:30", tz="Asia/Tokyo")
def tonight(fire: datetime) -> DailyRevenue:
    """Noon in Los Angeles: the day that ended there twelve hours ago."""
    return nightly_contract(fire)
