"""What a run outlives: long histories, parents, cancellation, deadlines."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Literal

import pytest
from temporalio import workflow

from nightproof import (
    Contract,
    RunCancelled,
    RunFailed,
    StepFailed,
    artifact,
    effect,
    job,
    measure,
    now,
    sleep,
    step,
    wait_for,
)
from nightproof.engines.temporal import starting
from nightproof.errors import DeadlineExceeded, Permanent
from nightproof.journal.records import run_name
from nightproof.model import clock
from nightproof.model.states import Kind, RunStatus

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
async def one(number: int) -> int:
    """A step."""
    wrote(f"one {number}")
    return number + 1


@step
async def two(number: int) -> int:
    """Another step."""
    wrote(f"two {number}")
    return number * 2


@step
async def three(number: int) -> int:
    """A third step."""
    wrote(f"three {number}")
    return number * 3


@step
async def refuse(number: int) -> int:
    """Fails for good."""
    wrote(f"refuse {number}")
    raise Permanent(f"no {number}")


async def take_back(result: int) -> None:
    """Undoes `reserve`."""
    wrote(f"take back {result}")


@step(undo=take_back)
async def reserve(number: int) -> int:
    """A step that can be undone."""
    wrote(f"reserve {number}")
    return number


@effect(key="act/{number}")
async def act(number: int) -> int:
    """An act on the world."""
    wrote(f"act {number}")
    return number


@job
async def long(contract: Night) -> int:
    """Many steps, more than one history shall hold."""
    total = 0
    begun = now()
    measure("begun", begun.timestamp())
    for number in range(contract.n):
        total += await one(number)
    await act(contract.n)
    assert now() >= begun
    return total + sum(await two.map(range(contract.n)))


def test_a_long_history_goes_on_in_a_new_one(world: Any, diary: Diary) -> None:
    """Continued as new in the middle of the body: nothing repeats, one attempt, one log."""

    async def main() -> None:
        async with world, world.worker(long, events=30):
            begun = await world.begin(long, Night(n=20))
            outcome = await world.end(begun, long)
            assert outcome.value == sum(range(1, 21)) + 2 * sum(range(20))
            assert (outcome.executed, outcome.replayed) == (41, 0)
            assert outcome.divergences == []
            described = await begun.handle.describe()
            first = await world.connection.client.get_workflow_handle(
                begun.handle.id, run_id=begun.handle.first_execution_run_id
            ).describe()
            assert described.run_id != first.run_id
            started = await anext(begun.handle.fetch_history_events())
            kept = started.workflow_execution_started_event_attributes
            assert kept.retry_policy.maximum_interval.seconds == 60
            assert kept.workflow_task_timeout.seconds == starting.TASK_TIMEOUT.total_seconds()
            row = await world.row(long, Night(n=20))
            assert row.attempts == 1
            said = await world.said(row)
            assert len([line for line in said if line["kind"] == "measure"]) == 1
            assert len(await world.entries(row, Kind.VALUE)) == 2

    asyncio.run(main())
    assert sorted(diary()) == sorted(
        [f"one {n}" for n in range(20)] + [f"two {n}" for n in range(20)] + ["act 20"]
    )


@job
async def small(contract: Night) -> int:
    """A child."""
    return await one(contract.n)


@job
async def broken(contract: Night) -> int:
    """A child that fails."""
    return await refuse(contract.n)


@job
async def parent(contract: Night) -> list[Any]:
    """Has children, one of which fails."""
    good = await small(Night(n=contract.n + 1))
    both = await asyncio.gather(small(Night(n=10)), small(Night(n=20)))
    try:
        await broken(Night(n=7))
    except StepFailed as error:
        return [good, *both, error.step]
    return []


def test_child_runs(world: Any, diary: Diary) -> None:
    """Children are runs and workflows of their own, on record with the parent."""

    async def main() -> None:
        async with world, world.worker(parent, small, broken):
            outcome = await world.run(parent, Night())
            assert outcome.value == [5, 11, 21, "refuse"]
            row = await world.row(parent, Night())
            child = await world.row(small, Night(n=10))
            assert child.parent == row.id
            assert child.status is RunStatus.COMPLETED
            assert len(await world.entries(row, Kind.CHILD)) == 3
            assert len(await world.entries(row, Kind.FAILURE)) == 1

    asyncio.run(main())
    assert sorted(diary()) == ["one 10", "one 20", "one 4", "refuse 7"]


def test_a_child_that_runs_elsewhere_is_waited_for(world: Any, diary: Diary) -> None:
    """A child's run that somebody has begun already is not begun again."""

    @job(name="listens")
    async def listens(contract: Night) -> int:
        return await wait_for("go", int)

    @job(name="waits")
    async def waits(contract: Night) -> int:
        return await listens(Night(n=9)) + 1

    async def main() -> None:
        async with world, world.worker(listens, waits):
            first = await world.begin(listens, Night(n=9))
            row = await world.parked(listens, Night(n=9))
            second = await world.begin(waits, Night())
            await asyncio.sleep(0.5)
            await world.journal.send(row.id, "go", b"4")
            await world.poke(row)
            assert (await world.end(first, listens)).value == 4
            assert (await world.end(second, waits)).value == 5

    asyncio.run(main())


