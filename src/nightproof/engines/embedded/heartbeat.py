"""Proof of life, from a thread of its own: a busy event loop must not look dead."""

from __future__ import annotations

import threading
from collections.abc import Callable

from nightproof.errors import NightproofError
from nightproof.journal.protocol import Journal

BEATS_PER_LEASE = 6


class Heartbeat:
    """Extends the leases of the runs that this process owns."""

    def __init__(
        self, journal: Journal, lease: float, lost: Callable[[frozenset[int]], None]
    ) -> None:
        self._journal = journal
        self._lease = lease
        self._lost = lost
        self._lock = threading.Lock()
        self._owned: dict[int, int] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, run: int, token: int) -> None:
        """Begin to beat for a run."""
        with self._lock:
            self._owned[run] = token
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._beat, name="nightproof-heartbeat", daemon=True
                )
                self._thread.start()

    def remove(self, run: int) -> None:
        """Stop beating for a run."""
        with self._lock:
            self._owned.pop(run, None)

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(self._lease / BEATS_PER_LEASE):
            with self._lock:
                owned = dict(self._owned)
            if not owned:
                continue
            try:
                lost = self._journal.pulse(owned, int(self._lease * 1000))
            except NightproofError:
                # A full disk or a lock: the next beat tries again, within the lease.
                continue
            with self._lock:
                lost &= self._owned.keys()
                for run in lost:
                    del self._owned[run]
            if lost:
                self._lost(lost)
