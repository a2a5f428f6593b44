"""The report as Markdown."""

from __future__ import annotations

import re

from . import summary, wording
from .analysis import CurrencyWeek
from .narrative import Narrative, authorship, warnings
from .summary import Week

CHART = "chart.svg"


def render(week: Week, narrative: Narrative, dataset_sha256: str) -> str:
    """``report.md``; the chart lies beside it."""
    lines = [
        f"# {summary.headline(week)}",
        "",
        (
            f"Weekly currency report for **{week.site}**, {week.period}. "
            "EUR/XXX up means that the euro buys more of XXX."
        ),
        "",
        *(f"> **Note:** {one}\n" for one in warnings(narrative)),
        _literal(narrative.text),
        "",
        f"*{authorship(narrative)}*",
        "",
        (
            f"![{summary.headline(week)}: weekly changes of EUR against {len(week.active)} "
            f"currencies]({CHART})"
        ),
        "",
        *_anomalies(week),
        "## All currencies",
        "",
        "| Pair | Currency | Before | Last | Change | σ | Rank | Volatility a year |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
        *(_row(one) for one in week.active),
        "",
        *_absent(week),
        "## How this was made",
        "",
        *(f"- {one}" for one in method(week, dataset_sha256)),
    ]
    return "\n".join(lines) + "\n"


def _literal(text: str) -> str:
    """Text in which nothing is markup: a model must not put an image into the report."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", text)


def method(week: Week, dataset_sha256: str) -> list[str]:
    """What the numbers mean and where they come from; every format ends with it."""
    return [
        f"Source: European Central Bank, euro reference rates; file sha256 {dataset_sha256}.",
        f"Period: rates fixed from {week.period}, against the last rate before it.",
        (
            "σ: the change, less the mean of the currency's earlier weekly changes within five "
            "years, in their standard deviations. Beyond 3 is unusual."
        ),
        "Rank: 1 is the euro's largest rise against the currency among the weeks compared.",
        "Volatility: standard deviation of the past year's daily log returns, times √252.",
    ]


def cells(one: CurrencyWeek) -> list[str]:
    """The numbers of a row: before, last, change, σ, rank, volatility."""
    return [
        wording.rate(one.before_rate or 0.0),
        wording.rate(one.last_rate or 0.0),
        wording.percent(summary.change(one)),
        "–" if one.z is None else wording.signed(one.z, 1),
        f"{one.rank} of {one.weeks}",
        "–" if one.volatility is None else wording.share(one.volatility),
    ]


def _row(one: CurrencyWeek) -> str:
    return f"| {summary.pair(one.code)} | {wording.name(one.code)} | {' | '.join(cells(one))} |"


def _anomalies(week: Week) -> list[str]:
    if not week.anomalies:
        return []
    lines = ["## Unusual moves", ""]
    for one in week.anomalies:
        usual = wording.share(one.deviation, 2)
        lines.append(
            f"- **{summary.stated(one)}** ({wording.name(one.code)}): "
            f"{wording.signed(one.z, 1)} standard deviations of {usual}, {summary.since(one)}."
        )
    return [*lines, ""]


def _absent(week: Week) -> list[str]:
    if not week.absent:
        return []
    lines = ["## Without a rate in this period", ""]
    lines += [
        f"- {one.code}, {wording.name(one.code)}: {summary.absence(one)}" for one in week.absent
    ]
    return [*lines, ""]
