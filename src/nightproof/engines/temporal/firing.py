"""What a Temporal Schedule starts: a small workflow that begins the run of one due time.

Its only activity makes the contract of the time, fixes it in the journal and starts the
job's workflow, so that two schedules, a backfill and ``nightproof serve`` never make two
nights of one time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypedDict

from temporalio import activity, workflow
from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.exceptions import ApplicationError

from nightproof.errors import NightproofError

FIRE = "nightproof.fire"
"""The type of the workflow that a schedule starts."""
FIX = "nightproof.fix"
NOMINAL = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
RETRY = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(hours=1))
"""As `nightproof serve` tries again: soon, then less and less often."""


class FireAsk(TypedDict):
    """Which schedule fired, and when."""

    schedule: str
    """``job/function``, as `nightproof schedule show` names it."""
    at: str
    """The time on the schedule's clock, ISO 8601."""
    begun: str
    """When the workflow began: long after `at` where the server catches up, or by a backfill."""


Fire = Callable[[FireAsk], Awaitable[str]]
"""Begins the run of a time; what became of it, in words."""


class Firing:
    """The activity; `fire` is what the worker's owner does for a time."""

    def __init__(self, fire: Fire) -> None:
        self._fire = fire

    @activity.defn(name=FIX)
    async def fix(self, ask: FireAsk) -> str:
        """Begin the run of a due time. Whatever goes wrong is tried again: another worker may
        know the schedule, the function that makes the contract may be mended.
        """
        try:
            return await self._fire(ask)
        except NightproofError as error:
            raise ApplicationError(str(error), type=type(error).__name__) from error


@workflow.defn(name=FIRE, sandboxed=False)
class FireWorkflow:
    """Begins the run of one due time; the run is a workflow of its own and outlives this one."""

    @workflow.run
    async def run(self, schedule: str) -> str:
        """What became of the time, in words."""
        info = workflow.info()
        nominal: datetime = info.typed_search_attributes.get(NOMINAL) or info.start_time
        ask = FireAsk(
            schedule=schedule, at=nominal.isoformat(), begun=info.workflow_start_time.isoformat()
        )
        told: str = await workflow.execute_activity(
            FIX, ask, result_type=str, retry_policy=RETRY,
            start_to_close_timeout=timedelta(minutes=10),
        )  # fmt: skip
        return told
