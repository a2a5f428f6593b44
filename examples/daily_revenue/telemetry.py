"""Another job on the same quota: impressions by country, several times a day.

It may use three tenths of what AdMob allows the project, however much it asks for, so
the night's revenue is never kept waiting by it (see ADMOB in :mod:`allowance`).
"""

from __future__ import annotations

from typing import Literal

import httpx2

from nightproof import Ambient, Contract, Retry, Window, job, measure, step

from .allowance import ADMOB
from .clients import admob, google
from .job import google_token


class Telemetry(Contract):
    """Which hours, which countries; `rounds` is how often each is looked at."""

    task: Literal["telemetry"] = "telemetry"
    window: Window
    countries: list[str]
    rounds: int = 1


@step(retry=Retry(attempts=6), timeout=150, quota=ADMOB)
async def impressions(
    question: str, window: Window, token: str, http: Ambient[httpx2.AsyncClient]
) -> int:
    """How often ads of a country were shown on the day."""
    country = question.partition("/")[0]
    found = await admob.report(http, token, country, window.date, window.date)
    return sum(row.impressions for row in found.rows)


@job
async def telemetry(contract: Telemetry) -> int:
    """All of them, as fast as the quota lets it."""
    headers = {"User-Agent": "telemetry"}
    async with httpx2.AsyncClient(timeout=google.TIMEOUT, headers=headers) as http:
        token = await google_token(http)
        questions = [f"{one}/{n}" for n in range(contract.rounds) for one in contract.countries]
        found = await impressions.map(
            questions, key=str, concurrency=16, window=contract.window, token=token, http=http
        )
    measure("impressions", sum(found))
    return sum(found)
