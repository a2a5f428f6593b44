"""Some items of a map in one activity."""

import asyncio
from datetime import datetime, timedelta

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError

from nightproof import Contract, Exhausted, Permanent, job, step
from nightproof.engines.temporal import patience
from nightproof.errors import StoreBusy
from nightproof.model import clock
from nightproof.model.states import Kind

ran = []
gates = {}


class Night(Contract):
    """The contract of these tests."""

    task: str = "night"
    n: int = 0


@step
async def double(n: int) -> int:
    """Twice as much."""
    ran.append(n)
    return 2 * n


@step
async def gated(n: int) -> int:
    """Ends when the test says so."""
    ran.append(n)
    await gates.setdefault(n, asyncio.Event()).wait()
    return n


@step
async def odd(n: int) -> int:
    """Takes odd numbers only."""
    ran.append(n)
    if n % 2 == 0:
        raise Permanent(f"{n} is even")
    return n


@step
async def used_up(n: int, until: str) -> int:
    """Waits for a quota where the number is odd."""
    ran.append(n)
    if n % 2:
        raise Exhausted("used up", resets_at=datetime.fromisoformat(until))
    return n


@step
def large(n: int) -> bytes:
    """Too large for the journal."""
    ran.append(n)
    return bytes([n]) * 100_000


@step(pure=True)
def square(n: int) -> int:
    """Does not wait for the disk."""
    ran.append(n)
    return n * n


@job
async def main(contract: Night) -> int:
    """Its body would run in a workflow."""
    return 1


@pytest.fixture(autouse=True)
def fresh():
    """Nothing has run."""
    ran.clear()
    gates.clear()


def test_items_on_record_are_read_and_the_others_run(workers):
    """All are answered in the order of the chunk."""

    async def test(worker):
        await worker.begin(main, Night())
        first = await worker.chunk(double, [1, 2, 3])
        assert (first["values"], first["missing"]) == (["2", "4", "6"], [])
        assert (first["executed"], first["replayed"]) == (3, 0)
        second = await worker.chunk(double, [2, 3, 4])
        assert (second["values"], second["missing"]) == (["4", "6", "8"], [])
        assert (second["executed"], second["replayed"]) == (1, 2)
        assert ran == [1, 2, 3, 4]
        assert len(await worker.entries(Kind.RESULT)) == 4

    workers.run(test)


@pytest.mark.parametrize("routine", [large, square])
def test_results_of_every_kind_come_back(workers, routine):
    """Large ones by their bytes, pure ones when they are on disk."""

    async def test(worker):
        await worker.begin(main, Night())
        for again in (False, True):
            answer = await worker.chunk(routine, [1, 2, 3])
            assert answer["missing"] == []
            assert answer["replayed"] == (3 if again else 0)
            if routine is square:
                assert answer["values"] == ["1", "4", "9"]
            else:
                assert answer["values"] == [None] * 3
                assert [raw[1] for raw in answer["raw"].values()] == ["b"] * 3
        assert sorted(ran) == [1, 2, 3]

    workers.run(test)


def test_two_executions_of_a_chunk_have_one_outcome_an_item(workers, until):
    """Temporal began it on another worker while this one was still at it."""

    async def test(one, two):
        await one.begin(main, Night())
        two.head = one.head
        chunks = [asyncio.create_task(each.chunk(gated, [1, 2])) for each in (one, two)]
        await until(lambda: len(ran) >= 4)
        for gate in gates.values():
            gate.set()
        first, second = await asyncio.gather(*chunks)
        assert first["values"] == second["values"] == ["1", "2"]
        assert len(await one.entries(Kind.RESULT)) == 2

    workers.run(test, count=2)


def test_failures_are_collected_or_stop_the_chunk(workers):
    """Items that were not begun are missing."""

    async def test(worker):
        await worker.begin(main, Night())
        answer = await worker.chunk(odd, [1, 2, 3], on_error="collect")
        assert (answer["values"], answer["missing"]) == (["1", None, "3"], [])
        assert answer["failures"]["1"]["message"] == "2 is even"
        assert (answer["executed"], answer["failed"]) == (2, 1)
        answer = await worker.chunk(odd, [2, 4, 5], on_error="raise", width=1)
        assert sorted(answer["failures"]) == ["0", "1"]
        assert answer["missing"] == [2]

    workers.run(test)


def test_items_that_must_wait_are_missing(workers):
    """The answer says until when; the others are done."""

    async def test(worker):
        await worker.begin(main, Night())
        later = clock.now() + timedelta(hours=2)
        common = worker.ask(used_up, 1, later.isoformat())["args"][1:]
        calls = [worker.ask(used_up, n, later.isoformat()) for n in range(4)]
        message = {
            "head": worker.head, "op": "chunk", "step": "used_up", "module": used_up.fn.__module__,
            "common": common, "width": 4, "on_error": "raise",
            "items": [[one["args"][0], "", one["fp"], 0] for one in calls],
        }  # fmt: skip
        answer = await worker.perform(worker.activities.call, message)
        assert (answer["values"], answer["missing"]) == (["0", None, "2", None], [1, 3])
        assert answer["rest"]["until"] == pytest.approx(later.timestamp(), abs=1)

    workers.run(test)


def cancelled(env, **why):
    """Cancel an activity, as Temporal does."""
    details = ActivityCancellationDetails(**why)
    env.cancel(details)


