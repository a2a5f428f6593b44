"""Failures: retries, histories, time-outs, deadlines, cancelling, undo."""

import asyncio
import threading
import time

import pytest

from nightproof import (
    Exhausted,
    Interrupted,
    Permanent,
    Retry,
    RunCancelled,
    StepFailed,
    Transient,
    effect,
    expect,
    job,
    sleep,
    step,
)
from nightproof.errors import DeadlineExceeded, ExpectationFailed
from nightproof.journal.records import Finish, LaneBatch, Owner, RunFilter, Wanted
from nightproof.model import clock, identity
from nightproof.model.states import RunStatus

QUICK = Retry(attempts=3, base=0.0)


def test_a_step_is_retried_and_its_history_kept(night, killed, night_contract):
    """StepFailed has step, type, message and one note a try; on replay it is the same."""
    seen, alive, calls = [], [], []

    @step(retry=QUICK)
    async def ask(n: int) -> int:
        calls.append(n)
        raise Transient(f"no answer {len(calls)}")

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 1

    @job
    async def main(contract: night_contract) -> int:
        try:
            await ask(1)
        except StepFailed as failure:
            seen.append((str(failure), failure.type, failure.reason, failure.attempts))
        return await after()

    night.die(main)
    alive.append(1)
    outcome = night.run(main)
    assert outcome.value == 1
    assert seen[0] == seen[1]
    message, type_, reason, attempts = seen[0]
    assert "failed after 3 attempts: Transient: no answer 3" in message
    assert (type_, reason) == ("Transient", "no answer 3")
    assert [note["message"] for note in attempts] == [f"no answer {n}" for n in (1, 2, 3)]
    assert {note["triage"] for note in attempts} == {"transient"}
    assert calls == [1, 1, 1]
    assert len(night.notes(outcome.name, "retry")) == 2


def test_success_after_retries(night, night_contract):
    """The result of the try that succeeded counts; the others are in the log."""
    calls = []

    @step(retry=QUICK)
    def ask() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionResetError("gone")
        return len(calls)

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    outcome = night.run(main)
    assert (outcome.value, outcome.executed, outcome.failed) == (3, 1, 0)
    assert [note["tries"] for note in night.notes(outcome.name, "retry")] == [1, 2]


@pytest.mark.parametrize("error", [TypeError("x"), KeyError("x"), Permanent("x"), ValueError("x")])
def test_permanent_failures_are_not_retried(night, night_contract, error):
    """Programming and data errors bubble up at once."""
    calls = []

    @step(retry=QUICK)
    async def ask() -> int:
        calls.append(1)
        raise error

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    with pytest.raises(StepFailed) as caught:
        night.value(main)
    assert caught.value.type == type(error).__name__
    assert calls == [1]


def test_a_server_told_wait_is_a_minimum(night, night_contract, fake_clock):
    """Retry-After counts even where the policy would have waited less."""
    tries = []

    @step(retry=Retry(attempts=2, base=0, cap=1))
    async def ask() -> int:
        tries.append(fake_clock.at)
        if len(tries) == 1:
            raise Transient("busy", retry_after=25)
        return 1

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    assert night.value(main) == 1
    assert tries[1] - tries[0] >= 25


def test_the_users_classification_wins(night, night_contract):
    """A classify function turns a permanent error into one that is retried."""
    calls = []

    @step(retry=Retry(attempts=2, base=0, classify=lambda error: Transient))
    async def ask() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("cut short")
        return 1

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    assert night.value(main) == 1


@pytest.mark.parametrize("plain", [False, True])
def test_a_timeout_ends_one_try(night, night_contract, plain):
    """The next try may succeed; the message names the step and the limit."""
    calls = []
    gate = threading.Event()

    @step(timeout=0.05, retry=Retry(attempts=2, base=0))
    async def slow() -> int:
        calls.append(1)
        if len(calls) == 1:
            await asyncio.sleep(30)
        return 1

    @step(timeout=0.05, retry=Retry(attempts=2, base=0))
    def slow_plain() -> int:
        calls.append(1)
        if len(calls) == 1:
            gate.wait(30)
        return 1

    @job
    async def main(contract: night_contract) -> int:
        return await (slow_plain() if plain else slow())

    try:
        outcome = night.run(main)
    finally:
        gate.set()
    assert outcome.value == 1
    (note,) = night.notes(outcome.name, "retry")
    assert "took longer than 0.05 s" in note["message"]


def test_the_users_own_timeout_error_keeps_its_text(night, night_contract):
    """A TimeoutError of the step's own is not taken for the step's limit."""

    @step(timeout=30, retry=Retry(attempts=1))
    async def ask() -> int:
        raise TimeoutError("the socket timed out")

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    with pytest.raises(StepFailed, match="the socket timed out"):
        night.value(main)


def test_a_deadline_fails_the_run(night, night_contract):
    """Counted from the first start; a resume behind it fails at once."""

    @job(deadline=0.1)
    async def main(contract: night_contract) -> int:
        await sleep(30)
        return 1

    for _ in range(2):
        outcome = night.run(main)
        assert outcome.status == "failed"
        assert isinstance(outcome.error, DeadlineExceeded)
    assert "deadline of 0.1 s" in str(outcome.error)


