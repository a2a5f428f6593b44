"""What was asked for while Temporal did not answer is done when it does."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest

from nightproof import Contract, RunCancelled, job, sleep
from nightproof.engines.temporal import control, heeding
from nightproof.model.states import RunStatus


class Night(Contract):
    """The contract of the jobs here."""

    task: Literal["night"] = "night"
    n: int = 3


@job
async def waiting(contract: Night) -> int:
    """Waits until it is cancelled."""
    await sleep(3600)
    return contract.n


def test_a_cancellation_that_only_the_journal_knows(world: Any) -> None:
    """`cancel` found no server: the next worker tells the workflow, and the run is over."""

    async def main() -> None:
        async with world:
            async with world.worker(waiting):
                begun = await world.begin(waiting, Night())
                row = await world.parked(waiting, Night())
            assert not await world.journal.request_cancel(row.id), "its workflow has to end it"
            async with world.worker(waiting):
                with pytest.raises(RunCancelled):
                    await world.end(begun, waiting)
            row = await world.row(waiting, Night())
            assert (row.status, row.owner) == (RunStatus.CANCELLED, None)

    asyncio.run(main())


def test_a_worker_looks_again_and_tells_each_execution_once(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of what is asked for while it works; a server that refuses is asked again."""
    monkeypatch.setattr(heeding, "HEED_SECONDS", 0.05)
    told: list[str] = []
    real = control.cancel

    async def cancel(connection: Any, run: str) -> bool:
        told.append(run)
        if len(told) == 1:
            raise control.refused(_away(), connection.address)
        return await real(connection, run)

    monkeypatch.setattr(control, "cancel", cancel)

    async def main() -> None:
        async with world, world.worker(waiting):
            begun = await world.begin(waiting, Night())
            row = await world.parked(waiting, Night())
            await world.journal.request_cancel(row.id)
            with pytest.raises(RunCancelled):
                await world.end(begun, waiting)
            assert told == [row.name, row.name]

    asyncio.run(main())


def _away() -> Any:
    from temporalio.service import RPCError, RPCStatusCode

    return RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
