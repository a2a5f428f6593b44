"""Signals: taken once, in order, typed; waits for them end in time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from nightproof import job, step, wait_for


def due(night, at=2**62):
    async def ask(app):
        return [row.name for row in await app.journal.due(at)]

    return night.ask(ask)


def test_a_signal_wakes_a_parked_run(night, night_contract):
    """Parked without a time; the signal makes the run due, and its payload arrives typed."""

    @job
    async def main(contract: night_contract) -> datetime:
        return await wait_for("approved", datetime)

    outcome = night.run(main)
    assert outcome.status == "parked"
    assert outcome.error.until is None
    assert due(night) == []
    night.send(outcome.name, "other", b"1")
    night.send(outcome.name, "approved", b'"2026-11-01T00:00:00Z"')
    assert due(night) == [outcome.name]
    assert night.value(main) == datetime(2026, 11, 1, tzinfo=UTC)


def test_a_signal_reaches_a_run_that_waits_in_its_process(night, night_contract):
    """Sent by another process while the run is live."""

    @job
    async def main(contract: night_contract) -> str:
        return await wait_for("go", str, timeout=60)

    async def both():
        app, sender = night.app(), night.app()
        try:
            running = asyncio.create_task(app.run(main, night_contract()))
            rows = await night.until(lambda: sender.journal.due(2**62))
            await asyncio.sleep(0.05)
            await sender.journal.send(rows[0].id, "go", b'"now"')
            return await running
        finally:
            await app.close()
            await sender.close()

    assert asyncio.run(both()).value == "now"


def test_a_signal_that_arrives_while_the_run_parks_is_not_lost(night, night_contract):
    """Sent between the last look and the parking: the run is due at once."""

    @job
    async def main(contract: night_contract) -> int:
        return await wait_for("go", int)

    async def both():
        app = night.app()
        try:
            sent = []

            def watch(run):
                park = run.park

                def late(*args):
                    sent.append(
                        app.engine.loop.create_task(app.journal.send(run.row.id, "go", b"7"))
                    )
                    park(*args)

                run.park = late

            outcome = await app.run(main, night_contract(), watch=watch)
            await asyncio.gather(*sent)
            return outcome
        finally:
            await app.close()

    outcome = asyncio.run(both())
    assert outcome.status == "parked"
    assert due(night) == [outcome.name]
    assert night.value(main) == 7


def test_each_signal_is_taken_once(night, killed, night_contract):
    """Two waits for one name take the two signals in order, also when they wait at once."""
    alive = []

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 0

    @job
    async def main(contract: night_contract) -> list[int]:
        first = await wait_for("n", int)
        both = await asyncio.gather(wait_for("n", int), wait_for("n", int))
        await after()
        return [first, *both]

    name = night.run(main).name
    for n in (b"1", b"2", b"3"):
        night.send(name, "n", n)
    night.die(main)
    alive.append(1)
    assert night.value(main) == [1, 2, 3]


def test_a_wait_that_timed_out_stays_so(night, killed, night_contract):
    """A signal that comes after the time-out, and before a resume, does not change the past."""
    alive = []

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 0

    @job
    async def main(contract: night_contract) -> str:
        try:
            answer = await wait_for("approved", str, timeout=0.01)
        except TimeoutError:
            answer = "nobody answered"
        await after()
        return answer

    night.die(main)
    (name,) = due(night)
    night.send(name, "approved", b'"yes"')
    alive.append(1)
    assert night.value(main) == "nobody answered"


def test_a_timeout_of_a_signal_is_durable(night, night_contract, fake_clock):
    """The limit counts from the first time: a resume behind it times out at once."""

    @job
    async def main(contract: night_contract) -> str:
        try:
            return await wait_for("approved", str, timeout=timedelta(hours=1))
        except TimeoutError as error:
            return str(error)

    began = fake_clock.at
    outcome = night.run(main)
    assert outcome.error.until.timestamp() == pytest.approx(began + 3600)
    fake_clock.at = began + 3601
    assert night.value(main) == "no signal 'approved' within 3600 s"


def test_a_payload_that_does_not_fit_is_put_aside(night, night_contract):
    """It is said what was expected, nothing is executed again, and the run goes on waiting."""

    @job
    async def main(contract: night_contract) -> int:
        return await wait_for("n", int)

    name = night.run(main).name
    night.send(name, "n", b'"many"')
    night.send(name, "n", b"null")
    outcome = night.run(main)
    assert outcome.status == "parked"
    assert "signal 'n' (a whole number): what came last did not fit: Input" in str(outcome.error)
    assert night.run(main).status == "parked"
    night.send(name, "n", b"nonsense")
    night.send(name, "n", b"3")
    assert night.value(main) == 3
    said = [note["message"] for note in night.notes(name, "signal-misfit")]
    assert [one.partition("(got ")[2] for one in said[:2]] == ["'many')", "None)"]
    assert len(said) == 3


def test_a_wait_for_a_wrong_payload_ends_when_it_would_have(night, night_contract, fake_clock):
    """What does not fit changes nothing of the time that was given."""

    @job
    async def main(contract: night_contract) -> str:
        try:
            return await wait_for("n", str, timeout=3600)
        except TimeoutError:
            return "nobody"

    until = fake_clock.at + 3600
    name = night.run(main).name
    night.send(name, "n", b"null")
    fake_clock.at += 1800
    assert night.run(main).error.until.timestamp() == pytest.approx(until)
    fake_clock.at = until + 1
    assert night.value(main) == "nobody"
