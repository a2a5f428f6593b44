"""Steps and expiring values as activities: on record once, whoever runs them."""

import asyncio
from typing import Annotated

import pytest
from temporalio.exceptions import ApplicationError

from nightproof import (
    Ambient,
    Contract,
    Exhausted,
    Permanent,
    Ref,
    Retry,
    Transient,
    Unauthenticated,
    ambient,
    job,
    step,
)
from nightproof.engines.temporal import calls, patience, worker_run
from nightproof.errors import StoreBusy
from nightproof.model import clock
from nightproof.model.states import Kind

ran = []


class Night(Contract):
    """The contract of these tests."""

    task: str = "night"
    n: int = 0


class Client:
    """Stands for a connection."""


def make_client():
    """A client, counted."""
    ran.append("client")
    return Client()


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


@step(retry=Retry(attempts=3, base=0.001))
async def shaky(times: int) -> int:
    """Fails for a while."""
    ran.append("shaky")
    if len(ran) <= times:
        raise Transient("not yet")
    return len(ran)


@step
def large(size: int) -> str:
    """Too large for the journal."""
    ran.append(size)
    return "x" * size


@step
def raw(size: int) -> bytes:
    """Bytes, too large for the journal."""
    return b"\xff" * size


@step
def kept(text: str) -> Ref[str]:
    """A value by its digest."""
    ran.append(text)
    return Ref(text)


@step(pure=True)
def twice(n: int) -> int:
    """Does not wait for the disk."""
    return 2 * n


@step
async def closed(until: str) -> int:
    """A quota that is back much later."""
    from datetime import datetime

    raise Exhausted("used up", resets_at=datetime.fromisoformat(until))


@step
async def connected(
    name: str, client: Annotated[Client, ambient(make_client)], log: Ambient[Client | None] = None
) -> str:
    """Needs a client."""
    return f"{name} {type(client).__name__} {log}"


@step
async def unmade(name: str, client: Ambient[Client]) -> str:
    """Needs a client that nobody can make."""
    return name


@step(expires=3600)
async def token(n: int = 0) -> str:
    """A credential."""
    ran.append("token")
    return f"token-{len(ran):04}"


@step(secret=True)
async def password() -> str:
    """A credential that is not stored."""
    ran.append("password")
    return f"password-{len(ran):04}"


@step(retry=Retry(attempts=2, base=0.001))
async def login(token: str) -> str:
    """Takes only the newest credential."""
    if not token.endswith("0002"):
        raise Unauthenticated("refused")
    return f"as {token}"


@step
async def inside() -> str:
    """Asks for the credential itself."""
    return await token()


@job
async def main(contract: Night) -> int:
    """Its body would run in a workflow."""
    return await add(1, 2)


@pytest.fixture(autouse=True)
def fresh():
    """Nothing has run."""
    ran.clear()


def test_a_run_from_begin_to_end(workers):
    """Steps are on record, a second call reads them, and the run is complete."""

    async def test(worker):
        begun = await worker.begin(main, Night())
        assert (begun["before"], begun["index"]) == (None, [])
        first = await worker.call(add, 1, 2)
        assert (first["ok"], first["executed"]) == ("3", True)
        again = await worker.call(add, 1, 2)
        assert (again["ok"], again["executed"], again["fp"]) == ("3", False, first["fp"])
        other = await worker.call(add, 1, 2, occurrence=1)
        assert (other["ok"], other["executed"]) == ("3", True)
        assert ran == [(1, 2)] * 2
        ended = await worker.end(result="3")
        assert (ended["status"], ended["result"]) == ("completed", "3")
        assert await worker.end(result="3") == ended
        row = await worker.activities.host.journal.find(worker.head["name"])
        assert (str(row.status), row.result, row.owner) == ("completed", b"3", None)

    workers.run(test)


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


def test_failures_are_on_record_with_their_history(workers):
    """A second call reads them; the retries are told once."""

    async def test(worker):
        await worker.begin(main, Night())
        first = await worker.call(shaky, 9)
        assert [note["type"] for note in first["failed"]["attempts"]] == ["Transient"] * 3
        assert first["told"]["retries"] == 2
        again = await worker.call(shaky, 9)
        assert again["failed"] == first["failed"]
        assert (again["executed"], again.get("told")) == (False, None)
        assert ran == ["shaky"] * 3

    workers.run(test)


