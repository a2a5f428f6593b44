"""What comes at a bad moment: two signals at once, an end that is refused, a history renewed."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from nightproof import Contract, job, measure, now, step, wait_for
from nightproof.engines.attempt.state import Ending
from nightproof.engines.temporal import ending, pending
from nightproof.engines.temporal.runtime import WorkflowRuntime
from nightproof.errors import MisuseError
from nightproof.model.states import Kind, RunStatus


class Night(Contract):
    """The contract of the jobs here."""

    task: Literal["night"] = "night"
    n: int = 3


@step
async def gate(name: str) -> str:
    """Ends when the test says so."""
    Path(f"at-{name}").touch()
    while not Path(f"open-{name}").exists():  # noqa: ASYNC110 - a file, so that any process may
        await asyncio.sleep(0.02)
    return name


@step
async def one(number: int) -> int:
    """A step."""
    return number + 1


@step
async def large(number: int) -> str:
    """A result that is too long for the index."""
    return f"{number}" * 2000


@job
async def two_at_once(contract: Night) -> list[int]:
    """Two branches wait for a signal of one name."""
    await gate("signals")
    return sorted(await asyncio.gather(wait_for("go", int), wait_for("go", int)))


def test_two_signals_for_two_branches(world: Any) -> None:
    """Both looked at the same moment: the one that came second looks again at once."""

    async def main() -> None:
        async with world, world.worker(two_at_once):
            begun = await world.begin(two_at_once, Night())
            await world.until(Path("at-signals").exists)
            row = await world.row(two_at_once, Night())
            for number in (b"1", b"2"):
                await world.journal.send(row.id, "go", number)
                await world.poke(row)
            Path("open-signals").touch()
            assert (await world.end(begun, two_at_once)).value == [1, 2]

    asyncio.run(main())


@job
async def short(contract: Night) -> int:
    """One step."""
    return await one(contract.n)


def test_an_end_that_is_refused(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workflow ends with what went wrong, and gives the run back."""
    really = ending.end

    async def refusing(live: Any, ask: Any) -> Any:
        if ask["status"] == "completed":
            raise MisuseError("it cannot end", "Say how.")
        return await really(live, ask)

    async def main() -> None:
        async with world, world.worker(short):
            monkeypatch.setattr(ending, "end", refusing)
            outcome = await world.run(short, Night())
            assert isinstance(outcome.error, MisuseError)
            assert outcome.error.hint == "Say how."
            row = await world.row(short, Night())
            assert (row.status, row.owner) == (RunStatus.RUNNING, None)
            monkeypatch.undo()
            assert (await world.run(short, Night())).value == 4

    asyncio.run(main())


@job
async def working(contract: Night) -> int:
    """A child that is at work."""
    await gate("child")
    return contract.n


@job
async def drawing(contract: Night) -> int:
    """A child whose contract says when it was drawn up."""
    return await working(Night(n=int(now().timestamp())))


def test_what_made_a_childs_contract_is_on_record_before_the_child(world: Any) -> None:
    """Whatever becomes of the parent's history meanwhile, it asks for the same child."""

    async def main() -> None:
        async with world, world.worker(drawing, working):
            begun = await world.begin(drawing, Night())
            await world.until(Path("at-child").exists)
            (value,) = await world.entries(await world.row(drawing, Night()), Kind.VALUE)
            Path("open-child").touch()
            drawn = datetime.fromisoformat(json.loads(value.output))
            assert (await world.end(begun, drawing)).value == int(drawn.timestamp())

    asyncio.run(main())


@job
async def side_by_side(contract: Night) -> int:
    """Two branches, each with a log of its own; one's results are long."""

    async def left() -> None:
        for number in range(contract.n):
            await one(number)
            measure("left", number)

    async def right() -> None:
        for number in range(contract.n):
            await large(number)
            measure("right", number)

    await asyncio.gather(left(), right())
    return 0


def test_lines_of_a_log_that_come_in_another_order(world: Any) -> None:
    """A history is continued: each line is there once, though the branches go another way."""

    async def main() -> None:
        async with world, world.worker(side_by_side, events=60):
            await world.run(side_by_side, Night(n=20))
            row = await world.row(side_by_side, Night(n=20))
            said = [line for line in await world.said(row) if line["kind"] == "measure"]
            found = sorted((line["name"], line["value"]) for line in said)
            assert found == [(name, n) for name in ("left", "right") for n in range(20)]

    asyncio.run(main())


@job
async def roused(contract: Night) -> int:
    """Waits for a signal, and then works."""
    number = await wait_for("go", int)
    await gate("roused")
    return number


def test_a_parked_run_whose_history_is_continued_when_it_goes_on(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row says that it works, though another execution had parked it."""
    long: list[bool] = []
    monkeypatch.setattr(WorkflowRuntime, "_long_history", lambda _: bool(long and long.pop()))

    async def main() -> None:
        async with world, world.worker(roused):
            begun = await world.begin(roused, Night())
            row = await world.parked(roused, Night())
            await world.journal.send(row.id, "go", b"3")
            long.append(True)
            await world.poke(row)
            await world.until(Path("at-roused").exists)
            assert not long
            assert (await world.row(roused, Night())).status is RunStatus.RUNNING
            Path("open-roused").touch()
            assert (await world.end(begun, roused)).value == 3

    asyncio.run(main())


def test_a_cancellation_while_a_history_is_renewed() -> None:
    """The new execution would not know of it, so the old one ends with it."""
    run = object.__new__(WorkflowRuntime)
    run.ending, run.task = None, None
    run.stop(Ending("renewed"))
    run.stop(Ending("lost"))
    assert run.ending is not None
    assert run.ending.reason == "renewed"
    run.stop(Ending("cancelled"))
    assert run.ending.reason == "cancelled"


@job
async def undaunted(contract: Night) -> int:
    """Goes on although a step was refused."""
    now()
    with suppress(MisuseError):
        await one(1)
    return await one(contract.n)


def test_what_was_pending_goes_along_again(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An activity that was refused may not have written what came with it."""
    refusals = [MisuseError("not now")]
    really = pending.write

    async def writing(run: Any, head: Any) -> None:
        if head["pending"] and refusals:
            raise refusals.pop()
        await really(run, head)

    async def main() -> None:
        async with world, world.worker(undaunted):
            monkeypatch.setattr(pending, "write", writing)
            assert (await world.run(undaunted, Night())).value == 4
            assert not refusals
            row = await world.row(undaunted, Night())
            assert len(await world.entries(row, Kind.VALUE)) == 1

    asyncio.run(main())


def test_who_comes_after_the_body_does_not_wait_for_ever() -> None:
    """What the body left behind holds no activity's place that the end needs."""

    async def main() -> None:
        run = object.__new__(WorkflowRuntime)
        run._never = None
        run.release()
        assert run.never().cancelled()

    asyncio.run(main())
