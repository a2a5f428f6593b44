"""The only place that reads the clock or draws randomness.

Tests replace the source with :func:`use`; nothing else in nightproof calls
``time``, ``datetime.now``, ``random`` or ``secrets``.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol


class Source(Protocol):
    """Where time and randomness come from."""

    def wall(self) -> float: ...
    def monotonic(self) -> float: ...
    def entropy(self, size: int) -> bytes: ...
    async def sleep(self, seconds: float) -> None: ...
    def block(self, seconds: float) -> None: ...


class System:
    """The machine's own clock and entropy."""

    wall = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    entropy = staticmethod(os.urandom)
    block = staticmethod(time.sleep)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


_source: Source = System()


@contextmanager
def use(source: Source) -> Iterator[None]:
    """Take time and randomness from `source` inside the block (process-wide)."""
    global _source
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before


def now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.fromtimestamp(_source.wall(), UTC)


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return int(_source.wall() * 1000)


def from_ms(ms: int) -> datetime:
    """The aware UTC time of `ms` milliseconds since the epoch."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def monotonic() -> float:
    """Seconds on a clock that is never set back."""
    return _source.monotonic()


def perf() -> float:
    """Seconds, for measuring durations; never faked."""
    return time.perf_counter()


def random() -> float:
    """A float in [0, 1), not reproducible: for jitter only."""
    return int.from_bytes(_source.entropy(7), "big") / (1 << 56)


def token_hex(size: int) -> str:
    """`size` random bytes as hex: for names that must not collide."""
    return _source.entropy(size).hex()


async def sleep(seconds: float) -> None:
    """Suspend the calling task."""
    await _source.sleep(seconds)


async def turn() -> None:
    """Give the other tasks of the event loop a turn."""
    await asyncio.sleep(0)


def block(seconds: float) -> None:
    """Suspend the calling thread."""
    _source.block(seconds)
