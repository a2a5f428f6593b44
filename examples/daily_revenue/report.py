"""The night in words: a Markdown file, and a message for the channel."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from .clients.database import Line
from .figures import Anomaly

TOP = 10
_MOST_FACTS = 10
"""Slack shows so many fields in a section."""


@dataclass(frozen=True)
class Report:
    """The file, and the message with the digest of what it says."""

    markdown: str
    text: str
    blocks: list[dict[str, Any]]
    digest: str


def money(micros: int, currency: str) -> str:
    """Millionths as an amount for people."""
    return f"{micros / 1_000_000:,.2f} {currency}"


def write(
    day: date,
    rows: Sequence[Line],
    anomalies: Sequence[Anomaly],
    currency: str,
    remarks: Sequence[str],
) -> Report:
    """The report of a day. The same rows make the same bytes."""
    total = sum(row.ads_micros + row.proceeds_micros for row in rows)
    countries: dict[str, int] = defaultdict(int)
    apps: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        countries[row.country] += row.ads_micros + row.proceeds_micros
        for index, value in enumerate((row.ads_micros, row.proceeds_micros, row.installs)):
            apps[row.app][index] += value
    best = sorted(countries.items(), key=lambda one: (-one[1], one[0]))[:TOP]
    title = f"Revenue of {day.isoformat()}"
    head = f"{money(total, currency)} in {len(countries)} countries, {len(anomalies)} that moved"
    parts = [f"# {title}", "", head, "", "## Apps", "", "| App | Ads | Sales | Installs |",
             "|---|--:|--:|--:|"]  # fmt: skip
    parts += [
        f"| {app} | {money(ads, currency)} | {money(sales, currency)} | {installs:,} |"
        for app, (ads, sales, installs) in sorted(apps.items())
    ]
    parts += ["", f"## The {len(best)} largest countries", "", "| Country | Revenue |", "|---|--:|"]
    parts += [f"| {country} | {money(micros, currency)} |" for country, micros in best]
    parts += ["", "## What moved against the same weekday before", ""]
    parts += [f"- {_said(one)}" for one in anomalies] or ["Nothing beyond the threshold."]
    if remarks:
        parts += ["", "## Remarks", "", *(f"- {remark}" for remark in remarks)]
    text = f"{title}: {head}"
    blocks = _blocks(title, head, anomalies, remarks)
    digest = hashlib.sha256(json.dumps([text, blocks], sort_keys=True).encode()).hexdigest()
    return Report("\n".join(parts) + "\n", text, blocks, digest)


def _blocks(
    title: str, head: str, anomalies: Sequence[Anomaly], remarks: Sequence[str]
) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title}},
        {"type": "section", "text": {"type": "mrkdwn", "text": head}},
    ]
    facts = [{"type": "mrkdwn", "text": _said(one)} for one in anomalies[:_MOST_FACTS]]
    if facts:
        blocks.append({"type": "section", "fields": facts})
    if remarks:
        told = [{"type": "mrkdwn", "text": remark} for remark in remarks[:_MOST_FACTS]]
        blocks.append({"type": "context", "elements": told})
    return blocks


def _said(one: Anomaly) -> str:
    return (
        f"{one.country} {one.percent:+d} %: {money(one.before, 'USD')} a week before, "
        f"{money(one.now, 'USD')} now"
    )
