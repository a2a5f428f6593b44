"""Waiting: sleeps, signals, parking, children."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from nightproof import (
    Exhausted,
    Interrupted,
    Retry,
    RunFailed,
    RunParked,
    StepFailed,
    effect,
    job,
    now,
    sleep,
    sleep_until,
    step,
    wait_for,
)
from nightproof.journal.records import RunFilter
from nightproof.model import clock


def due(night, at=2**62):
    async def ask(app):
        return [row.name for row in await app.journal.due(at)]

    return night.ask(ask)


def test_a_short_sleep_is_slept_and_recorded(night, night_contract):
    """The run waits in its process and goes on."""

    @job
    async def main(contract: night_contract) -> str:
        await sleep(0.01)
        await sleep_until(datetime.now(UTC))
        return "awake"

    assert night.value(main) == "awake"
    assert night.run(main).from_record


def test_a_long_sleep_parks_until_its_time(night, night_contract, fake_clock):
    """RunParked says when; a resume before that parks again for what is left, one after goes on."""

    @job
    async def main(contract: night_contract) -> str:
        before = now()
        await sleep(timedelta(hours=2))
        return f"{before:%H:%M}"

    began = fake_clock.at
    outcome = night.run(main)
    assert outcome.status == "parked"
    assert isinstance(outcome.error, RunParked)
    assert outcome.error.until.timestamp() == pytest.approx(began + 7200)
    fake_clock.at = began + 3600
    assert due(night, int(fake_clock.at * 1000)) == []
    again = night.run(main)
    assert again.error.until.timestamp() == pytest.approx(began + 7200)
    fake_clock.at = began + 7201
    assert due(night, int(fake_clock.at * 1000)) == [outcome.name]
    assert night.value(main) == f"{datetime.fromtimestamp(began, UTC):%H:%M}"


def test_a_wait_parks_as_soon_as_the_steps_beside_it_are_done(night, night_contract):
    """A step that began before the long wait finishes, is recorded, and then the run parks."""
    done = []

    @step
    async def work() -> int:
        await asyncio.sleep(0.8)  # longer than it takes to look again
        done.append(1)
        return 1

    @job
    async def main(contract: night_contract) -> int:
        await asyncio.gather(sleep(3600), work())
        return 1

    outcome = night.run(main)
    assert outcome.status == "parked"
    assert (done, outcome.executed) == ([1], 1)


def test_a_short_wait_keeps_the_run_from_parking(night, night_contract):
    """Beside a long wait a short one goes on; the earliest end is the wake time."""
    order = []

    @job
    async def main(contract: night_contract) -> int:
        async def short():
            await sleep(0.15)
            order.append("short")
            await sleep(7200)

        await asyncio.gather(sleep(3600), short())
        return 1

    began = clock.now().timestamp()
    outcome = night.run(main)
    assert order == ["short"]
    assert outcome.error.until.timestamp() == pytest.approx(began + 3600, abs=30)


def test_a_sleep_ends_in_time_though_the_clock_is_set_back(night, night_contract):
    """An hour back while a short sleep is under way does not make it an hour long."""

    class Shifting(clock.System):
        shift = 0.0

        def wall(self):
            return datetime.now(UTC).timestamp() + self.shift

    source = Shifting()

    @step
    async def set_back() -> None:
        await asyncio.sleep(0.05)
        source.shift = -3600.0

    @job
    async def main(contract: night_contract) -> str:
        await asyncio.gather(sleep(0.2), set_back())
        return "awake"

    with clock.use(source):
        assert asyncio.run(asyncio.wait_for(night.attempt(main), 20)).value == "awake"


def test_an_exhausted_quota_parks_the_run(night, night_contract, fake_clock):
    """A reset in an hour: the run parks until then, and the step succeeds when resumed."""
    reset = fake_clock.at + 3600
    tries = []

    @step(retry=Retry(attempts=2))
    async def ask() -> int:
        tries.append(fake_clock.at)
        if fake_clock.at < reset:
            raise Exhausted("daily quota", resets_at=datetime.fromtimestamp(reset, UTC))
        return 1

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    outcome = night.run(main)
    assert outcome.status == "parked"
    assert outcome.error.until.timestamp() == reset
    assert "daily quota" in night.row(outcome.name).waiting
    fake_clock.at = reset
    assert night.value(main) == 1
    assert len(tries) == 2


def test_a_short_exhaustion_is_waited_out_and_costs_no_try(night, night_contract, fake_clock):
    """Waits for a quota do not use up the policy's attempts."""
    tries = []

    @step(retry=Retry(attempts=2, base=0))
    async def ask() -> int:
        tries.append(fake_clock.at)
        if len(tries) < 5:
            raise Exhausted("minute", resets_at=clock.now() + timedelta(seconds=10))
        return 1

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    assert night.value(main) == 1
    assert tries[-1] - tries[0] >= 40


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
