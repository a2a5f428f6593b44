"""What goes with an attempt: pings of its job's check, and a textfile of metrics.

Only for who has configured it, and never in the way: what fails here is a remark.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from nightproof.config import Settings
from nightproof.errors import NightproofError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.model import clock
from nightproof.model.states import RunStatus
from nightproof.observe.sinks import Ping, configured
from nightproof.observe.textfile import write
from nightproof.observe.watcher import Watcher

TEXTFILE_SECONDS = 30.0
"""So old a textfile gets while its run goes on."""
_PINGED = {RunStatus.COMPLETED: "", RunStatus.FAILED: "fail", RunStatus.CANCELLED: "fail"}


class Alongside:
    """Goes with one attempt. `say` is told what did not work.

    Raises ConfigError where the setting ``alerts`` makes no sense.
    """

    def __init__(self, settings: Settings, reader: Reader, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._reader = reader
        self._say = say
        self._pings = [sink for sink in configured(settings.alerts) if isinstance(sink, Ping)]
        self._watcher = Watcher(settings, [])
        self._row: RunRow | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, row: RunRow) -> None:
        """The attempt owns its run and is about to begin."""
        self._row = row
        self._tasks = [asyncio.ensure_future(self._ping("start"))]
        if self._settings.textfile:
            self._tasks.append(asyncio.ensure_future(self._keep()))

    def take_over(self, row: RunRow) -> None:
        """The attempt has begun in another process, which has said so."""
        self._row = row

    async def end(self, status: RunStatus | None, told: str = "") -> None:
        """It is over, with this status of its run; None where it never came to a run."""
        for task in self._tasks[1:]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        event = _PINGED.get(status) if status is not None else None
        if event is not None:
            await self._ping(event, told)
        if self._settings.textfile and self._tasks:
            await self._write()

    async def _ping(self, event: str, told: str = "") -> None:
        row = self._row
        if row is None or row.replicate or row.parent is not None:
            return
        rid = str(uuid5(NAMESPACE_URL, f"nightproof:{row.name}:{row.token}"))
        for sink in self._pings:
            try:
                await asyncio.to_thread(sink.ping, row.job, event, rid, told)
            except NightproofError as error:
                self._say(error.message)

    async def _keep(self) -> None:
        while True:
            await self._write()
            await clock.sleep(TEXTFILE_SECONDS)

    async def _write(self) -> None:
        try:
            write(Path(self._settings.textfile), await self._watcher.metrics(self._reader))
        except NightproofError as error:
            self._say(error.message)
