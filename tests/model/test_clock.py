"""One place that tells the time, and that tests can replace."""

import asyncio
from datetime import UTC, datetime

import pytest

from nightproof.model import clock


def test_now_is_aware_and_in_utc() -> None:
    """Naive times exist nowhere in nightproof."""
    assert clock.now().tzinfo is UTC
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 5
    assert clock.from_ms(clock.now_ms()).tzinfo is UTC


def test_a_source_replaces_time_and_chance_inside_its_block_only() -> None:
    """Also when the block ends by an exception."""

    class Source(clock.System):
        def wall(self):
            return 0.5

        def monotonic(self):
            return 7.0

        def entropy(self, size):
            return b"\1" * size

        async def sleep(self, seconds):
            slept.append(seconds)

        def block(self, seconds):
            slept.append(-seconds)

    slept = []

    def replaced():
        with clock.use(Source()):
            assert clock.now() == datetime.fromtimestamp(0.5, UTC)
            assert (clock.now_ms(), clock.monotonic(), clock.token_hex(2)) == (500, 7.0, "0101")
            assert clock.random() == int.from_bytes(b"\1" * 7, "big") / 2**56
            asyncio.run(clock.sleep(3600))
            clock.block(5)
            raise KeyError

    with pytest.raises(KeyError):
        replaced()
    assert slept == [3600, -5]
    assert clock.now_ms() > 10**12
    assert 0 <= clock.random() < 1
