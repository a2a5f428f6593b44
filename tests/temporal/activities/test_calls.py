"""Steps and expiring values as activities: on record once, whoever runs them."""

import asyncio

import pytest

from nightproof import Contract, Exhausted, Permanent, Ref, Retry, Transient, job, step
from nightproof.model import clock
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
