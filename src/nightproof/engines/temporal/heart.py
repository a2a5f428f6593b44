"""What goes on beside an activity: its heartbeats, and a look at whether its worker stops."""

from __future__ import annotations

import asyncio
from types import TracebackType

from temporalio import activity

from nightproof.model import clock

BEATS_PER_TIMEOUT = 4
SELDOM_SECONDS = 30.0
"""Without a timeout for heartbeats there is only the worker to look at."""


class Heart:
    """Beats as long as the block lasts."""

    def __init__(self, draining: asyncio.Event) -> None:
        self._draining = draining
        self._task: asyncio.Task[None] | None = None
        self.done = 0
        """What the heartbeats tell: how many items are done."""

    async def __aenter__(self) -> Heart:
        info = activity.info()
        if not info.is_local:
            timeout = info.heartbeat_timeout
            every = timeout.total_seconds() / BEATS_PER_TIMEOUT if timeout else None
            self._task = asyncio.create_task(self._beat(every))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _beat(self, every: float | None) -> None:
        stops = asyncio.ensure_future(activity.wait_for_worker_shutdown())
        try:
            while True:
                await asyncio.wait((stops,), timeout=every or SELDOM_SECONDS)
                if stops.done() and not self._draining.is_set():
                    self._draining.set()
                elif stops.done():
                    await clock.sleep(every or SELDOM_SECONDS)
                if every is not None:
                    activity.heartbeat(self.done)
        finally:
            stops.cancel()


def leaves() -> bool:
    """Whether the activity that was cancelled is so because its worker leaves."""
    details = activity.cancellation_details()
    if details is not None and (details.cancel_requested or details.not_found):
        return False
    return activity.is_worker_shutdown() or bool(details and details.worker_shutdown)
