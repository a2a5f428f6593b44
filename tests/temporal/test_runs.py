"""Runs on Temporal, end to end: steps, maps, effects, waits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Literal

import pytest

from nightproof import Contract, effect, job, now, sleep, step, wait_for
from nightproof.engines.temporal.worker import build_of

Diary = Callable[[], list[str]]


class Night(Contract):
    """The contract of the jobs here."""

    task: Literal["night"] = "night"
    n: int = 3


def wrote(line: str) -> None:
    """Add a line to the test's diary; appends of a line are whole."""
    with open(os.environ["DIARY"], "a") as file:
        file.write(line + "\n")


@step
async def fetch(name: str) -> list[int]:
    """A step with a result."""
    wrote(f"fetch {name}")
    return [len(name)] * 3


@step
def double(number: int, by: int = 2) -> int:
    """A plain function, mapped."""
    wrote(f"double {number}")
    return number * by


@step(pure=True)
async def total(numbers: list[int]) -> int:
    """A pure step: a local activity."""
    wrote("total")
    return sum(numbers)


@effect(key="tell/{what}")
async def tell(what: str) -> str:
    """An act on the world."""
    wrote(f"tell {what}")
    return f"told {what}"


@job
async def three(contract: Night) -> int:
    """Three steps, one after the other."""
    found = await fetch("abc")
    doubled = [await double(number) for number in found]
    return await total(doubled)


@job
async def wide(contract: Night) -> int:
    """A map, an effect and a wait."""
    at = now()
    assert at.tzinfo is not None
    doubled = await double.map(range(contract.n), by=3)
    assert doubled == [3 * number for number in range(contract.n)]
    await tell("all")
    await sleep(0.05)
    return await total(doubled)


@job
async def listening(contract: Night) -> int:
    """Waits for a signal."""
    return await wait_for("more", int) + contract.n


def test_three_steps(world: Any, diary: Diary) -> None:
    """A job runs to its end; the same again is answered from the record."""

    async def main() -> None:
        async with world, world.worker(three):
            outcome = await world.run(three, Night())
            assert outcome.error is None
            assert outcome.value == 18
            assert (outcome.executed, outcome.replayed) == (5, 0)
            again = await world.run(three, Night())
            assert again.value == 18
            assert again.from_record

    asyncio.run(main())
    assert diary() == ["fetch abc", "double 3", "double 3", "double 3", "total"]


def test_a_map_an_effect_and_a_wait(world: Any, diary: Diary) -> None:
    """A thousand items, each on record on its own; the effect once."""

    async def main() -> None:
        async with world, world.worker(wide):
            outcome = await world.run(wide, Night(n=1000))
            assert outcome.error is None
            assert outcome.value == 3 * sum(range(1000))
            assert outcome.executed == 1002
            row = await world.row(wide, Night(n=1000))
            assert len(await world.entries(row, 1)) == 1001

    asyncio.run(main())
    assert sorted(diary()) == sorted([*(f"double {n}" for n in range(1000)), "tell all", "total"])


def test_a_signal(world: Any) -> None:
    """A run that waits for a signal is parked, and goes on when it comes."""

    async def main() -> None:
        async with world, world.worker(listening):
            begun = await world.begin(listening, Night())
            row = await world.parked(listening, Night())
            assert row.waiting == "signal 'more' (a whole number)"
            await world.journal.send(row.id, "more", b"4")
            await world.poke(row)
            outcome = await world.end(begun, listening)
            assert outcome.value == 7

    asyncio.run(main())


def test_a_worker_says_what_it_was_built_of(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of the same jobs; nobody reads every loaded module for it."""

    def read(**_: Any) -> str:
        raise AssertionError("all of the code was read")

    async def main() -> None:
        monkeypatch.setattr("temporalio.worker._worker.load_default_build_id", read)
        async with world, world.worker(three):
            begun = await world.begin(three, Night())
            await world.end(begun, three)
        history = await begun.handle.fetch_history()
        done = [one.workflow_task_completed_event_attributes for one in history.events]
        builds = {one.worker_version.build_id for one in done} - {""}
        assert builds == {build_of({"three": three})}
        assert build_of({"three": three}) != build_of({"listening": listening})

    asyncio.run(main())
