"""The effects that this process is performing: the ledger is told that they go on.

An intent names who tries it. Whoever else meets it leaves it alone as long as that goes on:
a probe that says "not yet" of an act that is under way would let both act.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from itertools import count
from typing import Any

from nightproof.errors import NightproofError
from nightproof.journal.protocol import Journal
from nightproof.journal.records import EffectRow
from nightproof.journal.trying import Trying, trying
from nightproof.model import clock, identity

BEATS_PER_LEASE = 6
_numbers = count(1)
_here: dict[int, Try] = {}
"""What is under way in this process, whichever engine it belongs to."""


class Try:
    """One execution of an effect in this process."""

    def __init__(self, vouching: Vouching, key: str, process: identity.ProcessIdentity) -> None:
        self.key = key
        self.named = Trying(process, next(_numbers))
        self.begun = clock.monotonic()
        self.settled = False
        """The ledger knows what came of it."""
        self.came: tuple[Any] | None = None
        """What a plain function returned, however late."""
        self.failed: Exception | None = None
        self._vouching = vouching
        self._lock = threading.Lock()
        self._inside = False
        self._left = False

    def guard(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """A plain function that may go on in its thread when nobody waits for it any more."""

        @wraps(fn)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                if self._left:
                    raise RuntimeError("nobody waits for this effect any more")
                self._inside = True
            try:
                value = fn(*args, **kwargs)
                self.came = (value,)
                return value
            except Exception as error:
                self.failed = error
                raise
            finally:
                self._come_out()

        return guarded

    @property
    def inside(self) -> bool:
        """Whether a thread is at a plain function of it."""
        return self._inside

    def _come_out(self) -> None:
        with self._lock:
            self._inside = False
            over = self._left
        if over:
            self._vouching.over(self)

    def leave(self) -> None:
        """Nobody waits for it any more; it is over unless a thread is still at it."""
        with self._lock:
            self._left = True
            goes_on = self._inside
        if not goes_on:
            self._vouching.over(self)


class Vouching:
    """What one engine performs; beats from a thread, for an act may block the event loop."""

    def __init__(self, journal: Journal, lease: float) -> None:
        self._journal = journal
        self._lease = lease
        self._who = identity.here()
        self._lock = threading.Lock()
        self._mine: dict[int, Try] = {}
        self._given_up: list[Try] = []
        self._woken = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def begin(self, key: str) -> Try:
        """Before the intent is announced, which names what this returns."""
        made = Try(self, key, self._who)
        with self._lock:
            _here[made.named.number] = self._mine[made.named.number] = made
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._beat, name="nightproof-effects", daemon=True
                )
                self._thread.start()
        return made

    def over(self, one: Try) -> None:
        """It goes on no more; where its outcome is not on record, others may decide about it."""
        number = one.named.number
        with self._lock:
            _here.pop(number, None)
            self._mine.pop(number, None)
            if not one.settled:
                self._given_up.append(one)
                self._woken.set()

    def close(self) -> None:
        """Say what was given up, and end the thread; threads at work are left to the process."""
        with self._lock:
            self._closed = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    def _beat(self) -> None:
        every = self._lease / BEATS_PER_LEASE
        while True:
            self._woken.wait(every)
            self._woken.clear()
            with self._lock:
                since = clock.monotonic() - every
                long = [one for one in self._mine.values() if one.begun <= since]
                given_up, self._given_up = self._given_up, []
                closed = self._closed
            told: list[tuple[str, bytes, bytes | None]] = []
            for one in long:
                one.named = one.named._replace(beat=one.named.beat + 1)
                told.append((one.key, one.named.mark, one.named.encode()))
            told += [(one.key, one.named.mark, None) for one in given_up]
            if told:
                try:
                    self._journal.vouch(told)
                except NightproofError:
                    # A store that is away: the next beat says it.
                    with self._lock:
                        self._given_up += given_up
            if closed:
                return


class Watch:
    """Whether an intent that somebody else announced is still being tried."""

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self.seen: bytes | None = None
        self._since = 0.0

    def goes_on(self, row: EffectRow) -> bool:
        """Ask again and again: silence over a whole lease says that it does not."""
        now = clock.monotonic()
        if row.trying != self.seen:
            self.seen, self._since = row.trying, now
        who = trying(row.trying)
        if who is None or identity.is_dead(who.process):
            return False
        if who.process == identity.here():
            return who.number in _here
        if identity.is_stopped(who.process):
            return True  # it will go on where it was
        return now - self._since < self._lease

    def told(self, row: EffectRow) -> str:
        """What the log says of waiting for it."""
        who = trying(row.trying)
        assert who is not None
        where = who.process.label
        if identity.is_stopped(who.process):
            return f"{where} is stopped in the middle of it: let it go on, or end it"
        return f"{where} is still at it; what comes of it is waited for"
