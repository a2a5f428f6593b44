"""A body that computes for longer than Temporal waits for a decision: it is said, not silent."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal

import pytest

from nightproof import Contract, job, step
from nightproof.engines.temporal import control, deciding, starting


class Night(Contract):
    """The contract of the job here."""

    task: Literal["night"] = "night"


def wrote(line: str) -> int:
    """Add a line to the test's diary; how many there are."""
    with open(os.environ["DIARY"], "a+") as file:
        file.write(line + "\n")
        file.seek(0)
        return len(file.readlines())


@step
async def one() -> int:
    """A step."""
    return 1


@job
async def computing(contract: Night) -> int:
    """Takes too long between two waits, until somebody mends that."""
    found = await one()
    wrote("computing")
    if not os.path.exists("mended"):
        time.sleep(1.5)  # noqa: ASYNC251 - it computes
    return found


def test_a_body_that_computes_for_too_long(
    world: Any,
    diary: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Run's log, worker's log and who follows the run hear of it while it goes on."""
    monkeypatch.setattr(starting, "TASK_TIMEOUT", timedelta(seconds=1))
    monkeypatch.setattr(deciding, "LOOK_SECONDS", 0.1)
    caplog.set_level(logging.WARNING, "nightproof.worker")

    async def main() -> None:
        async with world, world.worker(computing):
            begun = await world.begin(computing, Night())

            async def said() -> Any:
                row = await world.row(computing, Night())
                lines = [] if row is None else await world.said(row)
                return [one for one in lines if one["kind"] == "long-body"]

            (found,) = await world.until(said)
            assert "put what takes long into a step" in found["message"]
            name = begun.handle.id.partition("/")[2]
            (told,) = await world.until(lambda: control.troubles(world.connection, name))
            assert "computes for more than 1 s" in told
            (world.folder / "mended").touch()
            outcome = await world.end(begun, computing)
            assert outcome.value == 1
            assert len(await said()) == 1, "once in an attempt"
            row = await world.row(computing, Night())
            assert [entry.kind for entry in await world.entries(row, 1)] == [1]

    asyncio.run(main())
    assert len(diary()) > 1
    assert any("computing" in record.getMessage() for record in caplog.records)


@job
async def thinking(contract: Night) -> bool:
    """Computes for longer than temporalio would let it; whether the activities' loop has to wait."""
    wrote("thinking")
    time.sleep(2.2)  # noqa: ASYNC251 - it computes
    return threading.current_thread() is threading.main_thread()


def test_a_body_that_computes_holds_nobody_up(world: Any, diary: Callable[[], list[str]]) -> None:
    """It is not in the thread of the activities, whose heartbeats go on; and it is not cut off."""

    async def main() -> None:
        async with world, world.worker(thinking):
            assert (await world.run(thinking, Night())).value is False

    asyncio.run(main())
    assert diary() == ["thinking"]
