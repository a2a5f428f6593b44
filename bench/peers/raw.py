"""What the disk and the event loop allow with no durability library at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from pathlib import Path
from typing import Any

import apsw
import pydantic

from bench.work import rate, value_of, wait_item

BODY = b"x" * 40
INSERT = "INSERT INTO t VALUES (?, ?, ?)"


def _open(work: Path) -> apsw.Connection:
    connection = apsw.Connection(str(work / "raw.db"))
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t(run INTEGER, name TEXT, body BLOB)")
    return connection


def commits(work: Path, n: int) -> dict[str, Any]:
    """One row a commit."""
    connection = _open(work)
    execute = connection.execute
    started = time.perf_counter()
    for i in range(n):
        execute(INSERT, (i, "step", BODY))
    return rate(n, started)


def groups(work: Path, n: int, size: int = 64) -> dict[str, Any]:
    """Rows in groups of `size` a commit."""
    connection = _open(work)
    started = time.perf_counter()
    for first in range(0, n, size):
        with connection:
            connection.executemany(INSERT, [(first + i, "step", BODY) for i in range(size)])
    return rate((n + size - 1) // size * size, started)


def workers(work: Path, n: int, width: int = 64) -> dict[str, Any]:  # noqa: ARG001
    """`width` tasks that take items from one iterator: the fastest plain asyncio."""

    async def main() -> dict[str, Any]:
        items = iter(range(n))

        async def worker() -> None:
            for _ in items:
                await wait_item()

        started = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(width)))
        return rate(n, started)

    return asyncio.run(main())


def semaphore(work: Path, n: int, width: int = 64) -> dict[str, Any]:  # noqa: ARG001
    """`gather` over all items behind a semaphore: what people write."""

    async def main() -> dict[str, Any]:
        gate = asyncio.Semaphore(width)

        async def one() -> None:
            async with gate:
                await wait_item()

        started = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(n)))
        return rate(n, started)

    return asyncio.run(main())


def large(work: Path, n: int, size: int, shape: str) -> dict[str, Any]:
    """Milliseconds to encode a value as JSON, hash it, write it to a synced file, decode it."""
    codec = pydantic.TypeAdapter(list[dict[str, Any]] if shape == "rows" else str)
    values = [value_of(shape, size, i) for i in range(n)]
    started = time.perf_counter()
    for value in values:
        data = codec.dump_json(value)
        name = hashlib.sha256(data).hexdigest()
        with (work / name).open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        codec.validate_json(data)
    return {"value": (time.perf_counter() - started) / n * 1000}
