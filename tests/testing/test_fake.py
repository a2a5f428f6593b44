"""The fake clock: time passes by sleeping, in the order in which it would."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from nightproof.model import clock
from nightproof.testing.fake import EPOCH, FakeClock


def test_sleeps_at_the_same_time_overlap():
    """Three sleepers wake in the order of their ends, and the longest decides how long it took."""
    source = FakeClock()
    woken: list[float] = []

    async def nap(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(clock.monotonic())

    async def main() -> None:
        await asyncio.gather(nap(30), nap(10), nap(20))

    with clock.use(source):
        asyncio.run(main())
    assert woken == [10, 20, 30]
    assert source.slept == [30, 10, 20]
    assert source.now == EPOCH + timedelta(seconds=30)


def test_others_get_their_turn_before_time_passes():
    """Work that is ready is done before a timer fires, as in reality."""
    done: list[str] = []

    async def work() -> None:
        for _ in range(4):
            await clock.turn()
        done.append("work")

    async def main() -> None:
        task = asyncio.create_task(work())
        await clock.sleep(1)
        done.append("sleep")
        await task

    with clock.use(FakeClock()):
        asyncio.run(main())
    assert done == ["work", "sleep"]


def test_a_cancelled_sleep_is_forgotten():
    """A sleeper that was cancelled does not hold up the others."""

    async def main() -> float:
        task = asyncio.create_task(clock.sleep(1))
        await clock.turn()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await clock.sleep(5)
        return clock.monotonic()

    with clock.use(FakeClock()):
        assert asyncio.run(main()) == 5


def test_the_wall_clock_is_set_and_monotonic_time_is_not():
    """A clock set back an hour does not take back the time that has passed."""
    source = FakeClock()
    source.advance(60)
    source.set(datetime(2025, 6, 1, tzinfo=UTC))
    assert source.now == datetime(2025, 6, 1, tzinfo=UTC)
    assert source.monotonic() == 60
    source.block(1.5)
    assert source.monotonic() == 61.5


def test_misuse_is_refused():
    """A naive time and a negative advance are errors."""
    with pytest.raises(ValueError, match="no zone"):
        FakeClock().set(datetime.fromisoformat("2026-01-01"))
    with pytest.raises(ValueError, match="backwards"):
        FakeClock().advance(-1)


def test_randomness_is_that_of_the_seed():
    """Two clocks with one seed agree; names are as many bytes as asked for."""
    assert FakeClock(seed=3).entropy(8) == FakeClock(seed=3).entropy(8)
    assert FakeClock(seed=3).entropy(8) != FakeClock(seed=4).entropy(8)
