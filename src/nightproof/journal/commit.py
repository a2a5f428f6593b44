"""Group commit: everything that is waiting goes to disk in one transaction.

Each run writes through a lane. A lane's waiters share one future per commit, so
sixty-four items that end in the same turn of the event loop cost one sync.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from nightproof.errors import LeaseLost, NightproofError, StoreError
from nightproof.journal.records import Entry, LaneBatch, Write
from nightproof.model import crash

LAZY_SECONDS = 0.02
"""How long an entry that nobody waits for may stay in memory."""
LAZY_ENTRIES = 256
"""How many of them may."""
COMMITS_PER_TURN = 32
"""After so many commits in a row the event loop gets a turn."""


class Committed(asyncio.Future[None]):
    """Done when the commit is on disk.

    It cannot be cancelled by one of its many waiters: a cancelled task learns of
    its cancellation when the commit is over.
    """

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ARG002 - the signature of Future
        return False


class Answer(asyncio.Future[frozenset[int]]):
    """What the commit of a store on a server may return: heard in the turn that it comes in.

    Any other awaitable will do; its waiter is told a turn of the event loop later.
    """

    heard: Callable[[asyncio.Future[frozenset[int]]], None] | None = None

    def set_result(self, result: frozenset[int], /) -> None:
        super().set_result(result)
        if self.heard is not None:
            self.heard(self)

    def set_exception(self, exception: type | BaseException, /) -> None:
        super().set_exception(exception)
        if self.heard is not None:
            self.heard(self)


class Committer(Protocol):
    """The part of a journal that commits."""

    @property
    def commits_inline(self) -> bool: ...

    def commit(self, batches: list[LaneBatch]) -> frozenset[int] | Awaitable[frozenset[int]]: ...


class Lane:
    """One run's way into the journal."""

    __slots__ = (
        "_commits",
        "_dirty",
        "broken",
        "entries",
        "future",
        "run",
        "seq",
        "token",
        "writes",
    )

    def __init__(self, commits: GroupCommit, run: int, token: int, seq: int) -> None:
        self._commits = commits
        self._dirty = False
        self.run = run
        self.token = token
        self.seq = seq
        self.entries: list[Entry] = []
        self.writes: list[Write] = []
        self.future: Committed | None = None
        self.broken: NightproofError | None = None

    def next_seq(self) -> int:
        """The next sequence number of the run's history."""
        self.seq += 1
        return self.seq

    def append(self, entry: Entry) -> Committed:
        """Write `entry`; await the returned future to know that it is on disk."""
        self.entries.append(entry)
        return self.sync()

    def append_alone(self, entry: Entry) -> Committed | None:
        """As :meth:`append`, for work that nothing else runs beside.

        There is nothing to share a commit with, so it is made at once where the
        store can; None then says that the entry is on disk. Now and then the event
        loop gets its turn all the same, for signals and timers.
        """
        self.entries.append(entry)
        return self.sync_alone()

    def sync_alone(self) -> Committed | None:
        """As :meth:`sync`, for work that nothing else runs beside; None says it is done."""
        commits = self._commits
        if self.broken is not None or not commits.may_commit_now():
            return self.sync()
        if not self._dirty:
            self._dirty = True
            commits.dirty.append(self)
        if not commits.inline:
            # Sent at once; only its answer has to be waited for.
            future = self.future
            if future is None:
                future = self.future = Committed(loop=commits.loop)
            commits.flush()
            if not future.done():
                commits.linger()
            if not future.done():
                return future
        else:
            commits.flush()
        if self.broken is not None:
            raise self.broken
        return None

    def put(self, write: Write) -> Committed:
        """As :meth:`append`, for the other kinds of record."""
        self.writes.append(write)
        return self.sync()

    def later(self, entry: Entry) -> None:
        """Write `entry` with the next commit; nobody waits for it."""
        self.entries.append(entry)
        if not self._dirty:
            self._dirty = True
            self._commits.lazily(self)
        elif len(self.entries) >= LAZY_ENTRIES:
            self._commits.soon()

    def sync(self) -> Committed:
        """A future that is done when everything handed in so far is on disk."""
        future = self.future
        if future is None:
            future = self.future = Committed(loop=self._commits.loop)
            if self.broken is not None:
                _break(future, self.broken)
                self.future = None
                return future
            if not self._dirty:
                self._dirty = True
                self._commits.dirty.append(self)
            self._commits.soon()
        return future

    def take(self) -> tuple[LaneBatch, Committed | None]:
        """What is waiting, removed from the lane."""
        batch = LaneBatch(self.run, self.token, self.entries, self.writes)
        future = self.future
        self.entries, self.writes, self.future, self._dirty = [], [], None, False
        return batch, future


class SharedLane(Lane):
    """One of several ways into the journal of one run; the store numbers its entries."""

    __slots__ = ()

    def take(self) -> tuple[LaneBatch, Committed | None]:
        """What is waiting, removed from the lane."""
        batch, future = super().take()
        return batch._replace(shared=True), future