def test_a_cancelled_chunk_ends_what_is_in_flight(workers, beating, until):
    """It begins nothing more, and says what is missing."""

    async def test(worker):
        await worker.begin(main, Night())
        env = beating()
        chunk = asyncio.create_task(worker.chunk(gated, list(range(9)), env, width=2))
        await until(lambda: len(ran) >= 2)
        cancelled(env, cancel_requested=True)
        await asyncio.sleep(0.05)
        for gate in gates.values():
            gate.set()
        answer = await chunk
        assert answer["values"][:3] == ["0", "1", None]
        assert answer["missing"] == list(range(2, 9))
        assert ran == [0, 1]

    workers.run(test)


def test_a_cancelled_chunk_does_not_wait_for_ever(workers, beating, until):
    """After the grace what is in flight is cut off."""
    workers.given["grace"] = 0.1

    async def test(worker):
        await worker.begin(main, Night())
        env = beating()
        chunk = asyncio.create_task(worker.chunk(gated, list(range(9)), env, width=2))
        await until(lambda: len(ran) >= 2)
        gates[0].set()
        await until(lambda: len(ran) >= 3)
        cancelled(env, cancel_requested=True)
        answer = await chunk
        assert answer["values"][:3] == ["0", None, None]
        assert answer["missing"] == list(range(1, 9))

    workers.run(test)


def test_a_chunk_of_a_cancelled_run_is_cut_off_at_once(workers, beating, until):
    """Whoever cancels a run does not wait for its items."""

    async def test(worker):
        await worker.begin(main, Night())
        env = beating()
        chunk = asyncio.create_task(worker.chunk(gated, list(range(9)), env, width=2))
        await until(lambda: len(ran) >= 2)
        await worker.activities.host.journal.request_cancel(worker.head["run"])
        cancelled(env, cancel_requested=True)
        answer = await chunk
        assert answer["missing"] == list(range(9))

    workers.given["grace"] = 1000.0
    workers.run(test)


def test_a_worker_that_leaves_hands_back_what_it_has_not_begun(workers, beating, until):
    """Items in flight end; where that takes too long, all that is not on record is missing."""

    async def test(worker):
        await worker.begin(main, Night())
        env = beating()
        chunk = asyncio.create_task(worker.chunk(gated, list(range(9)), env, width=2))
        await until(lambda: len(ran) >= 2)
        env.worker_shutdown()
        async with asyncio.timeout(5):
            await worker.activities.host.draining.wait()
        gates[0].set()
        await asyncio.sleep(0.05)
        assert ran == [0, 1]
        cancelled(env, worker_shutdown=True)
        answer = await chunk
        assert answer["values"][:2] == ["0", None]
        assert answer["missing"] == list(range(1, 9))
        assert "rest" not in answer

    workers.run(test)


def test_heartbeats_tell_how_many_items_are_done(workers, beating, until):
    """So that a stalled chunk can be told from a slow one."""

    async def test(worker):
        await worker.begin(main, Night())
        env, told = beating(), []
        env.on_heartbeat = told.append
        chunk = asyncio.create_task(worker.chunk(gated, [1, 2, 3], env))
        await until(lambda: len(ran) >= 3)
        gates[1].set()
        await until(lambda: told[-1:] == [1])
        for gate in gates.values():
            gate.set()
        await chunk

    workers.run(test)


def test_items_that_are_done_survive_an_outage(workers, monkeypatch):
    """The activity is tried again; only what is not on record runs again."""
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.0)

    async def test(worker):
        await worker.begin(main, Night())
        await worker.chunk(double, [1, 2])
        journal = worker.activities.host.journal

        def refuse(batches):
            raise StoreBusy("away")

        with monkeypatch.context() as patch:
            patch.setattr(journal, "commit", refuse)
            with pytest.raises(ApplicationError, match="away"):
                await worker.chunk(double, [1, 2, 3])
        ran.clear()
        answer = await worker.chunk(double, [1, 2, 3])
        assert (answer["values"], ran) == (["2", "4", "6"], [3])

    workers.run(test)


def test_an_item_that_is_not_what_was_sent_refuses_the_chunk(workers):
    """Nothing of it runs."""

    async def test(worker):
        await worker.begin(main, Night())
        one, two = worker.ask(double, 1), worker.ask(double, 2)
        items = [[one["args"][0], "", one["fp"], 0], [two["args"][0], "", one["fp"], 0]]
        answer = await worker.chunk(double, [1], items=items)
        assert answer["refused"]["type"] == "MisuseError"
        assert ran == []

    workers.run(test)


def test_a_chunk_whose_run_has_broken_in_another_activity_ends(workers, monkeypatch, until):
    """Items that were not begun are begun elsewhere: the activity fails instead of waiting."""
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.0)

    async def test(worker):
        await worker.begin(main, Night())
        journal = worker.activities.host.journal
        chunk = asyncio.create_task(worker.chunk(gated, [1, 2], width=1))
        await until(lambda: ran)

        def refuse(batches):
            raise StoreBusy("away")

        with monkeypatch.context() as patch:
            patch.setattr(journal, "commit", refuse)
            with pytest.raises(ApplicationError, match="away"):
                await worker.chunk(double, [3])
        gates[1].set()
        await asyncio.wait({chunk}, timeout=5)
        assert chunk.done()
        with pytest.raises(ApplicationError, match="away"):
            await chunk
        assert ran == [1, 3]

    workers.run(test)