@pytest.mark.parametrize("routine", [large, raw])
def test_large_results_travel_whole(workers, routine):
    """Text as JSON, bytes as they are; also when they are read from the record."""

    async def test(worker):
        await worker.begin(main, Night())
        for _ in range(2):
            answer = await worker.call(routine, 100_000)
            if "raw64" in answer:
                from base64 import b64decode

                data = b64decode(answer["raw64"])
                value = routine.result.from_raw(data, answer["form"].encode())
            else:
                value = routine.result.decode(answer["ok"].encode())
            assert value == routine.fn(100_000)

    workers.run(test)


@pytest.mark.parametrize(("routine", "argument"), [(large, 100_000), (kept, "some text")])
def test_a_result_whose_blob_is_gone_is_made_again(workers, routine, argument):
    """And takes the place of the lost one on record."""

    async def test(worker):
        await worker.begin(main, Night())
        first = await worker.call(routine, argument)
        blobs = worker.activities.host.blobs
        for blob in list(blobs.iterate()):
            blobs.delete(blob.digest)
        again = await worker.call(routine, argument)
        assert (again["ok"], again["executed"]) == (first["ok"], True)
        assert (await worker.call(routine, argument))["executed"] is False
        assert ran == [argument, argument]
        said = [entry.output for entry in await worker.entries(Kind.EVENT)]
        assert sum(b"result-lost" in output for output in said) == 1

    workers.run(test)


def test_a_pure_step_answers_before_it_is_on_disk(workers):
    """And is on record a little later."""

    async def test(worker):
        await worker.begin(main, Night())
        answer = await worker.call(twice, 4)
        assert (answer["ok"], answer["pure"]) == ("8", True)
        await worker.perform(worker.activities.flush, {"head": worker.head})
        assert [entry.output for entry in await worker.entries(Kind.RESULT)] == [b"8"]

    workers.run(test)


def test_a_long_wait_is_an_answer(workers):
    """The workflow waits and asks again."""
    from datetime import timedelta

    async def test(worker):
        await worker.begin(main, Night())
        later = clock.now() + timedelta(hours=3)
        answer = await worker.call(closed, later.isoformat())
        assert answer["rest"]["until"] == pytest.approx(later.timestamp(), abs=1)
        assert "retry of step 'closed'" in answer["rest"]["reason"]
        assert not await worker.entries(Kind.FAILURE, Kind.RESULT)

    workers.run(test)


def test_a_worker_that_leaves_sends_sleepers_home(workers):
    """A short wait is not sat out: another worker goes on after it."""
    from datetime import timedelta

    async def test(worker):
        await worker.begin(main, Night())
        later = clock.now() + timedelta(seconds=100)
        call = asyncio.create_task(worker.call(closed, later.isoformat()))
        await asyncio.sleep(0.1)
        assert not call.done()
        await worker.activities.drain()
        answer = await call
        assert answer["rest"]["until"] == pytest.approx(later.timestamp(), abs=1)

    workers.run(test)


def test_ambient_arguments_are_made_by_the_worker(workers):
    """Once in each process; one that nobody can make is refused with what to write."""

    async def test(worker):
        await worker.begin(main, Night())
        first = await worker.call(connected, "a", Client())
        second = await worker.call(connected, "b", Client())
        assert (first["ok"], second["ok"]) == ('"a Client None"', '"b Client None"')
        assert ran == ["client"]
        refused = (await worker.call(unmade, "a", Client()))["refused"]
        assert refused["type"] == "MisuseError"
        assert "ambient(make)" in refused["hint"]

    workers.run(test)


@pytest.mark.parametrize("trouble", [KeyError("TOKEN"), ConnectionRefusedError("away")])
def test_a_client_that_cannot_be_made(workers, monkeypatch, trouble):
    """Trying again for ever would hide a mistake; a server that is away may come back."""

    def broken():
        raise trouble

    monkeypatch.setattr(connected.arguments._ambient["client"], "factory", broken)

    async def test(worker):
        await worker.begin(main, Night())
        if isinstance(trouble, OSError):
            with pytest.raises(ApplicationError, match="away") as told:
                await worker.call(connected, "a", Client())
            assert told.value.type == "Outage"
        else:
            refused = (await worker.call(connected, "a", Client()))["refused"]
            assert (refused["type"], refused["message"]) == ("KeyError", "KeyError: 'TOKEN'")

    workers.run(test)


