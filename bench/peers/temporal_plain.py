"""Plain Temporal: a workflow with one activity for each step or item, as its manual shows.

`python -m bench.peers.temporal_plain QUEUE SLOTS` is a worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.servers import TEMPORAL

LIMIT = timedelta(minutes=5)
POLLERS = 32
"""Requests for activities under way at a time: more than the default of 5 is faster here."""


@activity.defn
async def durable(i: int) -> int:
    return i


@activity.defn
async def item(i: int, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return i


@workflow.defn
class Sequence:
    @workflow.run
    async def run(self, n: int) -> int:
        for i in range(n):
            await workflow.execute_activity(durable, i, start_to_close_timeout=LIMIT)
        return n


@workflow.defn
class FanOut:
    @workflow.run
    async def run(self, n: int, width: int, seconds: float) -> int:
        gate = asyncio.Semaphore(width)

        async def one(i: int) -> int:
            async with gate:
                return await workflow.execute_activity(
                    item, args=[i, seconds], start_to_close_timeout=LIMIT
                )

        return len(await asyncio.gather(*(one(i) for i in range(n))))


async def serve(queue: str, slots: int) -> None:
    client = await Client.connect(os.environ[TEMPORAL])
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[Sequence, FanOut],
        activities=[durable, item],
        workflow_runner=UnsandboxedWorkflowRunner(),  # faster than the default
        max_concurrent_activities=slots,
        max_concurrent_activity_task_polls=min(slots, POLLERS),
    )
    await worker.run()


@contextlib.contextmanager
def workers(command: list[str], count: int, **environ: str) -> Iterator[None]:
    """Worker processes; the first task waits for them, so nothing else does."""
    started = [
        subprocess.Popen(command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL)
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for one in started:
            one.kill()
            one.wait()


async def _seconds(which: Any, queue: str, args: list[Any]) -> float:
    """From the start of the workflow until its result is here; a small one goes before it."""
    client = await Client.connect(os.environ[TEMPORAL])
    for given in ([64, *args[1:]], args):
        started = time.perf_counter()
        await client.execute_workflow(which.run, args=given, id=str(uuid.uuid4()), task_queue=queue)
    return time.perf_counter() - started


def _measure(which: Any, args: list[Any], slots: int, count: int = 1) -> dict[str, Any]:
    queue = uuid.uuid4().hex
    command = [sys.executable, "-m", "bench.peers.temporal_plain", queue, str(slots)]
    with workers(command, count):
        return {"value": args[0] / asyncio.run(_seconds(which, queue, args))}


def steps(work: Path, n: int) -> dict[str, Any]:  # noqa: ARG001
    return _measure(Sequence, [n], 16)


def map_items(
    work: Path,  # noqa: ARG001
    n: int,
    seconds: float = 0.001,
    width: int = 64,
    count: int = 1,
) -> dict[str, Any]:
    return _measure(FanOut, [n, width, seconds], width // count, count)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
