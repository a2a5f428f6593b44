"""The weekly report: ``nightproof run examples/weekly_report/job.py:weekly_report contract.json``.

The body decides; the steps do the work; the functions they call are plain and
know nothing of nightproof.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from nightproof import (
    Dataset,
    ModelPin,
    PromptTemplate,
    Ref,
    Retry,
    artifact,
    effect,
    expect,
    job,
    measure,
    prompt,
    step,
)
from nightproof.model import clock

from . import analysis, markdown, narrative, page, rates, slack, summary, writer
from .analysis import Anomaly, CurrencyWeek
from .chart import bars
from .contract import WeeklyReport
from .narrative import Narrative
from .rates import Days, RateTable
from .summary import Week

DELAY_VARIABLE = "NIGHTPROOF_DEMO_DELAY"
"""Seconds that each currency waits, so that a demonstration can be killed half-way."""


@dataclass(frozen=True)
class Files:
    """What is delivered."""

    markdown: str
    html: str
    chart: str


@dataclass(frozen=True)
class Result:
    """The report in short."""

    headline: str
    period: str
    currencies: int
    active: int
    anomalies: list[str]
    narrative: str
    report_sha256: str


@step
def load(data: Dataset, days: Days) -> Ref[RateTable]:
    """Read the data file, check it once more, and keep what the report may know."""
    content = rates.read_verified(data.path, data.sha256)
    return Ref(rates.table_until(content, days))


@step(pure=True)
def currencies(table: Ref[RateTable]) -> list[str]:
    """The currency codes of the data."""
    return sorted(table.get().rates)


# Not pure, although it is: each result is on disk when it counts as done.
@step
def analyse_currency(code: str, table: Ref[RateTable], days: Days) -> CurrencyWeek:
    """One currency against its own five years."""
    delay = float(os.environ.get(DELAY_VARIABLE) or 0)
    if delay > 0:
        clock.block(delay)
    return analysis.analyse(table.get(), code, days)


@step(pure=True)
def anomalies(weeks: list[CurrencyWeek]) -> list[Anomaly]:
    """The moves beyond three standard deviations."""
    return analysis.anomalies(weeks)


@step(retry=Retry(attempts=6), timeout=90)
def narrate(template: PromptTemplate, week: Week, pin: ModelPin) -> Narrative:
    """By the pinned model where a key is configured, else by the template alone."""
    return writer.write(template, week, pin)


@step(pure=True)
def render(week: Week, text: Narrative, dataset_sha256: str) -> Files:
    """The report in its formats."""
    return Files(
        markdown.render(week, text, dataset_sha256),
        page.render(week, text, dataset_sha256),
        bars(week),
    )


def find_message(site: str, period: str, message: dict[str, Any]) -> int | None:
    """Ask the sink whether the message of this week is there."""
    del message  # the key alone says which message it is
    return slack.find(slack.sink_path(), slack.key(site, period))


@effect(key="weekly-report/{site}/{period}", unknown=find_message)
def notify(site: str, period: str, message: dict[str, Any]) -> int:
    """Tell the channel, once a week and desk; where in the sink the line begins."""
    return slack.append(slack.sink_path(), slack.key(site, period), message)


@job
async def weekly_report(contract: WeeklyReport) -> Result:
    """The week of the euro against every currency of the ECB's list."""
    inputs, days = contract.inputs, contract.days
    template = prompt(contract.prompt_template_id)
    table = await load(contract.dataset, days)
    codes = await currencies(table)
    results = await analyse_currency.map(codes, key=str, concurrency=4, table=table, days=days)
    measure("currencies", len(results))
    active = sum(one.status == "active" for one in results)
    measure("currencies with a rate", active)
    expect(active, f"no currency has a rate from {days.first} to {days.last}")

    week = summary.summarise(inputs.site_id, days, results, await anomalies(results))
    text = await narrate(template, week, contract.model)
    files = await render(week, text, inputs.dataset_sha256)
    await artifact(markdown.CHART, files.chart)
    await artifact("report.md", files.markdown)
    report = await artifact("report.html", files.html)
    await notify(
        inputs.site_id,
        f"{days.first}/{days.until}",
        slack.message(week, text, report.sha256),
    )
    return Result(
        headline=summary.headline(week),
        period=week.period,
        currencies=len(results),
        active=active,
        anomalies=[summary.stated(one) for one in week.anomalies],
        narrative=narrative.authorship(text),
        report_sha256=report.sha256,
    )
