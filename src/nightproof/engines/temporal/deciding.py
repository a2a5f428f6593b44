"""How long bodies compute: Temporal takes the work away from a worker that decides for too long.

What a body has computed until then is lost, and computed again, without end. That cannot be
seen from the outcome, so the worker says it: in its log, and once in the run's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, NoReturn, cast

from temporalio import worker as temporal

from nightproof.engines.temporal import starting
from nightproof.engines.temporal.activities import Activities
from nightproof.engines.temporal.worker_run import WorkerLedger
from nightproof.errors import NightproofError
from nightproof.model import clock
from nightproof.model.fingerprint import fingerprint

LOOK_SECONDS = 5.0
"""How often a worker looks how long its bodies are at it."""

_log = logging.getLogger("nightproof.worker")


class Deciding:
    """The bodies that compute now, in threads of this worker."""

    def __init__(self, activities: Activities) -> None:
        self._activities = activities
        self._since: dict[str, float] = {}
        self._said: set[str] = set()

    def runner(self) -> temporal.WorkflowRunner:
        """Runs workflows as they are, and notes how long each is at it."""
        return _Timed(self._since)

    async def keep(self) -> NoReturn:
        """Look again and again."""
        while True:
            await clock.sleep(LOOK_SECONDS)
            for workflow in self._late():
                await self._say(workflow)

    def _late(self) -> Iterator[str]:
        allowed = starting.TASK_TIMEOUT.total_seconds()
        now = clock.monotonic()
        for workflow, since in list(self._since.items()):
            if now - since > allowed and workflow not in self._said:
                self._said.add(workflow)
                yield workflow

    async def _say(self, workflow: str) -> None:
        run = workflow.partition("/")[2]
        _log.warning("nightproof: run %s: %s", run, starting.long_body())
        host = self._activities.host
        try:
            row = await host.journal.find(run)
            if row is None or row.name != run or row.job not in self._activities.jobs:
                return
            ledger = WorkerLedger(host, row, self._activities.jobs[row.job])
            parts = [b"%d" % row.id, b"%d" % row.token]
            mark = fingerprint(b"\0long-body", parts)
            ledger.line("long-body", {"message": starting.long_body()}, mark)
            await ledger.written()
        except NightproofError:
            self._said.discard(workflow)  # a store that is away: at the next look


class _Timed(temporal.UnsandboxedWorkflowRunner):
    def __init__(self, since: dict[str, float]) -> None:
        self._since = since

    def create_instance(self, det: temporal.WorkflowInstanceDetails) -> temporal.WorkflowInstance:
        made = super().create_instance(det)
        since, name, activate = self._since, det.info.workflow_id, made.activate

        def timed(act: Any) -> Any:
            since[name] = clock.monotonic()
            try:
                return activate(act)
            finally:
                since.pop(name, None)

        cast("Any", made).activate = timed
        return made
