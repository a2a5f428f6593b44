"""Waiting: sleeps, signals, parking, children."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from nightproof import Exhausted, Retry, RunParked, job, now, sleep, sleep_until, step
from nightproof.model import clock
from nightproof.testing import fake


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


class Slow(fake.FakeClock):
    """A clock that passes every sleep by itself, on a machine that is busy."""

    async def sleep(self, seconds: float) -> None:
        time.sleep(0.01)  # noqa: ASYNC251 - what holds up the loop is the point
        await super().sleep(seconds)


def test_a_clock_that_passes_waits_by_itself_leaves_nothing_to_park_for(night, night_contract):
    """However long the process takes for it."""

    @job
    async def main(contract: night_contract) -> str:
        await sleep(3600)
        return "awake"

    with clock.use(Slow()):
        assert night.value(main) == "awake"
