"""satay on its SQLite journal (it chooses WAL itself), through `run_app`."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import satay

from bench.work import rate, value_of, wait_item

_values: dict[int, Any] = {}


@satay.task()
async def small(i: int) -> int:
    return i


@satay.task()
async def item(i: int) -> int:
    await wait_item()
    return i


@satay.task()
async def value(i: int) -> Any:
    return _values[i]


@satay.workflow
async def sequence(n: int) -> float:
    started = time.perf_counter()
    for i in range(n):
        await small(i)
    return time.perf_counter() - started


@satay.workflow
async def fan_out(n: int) -> float:
    started = time.perf_counter()
    await satay.map(item, range(n), key=str, concurrency=64)
    return time.perf_counter() - started


@satay.workflow
async def three(n: int) -> int:
    return await small(await small(await small(n)))


@satay.workflow
async def values(n: int) -> float:
    started = time.perf_counter()
    for i in range(n):
        await value(i)
    return time.perf_counter() - started


def _one(work: Path, workflow: Callable[[int], Awaitable[Any]], n: int) -> Any:
    async def main() -> Any:
        async with satay.run_app(data_dir=work) as store:
            return await satay.start(workflow, n, store=store).result()

    return asyncio.run(main())


def steps(work: Path, n: int) -> dict[str, Any]:
    return {"value": n / _one(work, sequence, n)}


def map_items(work: Path, n: int) -> dict[str, Any]:
    return {"value": n / _one(work, fan_out, n)}


def runs(work: Path, n: int, width: int = 1) -> dict[str, Any]:
    async def main() -> dict[str, Any]:
        async with satay.run_app(data_dir=work) as store:
            numbers = iter(range(n))

            async def worker() -> None:
                for i in numbers:
                    await satay.start(three, i, store=store).result()

            started = time.perf_counter()
            await asyncio.gather(*(worker() for _ in range(width)))
            return rate(n, started)

    return asyncio.run(main())


def large(work: Path, n: int, size: int, shape: str) -> dict[str, Any]:
    """Milliseconds for a step that returns `size` bytes."""
    _values.update({i: value_of(shape, size, i) for i in range(n)})
    return {"value": _one(work, values, n) / n * 1000}


def disk(work: Path, n: int) -> dict[str, Any]:
    """Bytes a step in the database file, after a checkpoint."""
    _one(work, sequence, n)
    path = next(work.rglob("*.db"))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return {"value": path.stat().st_size / n}
