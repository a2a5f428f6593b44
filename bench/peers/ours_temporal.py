"""nightproof on Temporal, its journal in Postgres, workers and client with the defaults."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from temporalio.client import Client

from bench.peers import temporal_jobs as jobs
from bench.peers.raw_postgres import grown
from bench.peers.temporal_plain import workers
from bench.servers import TEMPORAL, database
from nightproof import app
from nightproof.cli import distant
from nightproof.cli.targets import Target
from nightproof.config import Settings
from nightproof.engines.attempt import Options
from nightproof.engines.temporal.starting import workflow_id
from nightproof.journal.records import run_name


class Side:
    """A store, a task queue and worker processes."""

    def __init__(self, count: int = 1, slots: int | None = None) -> None:
        self.store = database()
        self.url = f"temporal://{os.environ[TEMPORAL]}/default?task_queue={uuid.uuid4().hex}"
        command = [sys.executable, "-m", "nightproof", "worker", jobs.__file__]
        command += [] if slots is None else ["--slots", str(slots)]
        given = {"NIGHTPROOF_STORE": self.store, "NIGHTPROOF_TEMPORAL": self.url}
        self.workers = workers(command, count, **given)

    def seconds(self, job: Any, *contracts: Any) -> float:
        """From the start of the last run until its outcome is here; the others go before it."""
        return asyncio.run(self._seconds(job, contracts))

    async def _seconds(self, job: Any, contracts: Any) -> float:
        settings = Settings(store=self.store, engine="temporal", temporal=self.url)
        journal = app.open_journal(settings)
        target = Target(job, job.target)
        try:
            for contract in contracts:
                started = time.perf_counter()
                outcome = await distant.attempt(journal, settings, target, contract, 0, Options())
                if outcome.error is not None:
                    raise outcome.error
            return time.perf_counter() - started
        finally:
            await journal.close()


def steps(work: Path, n: int) -> dict[str, Any]:  # noqa: ARG001
    side = Side()
    with side.workers:
        return {"value": n / side.seconds(jobs.long, jobs.Long(n=64), jobs.Long(n=n))}


def map_items(
    work: Path,  # noqa: ARG001
    n: int,
    seconds: float = 0.001,
    width: int = 64,
    count: int = 1,
    slots: int | None = None,
) -> dict[str, Any]:
    side = Side(count, slots)
    with side.workers:
        first, second = (jobs.Wide(n=m, seconds=seconds, width=width) for m in (64 * count, n))
        return {"value": n / side.seconds(jobs.wide, first, second)}


def growth(work: Path, n: int, of: str, where: str) -> dict[str, Any]:  # noqa: ARG001
    """Bytes a step: of the workflow's history, or in Postgres."""
    side = Side()
    job, make = {
        "steps": (jobs.long, lambda m: jobs.Long(n=m)),
        "map": (jobs.wide, lambda m: jobs.Wide(n=m, seconds=0.0, width=64)),
    }[of]
    contract = make(n)

    def act() -> None:
        side.seconds(job, contract)

    with side.workers:
        side.seconds(job, make(64))
        if where == "postgres":
            return {"value": grown(side.store, "disk", act) / n}
        act()
        return {"value": asyncio.run(_history(run_name(job.name, contract.digest, 0))) / n}


async def _history(run: str) -> int:
    """Bytes of all executions of a run's workflow, as Temporal counts them."""
    client = await Client.connect(os.environ[TEMPORAL])
    total, execution = 0, None
    while True:
        handle = client.get_workflow_handle(workflow_id(run), run_id=execution)
        info = (await handle.describe()).raw_description.workflow_execution_info
        total += info.history_size_bytes
        first = (
            await anext(handle.fetch_history_events())
        ).workflow_execution_started_event_attributes
        execution = first.continued_execution_run_id or None
        if execution is None:
            return total
