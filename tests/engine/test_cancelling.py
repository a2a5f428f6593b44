"""Runs that are cancelled, stopped, or left by who called them."""

import asyncio
import threading
import time

import pytest

from nightproof import Interrupted, Retry, RunCancelled, Transient, effect, job, sleep, step
from nightproof.journal.records import Finish, LaneBatch, Owner, RunFilter, Wanted
from nightproof.model import clock, identity
from nightproof.model.states import RunStatus


def test_cancelling_a_live_run(night, night_contract):
    """Another process asks; the run ends as cancelled, and can be started again."""
    begun = []

    @job
    async def main(contract: night_contract) -> int:
        begun.append(1)
        if len(begun) == 1:
            await sleep(60)
        return 1

    async def both():
        app, other = night.app(alive=True), night.app()
        try:
            running = asyncio.create_task(app.run(main, night_contract()))
            await night.until(lambda: begun)
            row = (await other.journal.due(2**62))[0]
            assert await other.journal.request_cancel(row.id) is False
            return await running
        finally:
            await app.close()
            await other.close()

    outcome = asyncio.run(both())
    assert outcome.status == "cancelled"
    assert isinstance(outcome.error, RunCancelled)
    assert night.value(main) == 1


def test_cancelling_a_parent_cancels_its_child(night, night_contract):
    """A child that nobody would go on with is not left as running."""
    begun = []

    @job
    async def inner(contract: night_contract) -> int:
        begun.append(1)
        await sleep(60)
        return 1

    @job
    async def outer(contract: night_contract) -> int:
        return await inner(night_contract(n=1))

    async def both():
        app, other = night.app(alive=True), night.app()
        try:
            running = asyncio.create_task(app.run(outer, night_contract()))
            await night.until(lambda: begun)
            rows = await other.journal.runs(RunFilter(job=outer.name))
            await other.journal.request_cancel(rows[0].id)
            await running
            return {row.job: row.status for row in await other.journal.runs(RunFilter())}
        finally:
            await app.close()
            await other.close()

    assert set(asyncio.run(both()).values()) == {RunStatus.CANCELLED}


def test_cancelling_a_run_that_nobody_works_on(night, night_contract):
    """A parked run is cancelled at once, and is no longer due."""

    @job
    async def main(contract: night_contract) -> int:
        await sleep(3600)
        return 1

    row = night.row(night.run(main).name)
    assert night.ask(lambda app: app.journal.request_cancel(row.id)) is True
    assert night.row(row.name).status == "cancelled"
    assert night.ask(lambda app: app.journal.due(2**62)) == []


def test_a_cancel_that_meets_a_run_as_it_parks(night):
    """Asked for behind the owner's last look: the run does not come to rest as parked."""
    want = Wanted("parks", "sha256:" + "0" * 64, b"{}")

    async def park(app):
        run = (await app.journal.claim(want, Owner(identity.here(), 0, 30_000))).run
        assert await app.journal.request_cancel(run.id) is False
        end = Finish(RunStatus.PARKED, clock.now_ms(), "parked", waiting="signal 'go'")
        done = app.journal.commit([LaneBatch(run.id, run.token, (), (end,))])
        if not isinstance(done, frozenset):
            await done
        return run.name

    row = night.row(night.ask(park))
    assert (row.status, row.waiting, row.cancel) == (RunStatus.CANCELLED, "", False)
    assert row.finished is not None


def test_a_cancel_outlives_the_process_that_should_have_heard_it(night, killed, night_contract):
    """Asked for while the owner looked alive; it dies without hearing: who takes over cancels."""
    alive = []

    @step
    async def work() -> int:
        if not alive:
            raise killed
        return 1

    @job(name="wanted")
    async def main(contract: night_contract) -> int:
        return await work()

    async def first():
        app = night.app(alive=True, lease=0.3)
        try:
            await app.run(main, night_contract())
        finally:
            await app.close()

    with pytest.raises(killed):
        asyncio.run(first())
    alive.append(1)
    row = night.row("wanted")
    assert night.ask(lambda app: app.journal.request_cancel(row.id)) is False
    time.sleep(0.4)  # until the lease of the owner is over
    outcome = night.run(main, lease=0.3)
    assert outcome.status == "cancelled"
    assert night.value(main) == 1


def test_stop_lets_the_step_in_flight_finish(night, night_contract):
    """SIGTERM: the current checkpoint is written, nothing new begins, the run stays resumable."""
    calls = []

    @step
    async def work(n: int) -> int:
        calls.append(n)
        await asyncio.sleep(0.1)
        return n

    @job
    async def main(contract: night_contract) -> list[int]:
        return [await work(n) for n in range(3)]

    async def stopped():
        app = night.app()
        try:
            running = asyncio.create_task(app.run(main, night_contract()))
            await night.until(lambda: calls)
            app.engine.stop()
            return await running
        finally:
            await app.close()

    outcome = asyncio.run(stopped())
    assert isinstance(outcome.error, Interrupted)
    assert outcome.executed == 1
    assert night.row(outcome.name).owner is None
    again = night.run(main)
    assert (again.value, again.replayed, calls) == ([0, 1, 2], 1, [0, 1, 2])


def test_a_cancelled_caller_leaves_the_run_resumable(night, night_contract):
    """Ctrl-C in asyncio.run cancels the caller's task: the run is given back."""

    @step
    async def work() -> int:
        return 1

    @job
    async def main(contract: night_contract) -> int:
        got = await work()
        begun.set()
        if not alive:
            await asyncio.sleep(60)
        return got

    alive, begun = [], threading.Event()

    async def cut_off():
        app = night.app(alive=True)
        try:
            running = asyncio.create_task(app.run(main, night_contract()))
            await night.until(begun.is_set)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        finally:
            await app.close()

    asyncio.run(cut_off())
    alive.append(1)
    outcome = night.run(main)
    assert (outcome.value, outcome.replayed) == (1, 1)


def test_what_a_failed_body_left_in_flight_is_settled(night, night_contract):
    """gather ends with the first failure: the others finish and are recorded before the run ends."""
    acts = []

    @step
    async def fail() -> int:
        await asyncio.sleep(0.02)
        raise ValueError("bad")

    @effect(key="slow")
    async def slow() -> int:
        await asyncio.sleep(0.15)
        acts.append(1)
        return 1

    @step(retry=Retry(attempts=5, base=0.3))
    async def retrying() -> int:
        await asyncio.sleep(0.01)
        acts.append("try")
        raise Transient("again")

    @job
    async def main(contract: night_contract) -> int:
        await asyncio.gather(fail(), slow(), retrying())
        return 1

    outcome = night.run(main)
    assert outcome.status == "failed"
    assert acts.count(1) == 1
    tries = acts.count("try")
    assert night.ask(lambda app: app.journal.effect("slow")).state == "confirmed"
    assert acts.count("try") == tries
