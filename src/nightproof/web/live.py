"""News of the journal, for pages that are open: a state that changes when the journal does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nightproof.journal.protocol import Journal
from nightproof.model import clock
from nightproof.views import news

ROUND_SECONDS = 1.0
"""How often the journal is asked while somebody listens; a listener hears no more often."""
TICK_SECONDS = 15.0
"""So often pages look again in any case: a killed process and a missed night write nothing."""
MOST_LISTENERS = 200
SHARE = 0.25
"""Of the dashboard's time, what pages that are asked again because of news may take …"""
MOST_PAUSE_SECONDS = 15.0
"""… unless a page would hear nothing for longer than this."""


@dataclass(eq=False)
class Listener:
    """One open page; `run` is the only run it wants to hear of."""

    run: str = ""
    seen: str = ""
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Live:
    """Knows whether the journal has changed; `state` names what it has seen of it.

    A state means nothing to another process: a page that comes back after a restart is told
    to look again. `at_once` says that the journal notices every change when it is asked; a
    database tells of most of them a little later.
    """

    def __init__(self, journal: Journal, at_once: bool = True) -> None:
        self._journal = journal
        self._at_once = at_once
        self._epoch = clock.token_hex(6)
        self._count = 0
        self._listeners: set[Listener] = set()
        self._marks: dict[str, tuple[int, str]] = {}
        self._watching: asyncio.Task[None] | None = None
        self.closed = False
        self._page_seconds = 0.0

    @property
    def pause(self) -> float:
        """How long a listener hears nothing after an event: longer where pages are costly."""
        wanted = len(self._listeners) * self._page_seconds / SHARE
        return max(ROUND_SECONDS, min(MOST_PAUSE_SECONDS, wanted))

    def took(self, seconds: float) -> None:
        """Note how long a page took."""
        self._page_seconds += (seconds - self._page_seconds) / 8

    @property
    def state(self) -> str:
        """What was seen last: never newer than what a page reads afterwards."""
        return f"{self._epoch}-{self._count}"

    def current(self, listener: Listener, seen: str, mark: str) -> bool:
        """Whether nothing has changed since what was `seen`; `mark` is what there is now.

        The mark of a run may be newer than the state: where that may lag behind, a page that
        only knows the state could hold what was before the mark, and would never hear of it.
        """
        return seen == mark or (seen == self.state and (self._at_once or not listener.run))

    def poke(self) -> None:
        """Say that the journal has changed: a store may not notice what this process writes."""
        self._count += 1
        for listener in self._listeners:
            listener.news.set()

    def close(self) -> None:
        """Let everybody who listens go."""
        self.closed = True
        for listener in self._listeners:
            listener.news.set()

    @property
    def full(self) -> bool:
        """Whether nobody else may listen."""
        return self.closed or len(self._listeners) >= MOST_LISTENERS

    @contextmanager
    def listening(self, run: str = "") -> Iterator[Listener]:
        """Listen inside the block."""
        listener = Listener(run)
        self._listeners.add(listener)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners and self._watching is not None:
                self._watching.cancel()
                self._watching = None

    async def look(self) -> None:
        """Ask the journal once."""
        try:
            await self._journal.present()
            changed = await self._journal.changed()
        except Exception:  # noqa: BLE001 - pages that ask again say what is wrong with the store
            changed = True
        if changed:
            self.poke()

    async def mark(self, listener: Listener) -> str:
        """The state as a listener sees it: of one run only what concerns it."""
        if not listener.run:
            return self.state
        count, mark = self._marks.get(listener.run, (-1, ""))
        if count != self._count:
            count = self._count
            try:
                mark = await news.mark(self._journal, listener.run)
            except Exception:  # noqa: BLE001 - the page that asks again says what is wrong
                mark = self.state
            if len(self._marks) > 2 * MOST_LISTENERS:
                self._marks.clear()
            self._marks[listener.run] = count, mark
        return mark

    async def _watch(self) -> None:
        ticked = clock.monotonic()
        while True:
            await self.look()
            if clock.monotonic() - ticked >= TICK_SECONDS:
                ticked = clock.monotonic()
                self.poke()
            await clock.sleep(ROUND_SECONDS)
