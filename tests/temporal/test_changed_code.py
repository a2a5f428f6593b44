"""Code that changes while a run is at work: fingerprints decide, never positions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Literal

import pytest

from nightproof import (
    Contract,
    job,
    step,
    wait_for,
)
from nightproof.engines.temporal.runtime import WorkflowRuntime

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


def versions() -> dict[str, Any]:
    """One job, as it is edited while its run waits for a signal."""

    @job(name="edited")
    async def before(contract: Night) -> int:
        a = await one(contract.n)
        b = await two(contract.n)
        await wait_for("go", int)
        return a + b

    @job(name="edited")
    async def reordered(contract: Night) -> int:
        b = await two(contract.n)
        a = await one(contract.n)
        await wait_for("go", int)
        return a + b

    @job(name="edited")
    async def added(contract: Night) -> int:
        c = await three(contract.n)
        a = await one(contract.n)
        b = await two(contract.n)
        await wait_for("go", int)
        return a + b + c

    @job(name="edited")
    async def removed(contract: Night) -> int:
        b = await two(contract.n)
        await wait_for("go", int)
        return b

    @job(name="edited")
    async def other_arguments(contract: Night) -> int:
        a = await one(contract.n + 1)
        b = await two(contract.n)
        await wait_for("go", int)
        return a + b

    found = {
        "before": before, "reordered": reordered, "added": added, "removed": removed,
        "other arguments": other_arguments,
    }  # fmt: skip

    @job(name="edited")
    async def longer(contract: Night) -> int:
        a = await one(contract.n)
        b = await two(contract.n)
        await wait_for("go", int)
        return a + b + await three(contract.n)

    found["longer"] = longer
    return found


EDITS = {
    "longer": (19, ["three 3"]),
    "reordered": (10, []),
    "added": (19, ["three 3"]),
    "removed": (6, []),
    "other arguments": (11, ["one 4"]),
}


@pytest.mark.parametrize("edit", list(EDITS))
def test_code_that_changes_while_a_run_waits(world: Any, diary: Diary, edit: str) -> None:
    """The new code goes on: what is on record is found by fingerprint, the rest is done."""
    jobs = versions()
    value, more = EDITS[edit]

    async def main() -> None:
        async with world:
            async with world.worker(jobs["before"]):
                begun = await world.begin(jobs["before"], Night())
                row = await world.parked(jobs["before"], Night())
            async with world.worker(jobs[edit]):
                await world.journal.send(row.id, "go", b"1")
                await world.poke(row)
                outcome = await world.end(begun, jobs[edit])
                assert outcome.value == value
                row = await world.row(jobs[edit], Night())
                said = await world.said(row)
                changed = [line for line in said if line["kind"] == "code-changed"]
                assert [line["what"] for line in changed] == ["job 'edited'"]
                if edit in ("removed", "other arguments"):
                    assert [found["step"] for found in outcome.divergences] == ["one"]
                else:
                    assert outcome.divergences == []

    asyncio.run(main())
    assert diary() == ["one 3", "two 3", *more]


def test_a_runtime_that_matches_by_position_is_caught(
    world: Any, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the check of whose answer it is, and with ids that say nothing, a wrong value comes."""

    @job(name="shifted")
    async def before(contract: Night) -> int:
        a = await one(contract.n)
        await wait_for("go", int)
        return a

    @job(name="shifted")
    async def after(contract: Night) -> int:
        a = await one(contract.n + 10)
        await wait_for("go", int)
        return a

    def run() -> Any:
        async def main() -> Any:
            async with world:
                async with world.worker(before):
                    begun = await world.begin(before, Night())
                    row = await world.parked(before, Night())
                async with world.worker(after):
                    await world.journal.send(row.id, "go", b"1")
                    await world.poke(row)
                    return (await world.end(begun, after)).value

        return asyncio.run(main())

    def no_check(self: Any, fp: bytes, answer: Any) -> None:
        """Whatever comes is taken."""

    async def by_position(self: Any, *args: Any, **how: Any) -> Any:
        self._times.clear()
        activity, message, _, *rest = args
        return await asked(self, activity, message, "same", *rest)

    from nightproof.engines.temporal.asking import Asking

    asked = Asking._flown
    with monkeypatch.context() as broken:
        broken.setattr(WorkflowRuntime, "check", no_check)
        broken.setattr(Asking, "_flown", by_position)
        broken.setattr("nightproof.engines.temporal.waiting.TAKE", "nightproof.take")
        assert run() == 4  # the answer of another call
    world.url = world.url + "x"
    with monkeypatch.context() as half:
        half.setattr(Asking, "_flown", by_position)
        (world.folder / "journal.db").unlink()
        assert run() == 14  # the answers' own fingerprints are enough