def test_an_unmet_expectation_fails_the_run(night, night_contract):
    """A run that did nothing is a failed run; the record says which expectation."""

    @job
    async def main(contract: night_contract) -> int:
        expect([], "no revenue rows at all")
        return 1

    outcome = night.run(main)
    assert isinstance(outcome.error, ExpectationFailed)
    assert b"no revenue rows" in night.row(outcome.name).error


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


def test_undo_in_reverse(night, night_contract):
    """When the run fails, completed steps are undone, last first, by result or by arguments."""
    undone = []

    @step(undo=undone.append)
    async def book(n: int) -> str:
        return f"booking {n}"

    async def give_back(n: int, result: str) -> None:
        undone.append((n, result))

    @step(undo=give_back)
    async def pay(n: int) -> str:
        return f"payment {n}"

    @step
    async def fail() -> int:
        raise ValueError("sold out")

    @job
    async def main(contract: night_contract) -> int:
        await book(1)
        await pay(2)
        await book.map([3, 4], concurrency=1)
        return await fail()

    outcome = night.run(main)
    assert outcome.status == "failed"
    assert undone == ["booking 4", "booking 3", (2, "payment 2"), "booking 1"]
    assert len(night.notes(outcome.name, "undone")) == 4
    again = night.run(main)
    assert again.executed == 4
    assert len(undone) == 8


def test_undo_goes_on_after_a_crash_in_the_middle(night, killed, night_contract):
    """What was undone is neither done nor undone again; the rest is undone."""
    done, undone, alive = [], [], []

    def give_back(n: int) -> None:
        if n == 2 and not alive:
            raise killed
        undone.append(n)

    @step(undo=give_back)
    async def book(n: int) -> int:
        done.append(n)
        return n

    @step
    async def fail() -> int:
        raise ValueError("sold out")

    @job
    async def main(contract: night_contract) -> int:
        for n in (1, 2, 3):
            await book(n)
        return await fail()

    night.die(main)
    assert undone == [3]
    alive.append(1)
    outcome = night.run(main)
    assert outcome.status == "failed"
    assert (done, undone) == ([1, 2, 3], [3, 2, 1])
    night.run(main)
    assert done == [1, 2, 3, 1, 2, 3]


def test_a_run_whose_undo_had_begun_does_not_complete(night, killed, night_contract):
    """The failure was the body's own and is gone after the crash: the rest is undone all the same."""
    undone, alive = [], []

    def give_back(n: int) -> None:
        if n == 1 and not alive:
            raise killed
        undone.append(n)

    @step(undo=give_back)
    async def book(n: int) -> int:
        return n

    @job
    async def main(contract: night_contract) -> int:
        await book(1)
        await book(2)
        if not alive:
            raise RuntimeError("a passing mood")
        return 1

    night.die(main)
    alive.append(1)
    outcome = night.run(main)
    assert outcome.status == "failed"
    assert "undo" in str(outcome.error)
    assert undone == [2, 1]
    assert night.value(main) == 1


def test_an_undo_by_effect_happens_once(night, killed, night_contract):
    """A refund is an effect: a crash right after it does not send it twice."""
    acts, alive = [], []

    @effect(key="refund/{n}")
    async def refund(n: int) -> None:
        acts.append(n)

    async def give_back(n: int) -> None:
        await refund(n)
        if not alive:
            raise killed

    @step(undo=give_back)
    async def pay(n: int) -> int:
        return n

    @job
    async def main(contract: night_contract) -> int:
        await pay(5)
        raise ValueError("no")

    night.die(main)
    alive.append(1)
    assert night.run(main).status == "failed"
    assert acts == [5]


def test_an_undo_that_fails_is_reported_and_the_rest_goes_on(night, night_contract):
    """The run's record names what could not be undone."""
    undone = []

    def give_back(n: int) -> None:
        if n == 2:
            raise ValueError("bank is closed")
        undone.append(n)

    @step(undo=give_back)
    async def pay(n: int) -> int:
        return n

    @job
    async def main(contract: night_contract) -> int:
        for n in (1, 2, 3):
            await pay(n)
        raise ValueError("no")

    outcome = night.run(main)
    assert undone == [3, 1]
    assert b"bank is closed" in night.row(outcome.name).error


def test_an_exhausted_single_try_still_waits(night, night_contract, fake_clock):
    """With one attempt and a quota that resets soon, the wait is no try either."""
    from datetime import timedelta

    from nightproof.model import clock

    tries = []

    @step(retry=Retry(attempts=1))
    async def ask() -> int:
        tries.append(fake_clock.at)
        if len(tries) == 1:
            raise Exhausted("minute", resets_at=clock.now() + timedelta(seconds=20))
        return 1

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    assert night.value(main) == 1


def test_an_exhausted_quota_without_a_reset_ends(night, night_contract, fake_clock):
    """Nobody says when it is back: the policy's attempts bound the tries."""
    tries = []

    @step(retry=Retry(attempts=3))
    async def ask() -> int:
        tries.append(1)
        if len(tries) > 50:
            raise Permanent("endless")
        raise Exhausted("some quota")

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    with pytest.raises(StepFailed, match="some quota"):
        night.value(main)
    assert len(tries) == 3
