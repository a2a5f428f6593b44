"""Child runs: runs of their own, awaited by their parents."""

import asyncio

import pytest

from nightproof import Interrupted, Retry, RunFailed, StepFailed, effect, job, sleep, step, wait_for
from nightproof.journal.records import RunFilter


def due(night, at=2**62):
    async def ask(app):
        return [row.name for row in await app.journal.due(at)]

    return night.ask(ask)


def family(contract, body, **options):
    """A child with `body`, and a parent that returns what it returns."""

    @job(name="child", **options)
    async def child(given: contract) -> int:
        return await body()

    @job(name="parent")
    async def parent(given: contract) -> int:
        return await child(contract(n=given.n + 100))

    return child, parent


def test_a_child_is_a_run_of_its_own(night, killed, night_contract):
    """Its result is recorded in both; a crash of the parent does not repeat it."""
    calls, alive = [], []

    @step
    async def work() -> int:
        calls.append(1)
        return 7

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 1

    @job
    async def child(contract: night_contract) -> int:
        return await work()

    @job
    async def parent(contract: night_contract) -> int:
        return await child(night_contract(n=1)) + await after()

    night.die(parent)
    alive.append(1)
    outcome = night.run(parent)
    assert outcome.value == 8
    assert calls == [1]
    assert night.run(child, night_contract(n=1)).from_record


def test_a_parent_parks_with_its_child(night, night_contract, fake_clock):
    """The parent's wake time is the child's; resuming the parent resumes the child."""

    async def body():
        await sleep(3600)
        return 5

    _, parent = family(night_contract, body)
    began = fake_clock.at
    outcome = night.run(parent)
    assert outcome.status == "parked"
    assert outcome.error.until.timestamp() == pytest.approx(began + 3600, abs=1)
    fake_clock.at = began + 3602
    assert night.value(parent) == 5


def test_a_signal_to_a_child_wakes_its_parked_parent(night, night_contract):
    """Who resumes looks at the parent; so that one has to become due."""

    async def body():
        return await wait_for("go", int)

    _, parent = family(night_contract, body)
    outcome = night.run(parent)
    assert outcome.status == "parked"
    assert due(night) == []
    child = night.row("child")
    night.send(child.name, "go", b"4")
    assert due(night) == [outcome.name]
    assert night.value(parent) == 4


def test_a_parked_child_does_not_cut_off_its_siblings(night, night_contract):
    """An effect in flight beside the child finishes before the parent parks."""
    acts = []

    @effect(key="beside")
    async def beside() -> int:
        acts.append("begun")
        await asyncio.sleep(0.3)
        acts.append("done")
        return 1

    @job
    async def child(contract: night_contract) -> int:
        await sleep(3600)
        return 1

    @job
    async def parent(contract: night_contract) -> int:
        await asyncio.gather(child(night_contract(n=1)), beside())
        return 1

    assert night.run(parent).status == "parked"
    assert acts == ["begun", "done"]


def test_a_failed_child_fails_alike_on_replay(night, killed, night_contract):
    """The parent catches the failure and goes on; after a crash it takes the same way."""
    seen, alive, calls = [], [], []

    @step(retry=Retry(attempts=1))
    async def work() -> int:
        calls.append(1)
        raise ValueError("bad")

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 1

    @job
    async def failing(contract: night_contract) -> int:
        if contract.n == 1:
            return await work()
        raise KeyError("body")

    @job
    async def parent(contract: night_contract) -> int:
        for n in (1, 2):
            try:
                await failing(night_contract(n=n))
            except (StepFailed, RunFailed) as error:
                seen.append((type(error), str(error)))
        return await after()

    night.die(parent)
    alive.append(1)
    assert night.value(parent) == 1
    assert seen[:2] == seen[2:]
    assert [kind for kind, _ in seen[:2]] == [StepFailed, RunFailed]
    assert calls == [1]


def test_resuming_a_failed_parent_tries_its_child_again(night, night_contract):
    """The child's failed step runs again, and the parent completes."""
    well = []

    @step(retry=Retry(attempts=1))
    async def work() -> int:
        if not well:
            raise ValueError("bad")
        return 3

    _, parent = family(night_contract, work)
    assert night.run(parent).status == "failed"
    well.append(1)
    assert night.value(parent) == 3


def test_replicates_have_replicates_of_their_children(night, night_contract):
    """The child runs again, under the same number."""
    calls = []

    @step
    async def work() -> int:
        calls.append(1)
        return len(calls)

    _, parent = family(night_contract, work)
    assert night.value(parent) == 1
    again = night.run(parent, replicate=-1)
    assert again.value == 2
    assert again.name.endswith(".1")

    async def names_of(app):
        return [row.name for row in await app.journal.runs(RunFilter(job="child"))]

    assert [name.partition(".")[2] for name in night.ask(names_of)] == ["1", ""]


def test_stopping_during_a_child_leaves_both_resumable(night, night_contract):
    """SIGTERM's stop: neither the child nor the parent ends in failure."""

    begun = asyncio.Event()

    @step
    async def slow() -> int:
        begun.set()
        await asyncio.sleep(0.2)
        return 2

    async def body():
        await slow()
        return await slow()

    _, parent = family(night_contract, body)

    async def main():
        app = night.app()
        try:
            running = asyncio.create_task(app.run(parent, night_contract()))
            await begun.wait()
            app.engine.stop()
            return await running
        finally:
            await app.close()

    outcome = asyncio.run(main())
    assert isinstance(outcome.error, Interrupted)
    assert [night.row(name).status for name in ("parent", "child")] == ["running", "running"]
    assert night.row("parent").owner is None
    again = night.run(parent)
    assert again.value == 2


def test_a_child_that_another_process_runs_is_waited_for(night, night_contract):
    """The parent takes its result when the other run of it is complete."""
    calls = []

    async def body():
        calls.append(1)
        await asyncio.sleep(0.3)
        return 9

    child, parent = family(night_contract, body)

    async def both():
        one, other = night.app(alive=True), night.app(alive=True)
        try:
            first = asyncio.create_task(one.run(child, night_contract(n=100)))
            await night.until(lambda: calls)
            outcome = await other.run(parent, night_contract())
            await first
            return outcome
        finally:
            await one.close()
            await other.close()

    assert asyncio.run(both()).value == 9
    assert calls == [1]
