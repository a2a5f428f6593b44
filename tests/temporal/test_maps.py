"""Maps, streams and large results on Temporal: chunks of items, each on record on its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Literal

import pytest

from nightproof import (
    Contract,
    Ref,
    StepFailed,
    job,
    step,
)
from nightproof.errors import Permanent

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
async def square(number: int) -> int:
    """Squares; thirteen is refused while the test says so."""
    wrote(f"square {number}")
    if number == 13 and os.environ.get("UNLUCKY"):
        raise Permanent("thirteen")
    return number * number


@step
async def large(number: int) -> bytes:
    """A result for the blob store."""
    return bytes([number]) * 100_000


@step
async def refer(number: int) -> Ref[list[int]]:
    """A large value by its digest."""
    return Ref([number] * 50_000)


@step
async def size(value: Ref[list[int]]) -> int:
    """Reads a value by its digest."""
    return len(value.get())


@job
async def collecting(contract: Night) -> list[str]:
    """Puts failures in the items' places."""
    found = await square.map(range(contract.n), key=lambda number: f"n{number}", on_error="collect")
    return [one.key if isinstance(one, StepFailed) else str(one) for one in found]


@job
async def raising(contract: Night) -> int:
    """The first failure ends the map."""
    return sum(await square.map(range(contract.n), concurrency=4))


@job
async def streaming(contract: Night) -> list[int]:
    """Takes results as they come, of items whose number is not known."""

    def numbers() -> Iterator[int]:
        for number in range(contract.n):
            wrote(f"item {number}")
            yield number

    found: AsyncIterator[int] = square.stream(numbers(), concurrency=4)
    taken = []
    async for one in found:
        taken.append(one)
        if len(taken) == 10:
            wrote("ten")
        if len(taken) == 40:
            break
    return taken


@job
async def heavy(contract: Night) -> list[int]:
    """Large results and references, alone and mapped."""
    alone = await large(contract.n)
    many = await large.map(range(3))
    referred = await refer(contract.n)
    assert len(referred.get()) == 50_000
    return [len(alone), *map(len, many), await size(referred)]


def test_failing_items_are_collected(
    world: Any, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All items are worked on; a resume answers with the same failure."""
    monkeypatch.setenv("UNLUCKY", "1")

    async def main() -> None:
        async with world, world.worker(collecting):
            outcome = await world.run(collecting, Night(n=100))
            wanted = [str(n * n) if n != 13 else "n13" for n in range(100)]
            assert outcome.value == wanted
            assert (outcome.executed, outcome.failed) == (99, 1)

    asyncio.run(main())
    assert sorted(diary()) == sorted(f"square {n}" for n in range(100))


def test_a_failing_item_ends_the_map_and_a_resume_does_the_rest(
    world: Any, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other chunks are called off; nothing that is done is done again."""
    monkeypatch.setenv("UNLUCKY", "1")

    async def main() -> None:
        async with world, world.worker(raising):
            outcome = await world.run(raising, Night(n=2000))
            assert isinstance(outcome.error, StepFailed)
            assert outcome.error.reason == "thirteen"
            done = len(diary())
            assert done < 2000
            monkeypatch.delenv("UNLUCKY")
            again = await world.run(raising, Night(n=2000))
            assert again.value == sum(n * n for n in range(2000))
            assert again.executed == 2000 - (done - 1)
            assert again.replayed == done - 1

    asyncio.run(main())
    assert sorted(diary()) == sorted([*(f"square {n}" for n in range(2000)), "square 13"])


def test_streams_are_in_order_and_not_far_ahead(world: Any, diary: Diary) -> None:
    """A bounded number of items is taken ahead of the consumer."""

    async def main() -> None:
        async with world, world.worker(streaming):
            outcome = await world.run(streaming, Night(n=10_000))
            assert outcome.value == [n * n for n in range(40)]

    asyncio.run(main())
    lines = diary()
    assert len([one for one in lines[: lines.index("ten")] if one.startswith("item")]) <= 24
    assert len([one for one in lines if one.startswith("item")]) <= 56


def test_large_values(world: Any) -> None:
    """Results over the limits of a payload, and values by digest."""

    async def main() -> None:
        async with world, world.worker(heavy, events=20):
            outcome = await world.run(heavy, Night())
            assert outcome.value == [100_000] * 4 + [50_000]

    asyncio.run(main())


@job
async def chatty(contract: Night) -> int:
    """Many results that are too long for the index, one after the other."""
    return sum([len(await words(number)) for number in range(contract.n)])


@step
async def words(number: int) -> str:
    """A result of some length."""
    wrote(f"words {number}")
    return f"{number}, " * 300


def test_long_results_are_recalled_together(world: Any, diary: Diary) -> None:
    """A history that is renewed does not grow by an activity for each of them."""

    async def main() -> None:
        async with world, world.worker(chatty, events=60):
            begun = await world.begin(chatty, Night(n=60))
            outcome = await world.end(begun, chatty)
            assert outcome.error is None
            assert (outcome.executed, outcome.replayed) == (60, 0)
            names = [
                event.activity_task_scheduled_event_attributes.activity_type.name
                async for event in begun.handle.fetch_history_events()
            ]
            assert names.count("nightproof.recall") <= 1

    asyncio.run(main())
    assert diary() == [f"words {n}" for n in range(60)]
