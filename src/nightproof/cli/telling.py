"""Pings and a textfile of metrics for the runs of a worker, where they are configured."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

from nightproof.cli.session import note
from nightproof.config import Settings
from nightproof.journal.protocol import Journal
from nightproof.model.states import RunStatus
from nightproof.observe.alongside import Alongside


class Pings:
    """Goes with every run that begins or ends in this worker.

    Raises ConfigError where the setting ``alerts`` makes no sense.
    """

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self._settings = settings
        self._journal = journal
        self._tasks: set[asyncio.Task[None]] = set()
        self._alongside: dict[str, Alongside] = {}
        self._made()

    def _made(self) -> Alongside:
        return Alongside(self._settings, self._journal, note)

    def begun(self, run: str) -> None:
        """See :class:`nightproof.engines.temporal.beside.Beside`."""
        self._later(self._begin(run))

    def ended(self, run: str, status: str, told: str) -> None:
        """See :class:`nightproof.engines.temporal.beside.Beside`."""
        self._later(self._end(run, RunStatus(status), f"run {run} {status}: {told}".rstrip(": ")))

    async def close(self) -> None:
        """Let what is under way end."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for one in self._alongside.values():
            await one.end(None)

    async def _begin(self, run: str) -> None:
        row = await self._journal.find(run)
        if row is not None:
            self._alongside[run] = self._made()
            self._alongside[run].begin(row)

    async def _end(self, run: str, status: RunStatus, told: str) -> None:
        known = self._alongside.pop(run, None)
        if known is None:
            known, row = self._made(), await self._journal.find(run)
            if row is not None:
                known.take_over(row)
        await known.end(status, told)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        # In a context of its own: what this reads is not what a step reads.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
