"""nightproof on its default store, with the defaults that a user gets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any, Literal

import apsw

from bench.work import rate, value_of, wait_item
from nightproof import Contract, job, step

_values: dict[int, Any] = {}


class Bench(Contract):
    task: Literal["bench"] = "bench"
    n: int


def store_of(work: Path) -> str:
    return f"sqlite:///{work / 'journal.db'}"


@step
async def durable(i: int) -> int:
    return i


@step
def durable_plain(i: int) -> int:
    return i


@step(pure=True)
async def pure(i: int) -> int:
    return i


@step(pure=True)
def pure_plain(i: int) -> int:
    return i


@step
async def item(i: int) -> int:
    await wait_item()
    return i


@step
async def rows(i: int) -> list[dict[str, Any]]:
    return _values[i]


@step
async def text(i: int) -> str:
    return _values[i]


@job
async def sequence(contract: Bench) -> float:
    started = time.perf_counter()
    for i in range(contract.n):
        await durable(i)
    return time.perf_counter() - started


@job
async def sequence_plain(contract: Bench) -> float:
    started = time.perf_counter()
    for i in range(contract.n):
        await durable_plain(i)
    return time.perf_counter() - started


@job
async def pure_sequence(contract: Bench) -> float:
    started = time.perf_counter()
    for i in range(contract.n):
        await pure(i)
    return started


@job
async def pure_sequence_plain(contract: Bench) -> float:
    started = time.perf_counter()
    for i in range(contract.n):
        await pure_plain(i)
    return started


@job
async def fan_out(contract: Bench) -> float:
    started = time.perf_counter()
    await item.map(range(contract.n), concurrency=64)
    return time.perf_counter() - started


@job
async def three(contract: Bench) -> int:
    return await durable(await durable(await durable(contract.n) + 1) + 1)


@job
async def all_rows(contract: Bench) -> float:
    started = time.perf_counter()
    for i in range(contract.n):
        await rows(i)
    return time.perf_counter() - started


@job
async def all_text(contract: Bench) -> float:
    started = time.perf_counter()
    for i in range(contract.n):
        await text(i)
    return time.perf_counter() - started


def _seconds(which: Any, work: Path, n: int) -> float:
    return which.run_sync(Bench(n=n), store=store_of(work))


def steps(work: Path, n: int) -> dict[str, Any]:
    return {"value": n / _seconds(sequence, work, n)}


def steps_plain(work: Path, n: int) -> dict[str, Any]:
    return {"value": n / _seconds(sequence_plain, work, n)}


def pure_steps(work: Path, n: int) -> dict[str, Any]:
    """Until the run has returned, so that what was deferred is written too."""
    return rate(n, _seconds(pure_sequence, work, n))


def pure_steps_plain(work: Path, n: int) -> dict[str, Any]:
    return rate(n, _seconds(pure_sequence_plain, work, n))


def map_items(work: Path, n: int) -> dict[str, Any]:
    return {"value": n / _seconds(fan_out, work, n)}


def runs(work: Path, n: int, width: int = 1) -> dict[str, Any]:
    async def main() -> dict[str, Any]:
        store = store_of(work)
        await three.run(Bench(n=-1), store=store)  # the store exists; one run is not measured
        numbers = iter(range(n))

        async def worker() -> None:
            for i in numbers:
                await three.run(Bench(n=i * 10), store=store)

        started = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(width)))
        return rate(n, started)

    return asyncio.run(main())


def large(work: Path, n: int, size: int, shape: str) -> dict[str, Any]:
    """Milliseconds for a step that returns `size` bytes."""
    _values.update({i: value_of(shape, size, i) for i in range(n)})
    seconds = _seconds(all_rows if shape == "rows" else all_text, work, n)
    return {"value": seconds / n * 1000}


def disk(work: Path, n: int) -> dict[str, Any]:
    """Bytes a step in the journal file, after a checkpoint."""
    return _bytes_each(sequence, work, n)


def disk_map(work: Path, n: int) -> dict[str, Any]:
    """Bytes a map item in the journal file, after a checkpoint."""
    return _bytes_each(fan_out, work, n)


def _bytes_each(which: Any, work: Path, n: int) -> dict[str, Any]:
    _seconds(which, work, 1)
    before = _size(work)
    _seconds(which, work, n)
    return {"value": (_size(work) - before) / n}


def _size(work: Path) -> int:
    path = work / "journal.db"
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return path.stat().st_size
