"""AdMob API v1: one report of one country.

Source: AdMob API, ``accounts.networkReport.generate``. The answer is one JSON array
of a header, rows and a footer, which may hold an error in the middle; without its
footer it was cut short.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import httpx2

from nightproof import Transient

from ..credentials import setting
from .google import refusal

BASE_URL = "https://admob.googleapis.com"
MOST_ROWS = 100_000


@dataclass(frozen=True)
class AdRow:
    """A day of one app in one country; money in millionths of a US dollar."""

    day: date
    country: str
    app: str
    micros: int
    impressions: int


@dataclass(frozen=True)
class AdReport:
    """The rows, and what AdMob warns of: ``DATA_DELAYED`` and others."""

    rows: list[AdRow]
    warnings: list[str]


def body(country: str, first: date, last: date) -> dict[str, Any]:
    """The request for one country, from `first` to `last`, both included."""
    return {
        "reportSpec": {
            "dateRange": {"startDate": _date(first), "endDate": _date(last)},
            "dimensions": ["DATE", "APP", "COUNTRY"],
            "metrics": ["ESTIMATED_EARNINGS", "IMPRESSIONS"],
            "dimensionFilters": [{"dimension": "COUNTRY", "matchesAny": {"values": [country]}}],
            "sortConditions": [{"dimension": "APP", "order": "ASCENDING"}],
            "localizationSettings": {"currencyCode": "USD", "languageCode": "en-US"},
            "timeZone": "America/Los_Angeles",
            "maxReportRows": MOST_ROWS,
        }
    }


async def report(
    http: httpx2.AsyncClient, token: str, country: str, first: date, last: date
) -> AdReport:
    """Ask for the report. Raises what triage can read: HTTP errors, and those inside answers."""
    base = setting("ADMOB_BASE_URL", BASE_URL).rstrip("/")
    answer = await http.post(
        f"{base}/v1/accounts/{setting('ADMOB_PUBLISHER')}/networkReport:generate",
        json=body(country, first, last),
        headers={"Authorization": f"Bearer {token}"},
    )
    answer.raise_for_status()
    return read(answer.json())


def read(content: Any) -> AdReport:
    """The report in an answer; raises the error that it holds, Transient for one cut short."""
    parts = content if isinstance(content, list) else [content]
    rows: list[AdRow] = []
    footer = None
    for part in parts:
        if "error" in part:
            raise refusal(part["error"])
        if "row" in part:
            rows.append(_row(part["row"]))
        footer = part.get("footer", footer)
    if footer is None:
        raise Transient(f"AdMob's answer ended after {len(rows)} rows, without its footer")
    # Nothing promises an order; the same rows shall be the same result.
    rows.sort(key=lambda row: (row.day, row.country, row.app))
    return AdReport(rows, sorted({one.get("type", "") for one in footer.get("warnings", [])}))


def _row(row: dict[str, Any]) -> AdRow:
    found = {name: value["value"] for name, value in row["dimensionValues"].items()}
    metrics = {name: _number(value) for name, value in row.get("metricValues", {}).items()}
    text = found["DATE"]
    return AdRow(
        date(int(text[:4]), int(text[4:6]), int(text[6:])),
        found["COUNTRY"],
        found["APP"],
        metrics.get("ESTIMATED_EARNINGS", 0),
        metrics.get("IMPRESSIONS", 0),
    )


def _number(value: dict[str, Any]) -> int:
    """int64 come as texts; which field is there says what kind of number it is."""
    for name in ("microsValue", "integerValue"):
        if name in value:
            return int(value[name])
    return round(value.get("doubleValue", 0.0))


def _date(day: date) -> dict[str, int]:
    return {"year": day.year, "month": day.month, "day": day.day}
