"""Several executions of one activity have one outcome, on record once."""

import asyncio

import pytest
from temporalio.exceptions import ApplicationError

from nightproof import Contract, job, step
from nightproof.engines.temporal import calls, patience, worker_run
from nightproof.errors import StoreBusy
from nightproof.model.states import Kind

ran = []


class Night(Contract):
    """The contract of these tests."""

    task: str = "night"
    n: int = 0


@step
async def add(a: int, b: int) -> int:
    """Adds, and counts how often."""
    ran.append((a, b))
    return a + b


@step
async def number() -> int:
    """Another number each time."""
    ran.append("number")
    mine = len(ran)
    await asyncio.sleep(0.05)
    return mine


@job
async def main(contract: Night) -> int:
    """Its body would run in a workflow."""
    return await add(1, 2)


@pytest.fixture(autouse=True)
def fresh():
    """Nothing has run."""
    ran.clear()


def test_two_executions_of_one_activity_have_one_outcome(workers):
    """On two workers at once: both run the step, both answer with what was written first."""

    async def test(one, two):
        await one.begin(main, Night())
        two.head = one.head
        answers = await asyncio.gather(one.call(number), two.call(number))
        assert ran == ["number", "number"]
        assert answers[0]["ok"] == answers[1]["ok"]
        (entry,) = await one.entries(Kind.RESULT)
        assert entry.output.decode() == answers[0]["ok"]

    workers.run(test, count=2)


def test_without_the_look_at_the_record_two_executions_would_differ(workers, monkeypatch):
    """The negative control: the answer comes from the record, not from the function."""

    async def nothing(self, fp):
        return None

    async def test(one, two):
        await one.begin(main, Night())
        two.head = one.head
        monkeypatch.setattr(worker_run.WorkerLedger, "outcome", nothing)
        answers = await asyncio.gather(one.call(number), two.call(number))
        assert {answer["ok"] for answer in answers} == {"1", "2"}

    workers.run(test, count=2)


def test_other_arguments_than_were_sent_are_refused(workers, monkeypatch):
    """With both fingerprints; without the check it would run."""

    async def test(worker):
        await worker.begin(main, Night())
        message = worker.ask(add, 1, 2)
        wrong = {**message, "args": ["1", "3"]}
        answer = await worker.perform(worker.activities.call, wrong)
        assert answer["refused"]["type"] == "MisuseError"
        assert message["fp"] in answer["refused"]["message"]
        assert worker.ask(add, 1, 3)["fp"] in answer["refused"]["message"]
        short = {**message, "args": ["1"]}
        answer = await worker.perform(worker.activities.call, short)
        assert "1 arguments arrived" in answer["refused"]["message"]
        assert not ran
        monkeypatch.setattr(calls, "verify", lambda *_: None)
        assert (await worker.perform(worker.activities.call, wrong))["ok"] == "4"

    workers.run(test)


def test_while_the_store_is_away_a_commit_waits(workers, monkeypatch):
    """The step does not run again; an outage that lasts is Temporal's to wait for."""

    async def test(worker):
        await worker.begin(main, Night())
        journal = worker.activities.host.journal
        commit, away = journal.commit, [3]

        def refuse(batches):
            if away[0]:
                away[0] -= 1
                raise StoreBusy("another process holds the lock")
            return commit(batches)

        monkeypatch.setattr(journal, "commit", refuse)
        assert (await worker.call(add, 1, 2))["ok"] == "3"
        assert (away, ran) == ([0], [(1, 2)])
        away[0] = 10**9
        monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.0)
        with pytest.raises(ApplicationError, match="holds the lock") as told:
            await worker.call(add, 1, 3)
        assert (told.value.type, told.value.non_retryable) == ("Outage", False)
        away[0] = 0
        assert (await worker.call(add, 1, 3))["ok"] == "4"

    workers.run(test)


def test_an_execution_that_was_taken_over_writes_nothing(workers):
    """Its activities are refused, whether they begin or end after it."""

    async def test(one, two):
        await one.begin(main, Night())
        late = asyncio.create_task(one.call(number))
        await asyncio.sleep(0.02)
        await two.begin(main, Night(), started_ms=2000)
        assert (await late)["refused"]["type"] == "LeaseLost"
        assert (await one.call(add, 1, 2))["refused"]["type"] == "LeaseLost"
        assert not await two.entries(Kind.RESULT)
        assert (await two.call(add, 1, 2))["ok"] == "3"

    workers.run(test, count=2)


def test_pending_entries_are_written_once(workers):
    """However often an activity with them is tried."""

    async def test(worker):
        await worker.begin(main, Night())
        journal, run = worker.activities.host.journal, worker.head["run"]
        await journal.send(run, "go", b'"now"')
        take = {"head": worker.head, "name": "go", "fp": "ab" * 16, "but": []}
        (signal,) = await journal.signals(run)
        found = await worker.perform(worker.activities.take, take)
        assert found == {"id": signal.id, "payload": '"now"'}
        but = {**take, "but": [signal.id]}
        assert await worker.perform(worker.activities.take, but) == {}
        worker.head["pending"] = [
            {"kind": Kind.VALUE, "fp": "01" * 16, "output": "5"},
            {"kind": Kind.EVENT, "fp": "02" * 16, "output": '{"kind": "measure"}'},
            {"kind": Kind.SIGNAL, "fp": "ab" * 16, "output": '"now"', "signal": signal.id},
            {"kind": Kind.CHILD, "fp": "03" * 16, "output": '"' + "x" * 100_000 + '"'},
        ]
        await worker.call(add, 1, 2)
        await worker.call(add, 1, 2)
        await worker.perform(worker.activities.flush, {"head": worker.head})
        kinds = [Kind(entry.kind) for entry in await worker.entries()]
        assert sorted(kinds) == sorted(
            # One of the log's lines is the environment.
            [Kind.VALUE, Kind.EVENT, Kind.EVENT, Kind.SIGNAL, Kind.CHILD, Kind.RESULT]
        )
        assert not await journal.signals(run)
        assert (await worker.perform(worker.activities.take, take))["id"] == 0

    workers.run(test)
