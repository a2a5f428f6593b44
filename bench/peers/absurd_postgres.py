"""Absurd on a local Postgres with default settings, through its SDK's workers."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
from absurd_sdk import AsyncAbsurd

from bench.work import value_of, wait_item

POLL_SECONDS = 0.002  # the default of 0.25 s would dominate every row
TEMPLATE = "absurd_template"
OPEN = {"pending", "running", "sleeping"}


def prepare(server: str) -> None:
    """Creates the template database that every measurement starts from."""
    from absurdctl import BUNDLED_SCHEMA_SQL

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    with psycopg.connect(_in_database(server, TEMPLATE), autocommit=True) as connection:
        connection.execute(BUNDLED_SCHEMA_SQL)
        connection.execute("SELECT absurd.create_queue('bench')")


def database() -> str:
    """A fresh database from the template; its connection string."""
    server = os.environ["BENCH_POSTGRES"]
    name = f"m_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    return _in_database(server, name)


def _in_database(server: str, name: str) -> str:
    info = psycopg.conninfo.conninfo_to_dict(server)
    return psycopg.conninfo.make_conninfo("", **{**info, "dbname": name})


Handler = Callable[[Any, Any], Awaitable[Any]]


async def _run(
    handler: Handler, params: list[Any], concurrency: int = 1, dsn: str = ""
) -> tuple[list[Any], float]:
    """Spawns one task per parameter, works them all off; results and seconds from spawn."""
    dsn = dsn or database()
    app = AsyncAbsurd(dsn, queue_name="bench")
    app.register_task(name="bench")(handler)
    waiting = AsyncAbsurd(dsn, queue_name="bench")
    worker = asyncio.create_task(
        app.start_worker(concurrency=concurrency, poll_interval=POLL_SECONDS, claim_timeout=600)
    )
    started = time.perf_counter()
    results = []
    for first in range(0, len(params), concurrency):
        group = params[first : first + concurrency]
        ids = [(await waiting.spawn("bench", one, queue="bench"))["task_id"] for one in group]
        results += [await _result(waiting, task) for task in ids]
    seconds = time.perf_counter() - started
    app.stop_worker()
    await worker
    await app.close()
    await waiting.close()
    return results, seconds


async def _result(app: AsyncAbsurd, task: str) -> Any:
    """Polls like the SDK's await_task_result, only sooner."""
    while True:
        found = await app.fetch_task_result(task)
        if found is not None and found.state == "completed":
            return found.result
        if found is not None and found.state not in OPEN:
            raise RuntimeError(f"an Absurd task ended as {found.state}: {found}")
        await asyncio.sleep(POLL_SECONDS)


async def _sequence(params: Any, ctx: Any) -> float:
    async def step() -> int:
        return 1

    started = time.perf_counter()
    for i in range(params["n"]):
        await ctx.step(f"s{i}", step)
    return time.perf_counter() - started


async def _fan_out(params: Any, ctx: Any) -> float:
    gate = asyncio.Semaphore(params["width"])

    async def step() -> int:
        await wait_item()
        return 1

    async def one(i: int) -> None:
        async with gate:
            await ctx.step(f"s{i}", step)

    started = time.perf_counter()
    await asyncio.gather(*(one(i) for i in range(params["n"])))
    return time.perf_counter() - started


def steps(work: Path, n: int) -> dict[str, Any]:  # noqa: ARG001
    results, _ = asyncio.run(_run(_sequence, [{"n": n}]))
    return {"value": n / results[0]}


def map_items(work: Path, n: int, width: int = 64) -> dict[str, Any]:  # noqa: ARG001
    results, _ = asyncio.run(_run(_fan_out, [{"n": n, "width": width}]))
    return {"value": n / results[0]}


def runs(work: Path, n: int, width: int = 1) -> dict[str, Any]:  # noqa: ARG001
    _, seconds = asyncio.run(_run(_sequence, [{"n": 3}] * n, concurrency=width))
    return {"value": n / seconds}


def large(work: Path, n: int, size: int, shape: str) -> dict[str, Any]:  # noqa: ARG001
    """Milliseconds for a step that returns `size` bytes."""
    values = [value_of(shape, size, i) for i in range(n)]

    async def handler(params: Any, ctx: Any) -> float:  # noqa: ARG001
        async def step() -> Any:
            return values.pop()

        started = time.perf_counter()
        for i in range(n):
            await ctx.step(f"s{i}", step)
        return time.perf_counter() - started

    results, _ = asyncio.run(_run(handler, [{}]))
    return {"value": results[0] / n * 1000}


def disk(work: Path, n: int) -> dict[str, Any]:  # noqa: ARG001
    """Bytes a step in the checkpoint table with its index."""
    dsn = database()
    asyncio.run(_run(_sequence, [{"n": n}], dsn=dsn))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute("SELECT pg_total_relation_size('absurd.c_bench')").fetchone()
    assert row is not None
    return {"value": row[0] / n}
