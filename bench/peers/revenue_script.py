"""The nightly revenue as a plain script: `python revenue_script.py CONTRACT [FOLDER]`.

It does what the job of examples/daily_revenue does, by the same functions and as much at
once, and starts anew after a crash. With a folder it keeps the result of every finished
stage there, and begins with the first that is missing.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

import httpx2
from daily_revenue import figures, rates, report
from daily_revenue import job as night
from daily_revenue.clients import appstore, database, google, slack
from daily_revenue.contract import DailyRevenue
from daily_revenue.credentials import setting


async def each(
    items: Iterable[Any], width: int, fetch: Callable[[Any], Awaitable[Any]]
) -> list[Any]:
    """What `fetch` gives for every item, `width` at a time."""
    room = asyncio.Semaphore(width)

    async def one(item: Any) -> Any:
        async with room:
            return await fetch(item)

    return await asyncio.gather(*map(one, items))


async def stage(
    folder: Path | None, name: str, make: Callable[[], Awaitable[list[Any]]]
) -> list[Any]:
    """The kept result of a stage, or its result, which is kept."""
    if folder is None:
        return await make()
    path = folder / f"{name}.pickle"
    if path.exists():
        found: list[Any] = pickle.loads(path.read_bytes())
        return found
    value = await make()
    part = path.with_suffix(".part")
    part.write_bytes(pickle.dumps(value))
    part.replace(path)
    return value


async def main(contract: DailyRevenue, folder: Path | None) -> None:
    window, day = contract.window, contract.window.date
    async with httpx2.AsyncClient(timeout=google.TIMEOUT) as http:
        token, apple = await google.access_token(http), appstore.token()

        async def ads(country: str) -> Any:
            return await night.ads.fn(country, window, token, http)

        async def store(app: Any) -> Any:
            return await night.store.fn(app, window, apple, token, http)

        reports = await stage(folder, "ads", lambda: each(contract.countries, 12, ads))
        stores = await stage(folder, "stores", lambda: each(contract.apps, 4, store))
    countries = figures.by_country(day, [one.rows for one in reports], stores)
    fx = contract.fx
    rate = rates.on(Path(fx.uri.removeprefix("file://")), fx.sha256, day)
    lines = {
        one.country: figures.lines(one, day, contract.apps, contract.currency, rate)
        for one in countries
    }
    database.prepare()

    async def write(country: str) -> Any:
        return await asyncio.to_thread(database.upsert, country, lines[country], contract.digest)

    await stage(folder, "table", lambda: each(lines, 8, write))
    moved = figures.moved(
        day, [one.rows for one in reports], contract.threshold_percent, contract.minimum_micros
    )
    rows = [line for found in lines.values() for line in found]
    message = report.write(day, rows, moved, contract.currency, [])
    slack.post(
        setting("SLACK_CHANNEL"), f"daily-revenue/{day}", message.digest, message.text,
        message.blocks,
    )  # fmt: skip


if __name__ == "__main__":
    given = [Path(text) for text in sys.argv[1:]]
    asyncio.run(main(DailyRevenue.load(given[0]), given[1] if len(given) > 1 else None))
