"""A worker: carries out the workflows and activities of some jobs until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any

from temporalio import worker as temporal
from temporalio import workflow
from temporalio.service import RPCError

from nightproof.blobs.protocol import Blobs
from nightproof.config import Settings
from nightproof.durable.job import Job
from nightproof.engines.temporal.activities import Activities
from nightproof.engines.temporal.beside import Beside, Telling
from nightproof.engines.temporal.connection import Connection, refused
from nightproof.engines.temporal.deciding import Deciding
from nightproof.engines.temporal.execution import host_of
from nightproof.engines.temporal.firing import Fire, FireWorkflow, Firing
from nightproof.engines.temporal.heeding import Heeding
from nightproof.engines.temporal.remarks import speak_plainly
from nightproof.engines.temporal.workflow import JobWorkflow, serve
from nightproof.errors import EngineError

SLOTS = 16
"""How many activities a worker works on at a time, unless it is told otherwise."""
LATE_SECONDS = 5.0
"""How much longer than its grace an activity may take before the worker leaves without it."""
_HEARTBEAT = timedelta(seconds=1)
_STICKY = timedelta(seconds=2)


def build_of(jobs: Mapping[str, Job[Any, Any]]) -> str:
    """By what Temporal tells the code of workers apart: the bodies of their jobs."""
    parts = "\n".join(f"{name} {jobs[name].code}" for name in sorted(jobs))
    return "nightproof-" + sha256(parts.encode()).hexdigest()[:16]


def unhurried(worker: temporal.Worker) -> None:
    """Let bodies compute for longer than the two seconds that temporalio allows.

    It has no setting for that but `debug_mode`, which runs them in the event loop of the
    activities: their heartbeats would wait for a body that computes.
    """
    part: Any = worker
    bodies = part._workflow_worker  # noqa: SLF001 - see above
    assert bodies._deadlock_timeout_seconds  # noqa: SLF001
    bodies._deadlock_timeout_seconds = None  # noqa: SLF001


class Worker:
    """One process's share of the work on a task queue.

    `fire` fixes what runs for a time that a schedule is due at; without it this worker
    starts no schedules. `beside` is told of runs that begin and end here. After :meth:`stop` what is under way may go on for the setting
    `grace`; what a map has not begun goes back to the queue at once.
    """

    def __init__(
        self,
        connection: Connection,
        activities: Activities,
        jobs: Mapping[str, Job[Any, Any]],
        blobs: Blobs,
        settings: Settings,
        *,
        slots: int = SLOTS,
        fire: Fire | None = None,
        beside: Beside | None = None,
    ) -> None:
        self._connection = connection
        self._activities = activities
        self._grace = settings.grace
        self._stop = asyncio.Event()
        speak_plainly()
        queue = connection.address.task_queue
        serve(host_of(settings, queue, jobs, blobs))
        firing = Firing(fire) if fire is not None else None
        self._deciding = Deciding(activities)
        self._worker = temporal.Worker(
            connection.client,
            task_queue=queue,
            workflows=[JobWorkflow, FireWorkflow],
            interceptors=[Telling(beside)] if beside is not None else [],
            activities=[*activities.all(), *([firing.fix] if firing else [])],
            # The journal decides what is replayed, so a job's body need not be kept from
            # anything; its module is loaded once, by this process.
            workflow_runner=self._deciding.runner(),
            unsandboxed_workflow_runner=self._deciding.runner(),
            workflow_failure_exception_types=[workflow.NondeterminismError],
            max_concurrent_activities=slots,
            graceful_shutdown_timeout=timedelta(seconds=self._grace),
            # Cancellations arrive with the answer to a heartbeat.
            max_heartbeat_throttle_interval=_HEARTBEAT,
            default_heartbeat_throttle_interval=_HEARTBEAT,
            # After a worker's death its workflows wait so long before another one is asked.
            sticky_queue_schedule_to_start_timeout=_STICKY,
            # By itself it would read the bytecode of every module that is loaded.
            build_id=build_of(jobs),
        )
        unhurried(self._worker)

    def stop(self) -> None:
        """Take no new work, let what is under way end, and let :meth:`run` return."""
        self._stop.set()

    async def run(self) -> bool:
        """Work until :meth:`stop`; whether everything that was under way has ended.

        Raises EngineError where the server does not let this worker go on.
        """
        await self._activities.warm()
        working = asyncio.ensure_future(self._worker.run())
        stopped = asyncio.ensure_future(self._stop.wait())
        heeding = Heeding(self._activities.host.journal, self._connection)
        beside = [
            asyncio.ensure_future(heeding.keep()), asyncio.ensure_future(self._deciding.keep()),
        ]  # fmt: skip
        await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        for one in beside:
            one.cancel()
        if not working.done():
            await self._activities.drain()
            leaving = asyncio.ensure_future(self._worker.shutdown())
            _, late = await asyncio.wait((working,), timeout=self._grace + LATE_SECONDS)
            if late:
                leaving.cancel()
                return False
            await leaving
        try:
            working.result()
        except RPCError as error:
            raise refused(error, self._connection.address) from error
        except RuntimeError as error:
            told = " ".join(str(error).split())
            raise EngineError(
                f"temporal: this worker cannot go on: {told}", "Start it again."
            ) from error
        return True