Taken = tuple[Lane, LaneBatch, Committed | None]


class GroupCommit:
    """Collects the lanes of one event loop and commits them together."""

    def __init__(self, journal: Committer, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.dirty: list[Lane] = []
        self.commits = 0
        self._in_a_row = 0
        self.inline = getattr(journal, "commits_inline", False)
        self.linger: Callable[[], None] = getattr(journal, "linger", _at_once)
        self._journal = journal
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._running: asyncio.Future[frozenset[int]] | None = None

    def lane(self, run: int, token: int, seq: int) -> Lane:
        """A lane for a run whose history ends at `seq`."""
        return Lane(self, run, token, seq)

    def shared_lane(self, run: int, token: int) -> SharedLane:
        """A lane for a run that other processes write too."""
        return SharedLane(self, run, token, -1)

    def may_commit_now(self) -> bool:
        """Whether a commit may be made in the middle of a turn of the event loop."""
        self._in_a_row += 1
        return self._in_a_row < COMMITS_PER_TURN and self._running is None

    def soon(self) -> None:
        """Commit in the next turn of the event loop."""
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._turn)

    def lazily(self, lane: Lane) -> None:
        """Commit `lane` with the next commit, or a little later on its own."""
        self.dirty.append(lane)
        if self._timer is None and not self._scheduled:
            self._timer = self.loop.call_later(LAZY_SECONDS, self._turn)

    def _turn(self) -> None:
        self._in_a_row = 0
        self.flush()

    def flush(self) -> None:
        """Commit everything that is waiting."""
        self._scheduled = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._running is not None:
            # The commit under way picks up what is waiting when it is done.
            return
        lanes, self.dirty = self.dirty, []
        if not lanes:
            return
        if crash.armed:
            crash.hit("batch:before")
        taken = [(lane, *lane.take()) for lane in lanes]
        if len(taken) > 1:
            taken = self._newest(taken)
        try:
            answer = self._journal.commit([batch for _, batch, _ in taken])
        except Exception as error:  # noqa: BLE001 - who waits must hear of it, whatever it is
            self._fail(taken, _explained(error))
            return
        self.commits += 1
        if isinstance(answer, frozenset):
            self._acknowledge(taken, answer)
        else:
            self._await(taken, answer)

    def _newest(self, taken: list[Taken]) -> list[Taken]:
        """What is left when lanes end whose run has a newer token here: stores refuse by run."""
        newest: dict[int, int] = {}
        for lane, _, _ in taken:
            newest[lane.run] = max(lane.token, newest.get(lane.run, lane.token))
        old = [one for one in taken if one[0].token < newest[one[0].run]]
        if not old:
            return taken
        self._fail(old, _lost())
        return [one for one in taken if one[0].token == newest[one[0].run]]

    def _await(self, taken: list[Taken], answer: Awaitable[frozenset[int]]) -> None:
        self._running = future = asyncio.ensure_future(answer)
        heard = partial(self._answered, taken)
        if isinstance(future, Answer) and not future.done():
            future.heard = heard
        else:
            future.add_done_callback(heard)

    def _answered(self, taken: list[Taken], answer: asyncio.Future[frozenset[int]]) -> None:
        self._running = None
        if answer.cancelled():
            return  # the loop is being closed
        error = answer.exception()
        if error is None:
            self._acknowledge(taken, answer.result())
        elif isinstance(error, Exception):
            self._fail(taken, _explained(error))
        if self.dirty:
            self.soon()

    def _acknowledge(self, taken: list[Taken], refused: frozenset[int]) -> None:
        if crash.armed:
            crash.hit("batch:after")
        for lane, _, future in taken:
            if lane.run in refused:
                lane.broken = _lost()
            if future is not None:
                if lane.broken is not None:
                    _break(future, lane.broken)
                else:
                    future.set_result(None)

    def _fail(self, taken: list[Taken], error: NightproofError) -> None:
        for lane, _, future in taken:
            lane.broken = error
            if future is not None:
                _break(future, error)


def _at_once() -> None:
    """A store that has no answer to wait for."""


def _lost() -> LeaseLost:
    return LeaseLost(
        "this attempt no longer owns its run: another process took it over, and "
        "what this one was about to write was refused",
        "Nothing needs to be done; the other process goes on.",
    )


def _explained(error: Exception) -> NightproofError:
    if isinstance(error, NightproofError):
        return error
    found = StoreError(
        f"the journal refused what was to be written: {type(error).__name__}: {error}",
        "Nothing of this commit was written; the run can be resumed when the cause is gone.",
    )
    found.__cause__ = error
    return found


def _break(future: Committed, error: NightproofError) -> None:
    future.set_exception(error)
    # Marks it as seen: the engine stops the run whether or not anybody awaits this one.
    future.exception()
