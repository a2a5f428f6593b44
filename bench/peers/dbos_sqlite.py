"""DBOS with its SQLite system database, switched to WAL (its own default is slower)."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dbos import DBOS

from bench.work import rate, value_of, wait_item

_values: dict[int, Any] = {}


def configure(path: Path) -> None:
    """Creates the WAL database when there is none and constructs DBOS on it."""
    if not path.exists():
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    construct(f"sqlite:///{path}")


def construct(url: str) -> None:
    """DBOS on a system database."""
    DBOS(
        config={
            "name": "bench",
            "system_database_url": url,
            "log_level": "ERROR",
            "application_version": "bench",
        }
    )


@contextlib.contextmanager
def launched(work: Path) -> Iterator[Path]:
    path = work / "dbos.sqlite"
    configure(path)
    DBOS.launch()
    yield path
    DBOS.destroy()


@DBOS.step()
def plain(i: int) -> int:
    return i


@DBOS.step()
async def item(i: int) -> int:
    await wait_item()
    return i


@DBOS.step()
def value(i: int) -> Any:
    return _values[i]


@DBOS.workflow()
def sequence(n: int) -> float:
    started = time.perf_counter()
    for i in range(n):
        plain(i)
    return time.perf_counter() - started


@DBOS.workflow()
async def fan_out(n: int, width: int) -> float:
    gate = asyncio.Semaphore(width)

    async def one(i: int) -> int:
        async with gate:
            return await item(i)

    started = time.perf_counter()
    await asyncio.gather(*(one(i) for i in range(n)))
    return time.perf_counter() - started


@DBOS.workflow()
def three(n: int) -> int:
    return plain(plain(plain(n)))


@DBOS.workflow()
def values(n: int) -> float:
    started = time.perf_counter()
    for i in range(n):
        value(i)
    return time.perf_counter() - started


def steps(work: Path, n: int) -> dict[str, Any]:
    """Plain functions: faster here than async ones, which hop to a thread twice."""
    with launched(work):
        return {"value": n / sequence(n)}


def map_items(work: Path, n: int, width: int = 64) -> dict[str, Any]:
    with launched(work):
        return {"value": n / asyncio.run(fan_out(n, width))}


def runs(work: Path, n: int, width: int = 1) -> dict[str, Any]:
    with launched(work):
        started = time.perf_counter()
        for first in range(0, n, width):
            handles = [DBOS.start_workflow(three, i) for i in range(first, min(n, first + width))]
            for handle in handles:
                handle.get_result()
        return rate(n, started)


def runs_direct(work: Path, n: int) -> dict[str, Any]:
    """One after another, called directly: no thread, no polling."""
    with launched(work):
        started = time.perf_counter()
        for i in range(n):
            three(i)
        return rate(n, started)


def large(work: Path, n: int, size: int, shape: str) -> dict[str, Any]:
    """Milliseconds for a step that returns `size` bytes."""
    _values.update({i: value_of(shape, size, i) for i in range(n)})
    with launched(work):
        return {"value": values(n) / n * 1000}


def disk(work: Path, n: int) -> dict[str, Any]:
    """Bytes a step in the database file, after a checkpoint."""
    with launched(work) as path:
        before = _size(path)
        sequence(n)
        return {"value": (_size(path) - before) / n}


def _size(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size
