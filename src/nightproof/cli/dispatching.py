"""What a worker does when a Temporal Schedule fires: fix the contract of the time, begin its run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from nightproof.cli import firing
from nightproof.cli.scheduling import Declared
from nightproof.cli.targets import Target
from nightproof.contract.base import Contract
from nightproof.errors import NotFound
from nightproof.journal.protocol import Journal
from nightproof.journal.schedules import ScheduleRow
from nightproof.model import clock
from nightproof.serving.plan import Planned

if TYPE_CHECKING:
    from nightproof.engines.temporal.firing import FireAsk

Begin = Callable[[Target, Contract], Awaitable[Any]]
"""Begins the run of a contract, or joins it."""

_LOOK_BACK = timedelta(days=400)
"""Some schedule is due once a year."""


class Dispatcher:
    """Begins the nights of some schedules."""

    def __init__(
        self, journal: Journal, schedules: Sequence[Declared], late: timedelta, begin: Begin
    ) -> None:
        self._journal = journal
        self._schedules = {one.plan.name: one for one in schedules}
        self._late = late
        self._begin = begin

    async def __call__(self, ask: FireAsk) -> str:
        """Begin the run of the newest due time up to the one that fired.

        So a second firing of an hour that the clocks show twice, and one by hand, are for
        the night that there is. A night that waited too long for a worker is skipped as
        `nightproof serve` skips it; one that was asked for (a backfill) never is.
        """
        one = self._schedules.get(ask["schedule"])
        if one is None:
            raise NotFound(
                f"this worker does not know schedule {ask['schedule']}",
                "Start a worker on the target that declares it, or `nightproof schedule deploy "
                "TARGET --prune` without it.",
            )
        at, begun = (_moment(ask["at"]), _moment(ask["begun"]))
        found = one.plan.times.last(1, at - _LOOK_BACK, at)
        if not found:
            return f"{one.plan.name} ({one.plan.times}) was not due up to {ask['at']}"
        due = found[0]
        await keep(self._journal, one.plan)
        waited = due.astimezone(UTC) == at and begun - at <= self._late
        if waited and (why := self._skipped(one.plan, due)):
            return why
        row, first = await firing.fixed(self._journal, one, due)
        if row.contract is None or (row.ran and not first):
            return f"{row.run} of {due.isoformat()} was begun before"
        await self._begin(one.target, firing.kept_contract(one, row))
        return f"{row.run} of {due.isoformat()} was begun"

    def _skipped(self, one: Planned, due: datetime) -> str:
        """Why a night that waited for a worker is not begun any more; "" where it is."""
        now = clock.now()
        if due in one.due(now - _LOOK_BACK, now, self._late):
            return ""
        if one.missed == "skip":
            return f"{due.isoformat()} was missed, and missed nights are skipped"
        return f"{due.isoformat()} is not among the newest {one.catch_up} nights to catch up"


async def keep(journal: Journal, one: Planned) -> None:
    """Tell the store that a schedule is served: for views, and who watches for missed nights."""
    now = clock.now_ms()
    await journal.keep_schedule(ScheduleRow(one.name, one.job, one.target, one.spec(), now, now))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