def test_a_step_or_job_that_another_worker_may_know_is_tried_again(workers):
    """By Temporal; the error names it."""

    async def test(worker):
        await worker.begin(main, Night())
        message = {**worker.ask(add, 1, 2), "step": "elsewhere", "module": "no.such.module"}
        with pytest.raises(ApplicationError, match="does not know the step 'elsewhere'") as told:
            await worker.perform(worker.activities.call, message)
        assert (told.value.type, told.value.non_retryable) == ("UnknownStep", False)
        worker.activities.jobs = {}
        with pytest.raises(ApplicationError, match="does not know the job 'main'"):
            await worker.begin(main, Night())

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


def test_what_a_run_waits_for_is_shown(workers):
    """And that it goes on; the owner keeps it."""

    async def test(worker):
        await worker.begin(main, Night())
        head, find = worker.head, worker.activities.host.journal.find
        pause = {"head": head, "waiting": "signal 'go'", "wake": 12.5}
        await worker.perform(worker.activities.pause, pause)
        row = await find(head["name"])
        assert (str(row.status), row.waiting, row.wake) == ("parked", "signal 'go'", 12500)
        await worker.perform(worker.activities.pause, {**pause, "waiting": "", "wake": None})
        assert str((await find(head["name"])).status) == "running"

    workers.run(test)


def test_a_credential_is_made_once_for_all_workers(workers):
    """One that is on record is read, one that came with the message is used."""

    async def test(one, two):
        await one.begin(main, Night())
        two.head = one.head
        made = await one.call(token, op="mint")
        assert (made["ok"], made["executed"]) == ('"token-0001"', True)
        (record,) = made["told"]["mints"]
        read = await two.call(token, op="mint")
        assert (read["ok"], read["executed"]) == ('"token-0001"', False)
        secret = await one.call(password, op="mint")
        (hidden,) = secret["told"]["mints"]
        assert ran == ["token", "password"]
        assert all(entry.output != b'"password-0002"' for entry in await one.entries())
        two.head = {**two.head, "mints": [record, hidden]}
        again = await two.call(password, op="mint")
        assert (again["ok"], len(ran)) == (secret["ok"], 2)

    workers.run(test, count=2)


def test_a_refused_credential_is_made_again(workers):
    """The answer tells of the new one; the call keeps its fingerprint."""

    async def test(one, two):
        await one.begin(main, Night())
        made = await one.call(token, op="mint")
        (record,) = made["told"]["mints"]
        two.head = {**one.head, "mints": [record]}
        message = two.ask(login, "token-0001")
        parts = [b'{"$from":"%s"}' % record["fp"].encode()]
        from nightproof.model.fingerprint import fingerprint

        message["fp"] = fingerprint(login.prefix, parts).hex()
        answer = await two.perform(two.activities.call, message)
        assert answer["ok"] == '"as token-0002"'
        (newer,) = answer["told"]["mints"]
        assert (newer["value"], newer["older"]) == ('"token-0002"', ['"token-0001"'])
        third = await one.call(token, op="mint")
        assert third["ok"] == '"token-0001"'  # this worker has not heard of it
        one.head = {**one.head, "mints": [newer]}
        assert (await one.call(token, op="mint"))["ok"] == '"token-0002"'

    workers.run(test, count=2)


def test_a_step_may_ask_for_a_credential_itself(workers):
    """It gets the one that is on record."""

    async def test(one, two):
        await one.begin(main, Night())
        two.head = one.head
        await one.call(token, op="mint")
        assert (await two.call(inside))["ok"] == '"token-0001"'
        assert ran == ["token"]

    workers.run(test, count=2)


def test_what_is_permanent_is_not_tried_again(workers):
    """As on the embedded engine."""

    async def test(worker):
        await worker.begin(main, Night())
        answer = await worker.call(hopeless)
        assert (answer["failed"]["type"], ran) == ("Permanent", ["hopeless"])

    workers.run(test)


@step
async def hopeless() -> int:
    """Never succeeds."""
    ran.append("hopeless")
    raise Permanent("no")


@step
async def guarded() -> int:
    """Needs a credential that only it sees."""
    return len(await password())


def test_a_secret_made_inside_a_step_stays_in_the_worker(workers):
    """Where nothing is encrypted the workflow hears nothing of it."""

    async def test(worker):
        await worker.begin(main, Night())
        answer = await worker.call(guarded)
        assert answer["ok"] == "13"
        assert "password-" not in str(answer)

    workers.run(test)
