"""Serving: what is due is started, what was missed caught up, what was left behind resumed.

A server decides and never runs a job itself. Any number of them may serve one store:
what runs for a night is fixed in the store by whoever comes first, and a run has one
owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from nightproof.errors import NightproofError, StoreError
from nightproof.journal.protocol import Journal
from nightproof.journal.records import RunRow
from nightproof.journal.schedules import ScheduleRow
from nightproof.model import clock
from nightproof.serving.children import Children, Ended, How
from nightproof.serving.patience import Patience
from nightproof.serving.plan import Planned
from nightproof.serving.recovery import recoverable

ROUND_SECONDS = 2.0
"""How often the store is asked; what is due starts at most so much later."""
SEEN_SECONDS = 60.0
LEAVE_SECONDS = 2.0
"""How long what waits for the store may go on once the server is asked to stop."""
AHEAD = timedelta(hours=1)
"""So far the clocks of servers may be apart."""
JOURNAL = "journal"
SCHEDULE = "schedule"
RECOVERY = "recovery"
VITAL = (JOURNAL, SCHEDULE, RECOVERY)
"""A server that has a problem with one of these does not do its work."""
Watcher = Callable[[Journal], Awaitable[None]]
"""Looks at the store now and then; it may take its time."""


class Source(Protocol):
    """Where schedules come from."""

    def changed(self) -> bool:
        """Whether the files may say something else than when they were last read."""
        ...

    async def read(self) -> list[Planned]:
        """The schedules. Raises NightproofError where they cannot be read."""
        ...


@dataclass
class Server:
    """One process that serves a store; `say` is told what happens, a line at a time."""

    journal: Journal
    source: Source
    say: Callable[[str], None]
    lease_ms: int
    late: timedelta
    """What was due longer ago was missed."""
    store: str | None = None
    """Given to children that are not to find the store by themselves."""
    parallel: int = 4
    """How many nights that are late, and runs that are resumed, may be under way at once."""
    watcher: Watcher | None = None
    watch_seconds: float = 15.0
    plans: list[Planned] = field(default_factory=list)
    since: dict[str, datetime] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    """What does not work at present, by what it is about."""
    ends: list[Ended] = field(default_factory=list)
    """The newest children that have ended."""
    fired: dict[tuple[str, str], int] = field(default_factory=dict)
    """How many nights ended, by schedule and status; for the metrics."""
    resumed: int = 0
    rounds: int = 0
    last_round: float = 0.0
    stopping: bool = False
    _late_keys: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.children = Children(self.say, self._ended)
        self.patience = Patience()
        self.wake = asyncio.Event()
        self._asked = asyncio.Event()
        self._cut = False
        self._seen = self._watched = float("-inf")
        self._watching: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Start nothing more, and let :meth:`serve` return."""
        self.stopping = True
        self._asked.set()
        self.wake.set()
        self.children.changed.set()

    async def load(self) -> None:
        """Read the schedules. Raises NightproofError where that is not possible."""
        self.plans = await self.source.read()
        await self._keep()

    async def serve(self) -> None:
        """Go round until :meth:`stop`."""
        while not self.stopping:
            await self._in_time(asyncio.ensure_future(self.round()))
            if not self.stopping:
                with suppress(TimeoutError):
                    async with asyncio.timeout(ROUND_SECONDS):
                        await self.wake.wait()
                self.wake.clear()

    async def once(self) -> list[Ended]:
        """Start all that is due, missed or left behind, once each; how it ended."""
        self.patience.once = True
        while not self.stopping:
            await self._in_time(asyncio.ensure_future(self.round()))
            if not len(self.children):
                break
            await self.children.wait()
        await self.rest()
        if not self._cut:
            await self._watch()
        return self.ends

    async def rest(self) -> None:
        """Let the watcher finish what it is at, unless the store keeps it waiting."""
        if self._watching is None:
            return
        if self.stopping and (self._cut or JOURNAL in self.problems):
            await self._in_time(self._watching)
        else:
            await self._watching

    async def _in_time(self, work: asyncio.Future[None]) -> None:
        """Wait for `work`; once asked to stop, for a moment only.

        A store that is away may be waited for a minute. A round that is cut short has lost
        nothing: what is due is found again by whoever serves next.
        """
        asked = asyncio.ensure_future(self._asked.wait())
        either: list[asyncio.Future[Any]] = [work, asked]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not work.done():
            await asyncio.wait([work], timeout=LEAVE_SECONDS)
        if not work.done():
            self._cut = True
            self.say("the store does not answer: leaving without it")
            work.cancel()
            await asyncio.wait([work], timeout=LEAVE_SECONDS)
        if work.done() and not work.cancelled():
            work.result()

    async def round(self) -> None:
        """Look once at everything; what does not work is a problem, not an end."""
        await self._try("targets", self._reload)
        await self._try(JOURNAL, self.journal.present)
        # In a file that nobody else sees, nothing would be known to have run.
        if JOURNAL not in self.problems:
            await self._try(SCHEDULE, self._start_due)
            await self._try(RECOVERY, self._recover)
        self._watch_now_and_then()
        self.rounds += 1
        self.last_round = clock.monotonic()

    async def _try(self, what: str, act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        except Exception as error:  # noqa: BLE001 - the next round may do better; an end would not
            told = error.message if isinstance(error, NightproofError) else repr(error)
            if self.problems.get(what) != told:
                self.say(f"{what}: {told}")
            self.problems[what] = told
        else:
            self.problems.pop(what, None)

    async def _reload(self) -> None:
        if self.source.changed():
            before = {one.name: one for one in self.plans}
            self.plans = await self.source.read()
            self._seen = float("-inf")
            for one in self.plans:
                if before.pop(one.name, None) != one:
                    self.say(f"{one.name}: {one.times}")
            for name in before:
                self.say(f"{name}: no longer scheduled")

    async def _keep(self) -> None:
        """Tell the store which schedules are served; learn since when."""
        now = clock.now_ms()
        for one in self.plans:
            row = ScheduleRow(one.name, one.job, one.target, one.spec(), now, now)
            kept = await self.journal.keep_schedule(row)
            self.since[one.name] = clock.from_ms(kept.since)
        self._seen = clock.monotonic()

    async def _start_due(self) -> None:
        if clock.monotonic() - self._seen >= SEEN_SECONDS:
            await self._keep()
        for one in self.plans:
            for fire in await self._open(one):
                self._fire(one, fire)
        self._mind_the_clock()

    def _mind_the_clock(self) -> None:
        """Raise StoreError for a schedule that starts nothing since a clock was or is wrong."""
        for one in self.plans:
            since = self.since[one.name]
            if since > clock.now() + AHEAD:
                raise StoreError(
                    f"{one.name} was first served at {since:%Y-%m-%d %H:%M} UTC, ahead of this "
                    "machine's clock: it starts nothing before that. Correct the clock; where it is "
                    "right, change the schedule's time by a minute: it then begins anew"
                )

    async def _open(self, one: Planned) -> list[datetime]:
        """The times of a schedule that no run is there for."""
        due = one.due(self.since[one.name], clock.now(), self.late)
        if not due:
            return []
        first, last = (int(moment.timestamp() * 1000) for moment in (due[0], due[-1]))
        known = await self.journal.fires(one.name, first, last)
        ran = {row.at for row in known if row.ran}
        return [moment for moment in due if int(moment.timestamp() * 1000) not in ran]

    def _fire(self, one: Planned, fire: datetime) -> None:
        key = f"{one.name} {fire.isoformat()}"
        if key in self.children or not self.patience.may(key):
            return
        late = clock.now() - fire > self.late
        # A night that is due waits for nobody; missed ones follow each other.
        if late and (self._busy() or any(k.startswith(f"{one.name} ") for k in self._late())):
            return
        self._late_keys.update({key} if late else ())
        self.say(f"{one.name}: {'catching up' if late else 'starting'} {fire.isoformat()}")
        words = ["schedule", "fire", one.target, fire.isoformat(), "--name", one.name, "--json"]
        self._start(key, one.name, words)

    async def _recover(self) -> None:
        due, cancelled = await recoverable(self.journal, self.lease_ms)
        for row in cancelled:
            self.say(f"{row.name}: cancelled, as was asked for")
        for row in due:
            self._resume(row)

    def _resume(self, row: RunRow) -> None:
        key = f"resume {row.name}"
        if key in self.children or self._busy() or not self.patience.may(key):
            return
        self._late_keys.add(key)
        self.resumed += 1
        self.say(f"{row.name}: resuming, it was {row.status}")
        self._start(key, row.name, ["resume", row.name, "--json"])

    def _start(self, key: str, label: str, words: list[str]) -> None:
        # Not as an option: everybody can read those, and a URL may hold a password.
        how = How(environ={"NIGHTPROOF_STORE": self.store} if self.store else {})
        self.children.start(key, label, words, how)

    def _late(self) -> list[str]:
        return [key for key in self.children if key in self._late_keys]

    def _busy(self) -> bool:
        return len(self._late()) >= self.parallel

    def _ended(self, end: Ended) -> None:
        self._late_keys.discard(end.key)
        self.patience.ended(end.key, end.code in (0, 75))
        self.ends = [*self.ends[-999:], end]
        if not end.key.startswith("resume "):
            status = str(end.document.get("status") or "error")
            self.fired[end.label, status] = self.fired.get((end.label, status), 0) + 1
        name = f" {end.run}" if end.run and end.run != end.label else ""
        self.say(f"{end.label}:{name} {end.how} ({end.seconds:.1f} s)")
        self.wake.set()

    def _watch_now_and_then(self) -> None:
        """Beside the rounds: an alert that hangs must not hold up a night."""
        due = clock.monotonic() - self._watched >= self.watch_seconds
        if due and (self._watching is None or self._watching.done()):
            self._watched = clock.monotonic()
            self._watching = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        if self.watcher is None:
            return
        try:
            await self.watcher(self.journal)
        except Exception as error:  # noqa: BLE001 - a watcher that fails must not stop the night
            told = f"{type(error).__name__}: {error}"
            if self.problems.get("watcher") != told:
                self.say(f"the watcher failed: {told}")
            self.problems["watcher"] = told
        else:
            self.problems.pop("watcher", None)