def test_a_parent_is_parked_while_its_child_is(world: Any) -> None:
    """Its row says for whom it waits; both go on with the child's signal."""

    @job(name="rests")
    async def rests(contract: Night) -> int:
        return await wait_for("go", int)

    @job(name="has-one")
    async def has_one(contract: Night) -> int:
        return await rests(Night(n=9)) + 1

    async def main() -> None:
        async with world, world.worker(rests, has_one):
            begun = await world.begin(has_one, Night())
            row = await world.parked(has_one, Night())
            child = await world.parked(rests, Night(n=9))
            assert row.waiting == f"child run {child.name}"
            await world.journal.send(child.id, "go", b"4")
            await world.poke(child)
            assert (await world.end(begun, has_one)).value == 5

    asyncio.run(main())


@job
async def undoing(contract: Night) -> int:
    """Reserves twice, then fails."""
    await reserve(1)
    await reserve.map([2, 3])
    return await refuse(contract.n)


def test_undo(world: Any, diary: Diary) -> None:
    """A run that fails for good undoes its steps, last first; a resume does all of it again."""

    async def main() -> None:
        async with world, world.worker(undoing):
            outcome = await world.run(undoing, Night())
            assert outcome.status is RunStatus.FAILED
            assert isinstance(outcome.error, StepFailed)
            assert outcome.error.reason == "no 3"
            await world.run(undoing, Night())

    asyncio.run(main())
    once = ["reserve 1", "reserve 2", "reserve 3", "refuse 3"]
    lines = diary()
    assert sorted(lines[:4]) == sorted(once)
    assert lines[-1] == "take back 1"
    assert sorted(lines) == sorted([*once, "take back 3", "take back 2", "take back 1"] * 2)


@job(deadline=1.0)
async def late(contract: Night) -> int:
    """Waits longer than it may take."""
    await one(contract.n)
    await sleep(3600)
    return 0


def test_a_deadline(world: Any, diary: Diary) -> None:
    """A run that takes longer than its deadline fails."""

    async def main() -> None:
        async with world, world.worker(late):
            outcome = await world.run(late, Night())
            assert outcome.status is RunStatus.FAILED
            assert isinstance(outcome.error, DeadlineExceeded)

    asyncio.run(main())


@step
async def slow(number: int) -> int:
    """Takes its time, until it is cancelled."""
    wrote(f"slow {number}")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        wrote(f"cancelled {number}")
        raise
    return number


@job
async def cancellable(contract: Night) -> int:
    """Is cancelled in the middle of a step; its child too."""
    await one(contract.n)
    return sum(await asyncio.gather(slow(contract.n), small(Night(n=5)), napping(Night(n=6))))


@job
async def napping(contract: Night) -> int:
    """A child that sleeps."""
    await sleep(3600)
    return 0


def test_cancelling(world: Any, diary: Diary) -> None:
    """A cancelled run ends as cancelled, its steps are told, its children are cancelled."""

    async def main() -> None:
        async with world, world.worker(cancellable, small, napping):
            begun = await world.begin(cancellable, Night())
            await world.until(lambda: "slow 3" in diary())
            await world.parked(napping, Night(n=6))
            await begun.handle.cancel()
            with pytest.raises(RunCancelled):
                await world.end(begun, cancellable)
            row = await world.row(cancellable, Night())
            assert row.status is RunStatus.CANCELLED
            assert row.owner is None
            await world.until(lambda: "cancelled 3" in diary())

            async def child() -> bool:
                found = await world.row(napping, Night(n=6))
                return found is not None and found.status is RunStatus.CANCELLED

            await world.until(child)

    asyncio.run(main())


@job
async def delivering(contract: Night) -> str:
    """Delivers files."""
    note = await artifact("out/report.txt", "the report", media_type="text/plain")
    await artifact("raw.bin", b"\x00\x01")
    return note.sha256


def test_artifacts(world: Any) -> None:
    """Files are delivered, with manifests, and placed again where they are not."""

    async def main() -> None:
        async with world, world.worker(delivering):
            outcome = await world.run(delivering, Night())
            assert outcome.error is None
            paths = [found["path"] for found in outcome.artifacts]
            assert [path.rpartition("/")[2] for path in paths] == ["report.txt", "raw.bin"]
            for found in outcome.artifacts:
                assert os.path.exists(found["path"])
                assert os.path.exists(found["manifest"])

    asyncio.run(main())


def test_own_failures_end_the_workflow(world: Any, diary: Diary) -> None:
    """An exception of the body is the run's failure, and Temporal does not try it again."""

    @job(name="raises")
    async def raises(contract: Night) -> int:
        await one(contract.n)
        raise ValueError("as it is")

    async def main() -> None:
        async with world, world.worker(raises):
            begun = await world.begin(raises, Night())
            outcome = await world.end(begun, raises)
            assert isinstance(outcome.error, RunFailed)
            assert outcome.error.type == "ValueError"
            described = await begun.handle.describe()
            assert described.status is not None
            assert described.status.name == "FAILED"
            row = await world.row(raises, Night())
            assert row.name == run_name("raises", Night().digest)
            assert row.attempts == 1

    asyncio.run(main())


def test_computing_for_long_is_no_deadlock(world: Any) -> None:
    """A body may compute for longer than the two seconds that Temporal's own detector allows."""

    @job(name="thinks")
    async def thinks(contract: Night) -> int:
        assert workflow.info().workflow_type == "thinks"
        until = clock.monotonic() + 2.5
        while clock.monotonic() < until:
            sum(range(10_000))
        return 7

    async def main() -> None:
        async with world, world.worker(thinks):
            begun = await world.begin(thinks, Night())
            assert (await world.end(begun, thinks)).value == 7
            history = await begun.handle.fetch_history()
            kinds = [event.event_type for event in history.events]
            assert 9 not in kinds  # a workflow task failed
            assert 8 not in kinds  # or timed out

    asyncio.run(main())
