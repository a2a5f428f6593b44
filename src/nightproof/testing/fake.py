"""A clock that tests set: sleeping takes no time, and passes it."""

from __future__ import annotations

import heapq
import itertools
import threading
from datetime import UTC, datetime
from random import Random

from nightproof.model import clock

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
TURNS = 8
"""Turns of the event loop that other tasks get before time passes."""


class FakeClock:
    """Time and randomness of a test; give it to :func:`nightproof.model.clock.use`.

    A sleep ends at once and moves the time on to its end; of several at the same
    time the shortest ends first, as in reality. Randomness is that of `seed`.
    Timeouts of asyncio and of steps go by the real clock.
    """

    def __init__(self, start: datetime = EPOCH, seed: int = 0) -> None:
        self._now = start.timestamp()
        self._passed = 0.0
        self._lock = threading.RLock()
        self._sleepers: list[tuple[float, int]] = []
        self._numbers = itertools.count()
        self._random = Random(seed)
        self.slept: list[float] = []
        """The length of every sleep so far, in seconds."""

    @property
    def now(self) -> datetime:
        """The time, aware, in UTC."""
        return datetime.fromtimestamp(self.wall(), UTC)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if seconds < 0:
            raise ValueError("time does not run backwards; set(...) turns the clock back")
        with self._lock:
            self._now += seconds
            self._passed += seconds

    def set(self, moment: datetime) -> None:
        """Set the wall clock to `moment` (aware), which may be earlier; monotonic time stays."""
        if moment.tzinfo is None:
            raise ValueError(f"{moment.isoformat()} has no zone; write datetime(..., tzinfo=UTC)")
        with self._lock:
            self._now = moment.timestamp()

    def wall(self) -> float:
        """Seconds since the epoch."""
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        """Seconds that have passed in this test."""
        with self._lock:
            return self._passed

    def entropy(self, size: int) -> bytes:
        """`size` bytes that are the same in every run of the test."""
        with self._lock:
            return self._random.randbytes(size)

    async def sleep(self, seconds: float) -> None:
        """Pass `seconds` of time; other tasks get their turn first."""
        end, number = self._lie_down(seconds)
        try:
            turns = 0
            while not self._woken(end, number, turns >= TURNS):
                await clock.turn()
                turns += 1
        finally:
            with self._lock:
                self._sleepers.remove((end, number))
                heapq.heapify(self._sleepers)

    def block(self, seconds: float) -> None:
        """Pass `seconds` of time, in a thread."""
        self.slept.append(seconds)
        self.advance(max(0.0, seconds))

    def _lie_down(self, seconds: float) -> tuple[float, int]:
        with self._lock:
            self.slept.append(seconds)
            sleeper = (self._passed + max(0.0, seconds), next(self._numbers))
            heapq.heappush(self._sleepers, sleeper)
            return sleeper

    def _woken(self, end: float, number: int, may_pass: bool) -> bool:
        with self._lock:
            if self._passed >= end:
                return True
            if may_pass and self._sleepers[0] == (end, number):
                self.advance(end - self._passed)
                return True
            return False
