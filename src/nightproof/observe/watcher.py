"""The watcher: looks at a store, opens and clears incidents, and tells each once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from nightproof.config import Settings
from nightproof.errors import NightproofError, StoreError
from nightproof.journal.incidents import ALL_TOLD, OPEN_TOLD, UNTOLD, IncidentRow
from nightproof.journal.protocol import Journal, Reader
from nightproof.model import clock
from nightproof.observe.drifting import drifting
from nightproof.observe.incident import Finding, Incident, span
from nightproof.observe.lasting import exhausting
from nightproof.observe.nights import missed, silent
from nightproof.observe.progress import failed, held, stalled
from nightproof.observe.scene import RECENT_MS, Memory, Scene
from nightproof.observe.sinks import Sink, configured

INTERVAL_SECONDS = 15.0
"""How often to look, at most."""
CLAIM_MS = 60_000
"""A claim to tell an incident that is older than this was left by a process that died."""
Rule = Callable[[Scene], Awaitable[list[Finding]]]
RULES: dict[str, Rule] = {
    "stalled": stalled,
    "held": held,
    "failed": failed,
    "missed": missed,
    "no-output": silent,
    "drift": drifting,
    "quota": exhausting,
}
"""Each kind of incident and what finds it."""


class Watcher:
    """Watches one store. Several may watch the same one: each incident is told once.

    Raises ConfigError where the setting ``alerts`` makes no sense.
    """

    def __init__(self, settings: Settings, sinks: Sequence[Sink] | None = None) -> None:
        self.settings = settings
        self.sinks = list(configured(settings.alerts) if sinks is None else sinks)
        self.memory = Memory()
        self.problems: list[str] = []
        """What the sinks failed with in the last call."""
        self.failures = 0
        """How often a sink has failed so far."""
        self._blind_since: datetime | None = None
        self._told_blind: Incident | None = None
        self.looked: float | None = None
        """When it last looked, in seconds since the epoch."""

    @property
    def interval(self) -> float:
        """How often to call it, in seconds: a stall is told within its limit and a quarter."""
        return min(INTERVAL_SECONDS, self.settings.stall / 4)

    async def __call__(self, journal: Journal) -> list[Incident]:
        """Look once and tell what is new; returns the incidents that were told.

        Raises StoreError where the store cannot be asked; once that has lasted as long as
        a stall, it is told as well.
        """
        try:
            await self.look(journal)
            told = await self.tell(journal)
        except StoreError as error:
            await self._blind(error)
            raise
        return [*told, *await self._sees_again()]

    async def _blind(self, error: StoreError) -> None:
        """A frozen process that holds the store's lock would otherwise silence everybody."""
        now = clock.now()
        self._blind_since = self._blind_since or now
        lasted = (now - self._blind_since).total_seconds()
        if lasted < self.settings.stall or self._told_blind is not None:
            return
        note = f"nothing can be watched since {span(lasted)}: {error.message}"
        found = Incident("store", "store", "", "", self._blind_since, None, note)
        self.problems = []
        if await self._send([found]):
            self._told_blind = found

    async def _sees_again(self) -> list[Incident]:
        self._blind_since = None
        if self._told_blind is None:
            return []
        found = replace(self._told_blind, cleared=clock.now())
        if not await self._send([found]):
            return []
        self._told_blind = None
        return [found]

    async def look(self, journal: Journal) -> None:
        """Open and clear incidents, without telling anybody."""
        now = clock.now_ms()
        known = {row.key: row for row in await journal.incidents(now + 1) if row.cleared is None}
        scene = Scene(journal, self.settings, now, known, self.memory)
        found: dict[str, Finding] = {}
        for rule in RULES.values():
            found.update((one.key, one) for one in await rule(scene))
        for one in found.values():
            if one.key not in known:
                row = IncidentRow(one.key, one.kind, one.job, one.run, now, None, UNTOLD, one.note)
                await journal.open_incident(row)
        for key, old in known.items():
            if key not in found and old.kind in RULES:
                await journal.clear_incident(key, now)
        self.looked = now / 1000

    async def tell(self, journal: Journal) -> list[Incident]:
        """Tell the sinks what they have not been told; returns what was told.

        Where no sink takes an alert it is tried again a minute later.
        """
        self.problems = []
        now = clock.now_ms()
        claimed = [
            row._replace(notified=-now)
            for row in await journal.incidents(now - RECENT_MS)
            if _due(row, now)
            and await journal.tell_incident(row.key, row.opened, row.notified, -now)
        ]
        told: list[Incident] = []
        for group in _grouped(claimed):
            incidents = [Incident.of(row) for row in group]
            if await self._send(incidents):
                told += incidents
                for row in group:
                    state = OPEN_TOLD if row.cleared is None else ALL_TOLD
                    await journal.tell_incident(row.key, row.opened, -now, state)
        return told

    async def _send(self, incidents: list[Incident]) -> bool:
        """Whether it has reached somebody; with no sinks there is nobody to reach."""
        text = "\n\n".join(str(one) for one in incidents)
        sending = (asyncio.to_thread(sink.send, incidents, text) for sink in self.sinks)
        results = await asyncio.gather(*sending, return_exceptions=True)
        reached = not self.sinks
        for sink, result in zip(self.sinks, results, strict=True):
            if isinstance(result, NightproofError):
                self.problems.append(result.message)
            elif isinstance(result, BaseException):
                self.problems.append(f"alerts.{sink.name}: {type(result).__name__}: {result}")
            else:
                reached = True
        self.failures += len(self.problems)
        return reached

    async def metrics(self, reader: Reader) -> str:
        """The metrics of the store and of this watcher, as Prometheus reads them."""
        from nightproof.observe.metrics import Gauges, collect

        gauges = await collect(reader, self.settings, self.memory)
        own = Gauges()
        if self.looked is not None:
            own.add("nightproof_watch_timestamp_seconds", self.looked)
        own.add("nightproof_alert_failures_total", self.failures)
        return gauges.text() + own.text()


async def watch(journal: Journal, settings: Settings) -> list[Incident]:
    """Look at a store once; what was told. For several looks keep a :class:`Watcher`."""
    return await Watcher(settings)(journal)


def _due(row: IncidentRow, now: int) -> bool:
    """Whether somebody has to be told of it now."""
    if row.notified < 0:
        return not 0 <= now + row.notified < CLAIM_MS
    return row.notified in ((UNTOLD, ALL_TOLD) if row.cleared is None else (UNTOLD, OPEN_TOLD))


def _grouped(rows: Sequence[IncidentRow]) -> list[list[IncidentRow]]:
    """What is told in one message: the same news of one job."""
    groups: dict[tuple[str, str, bool], list[IncidentRow]] = {}
    for row in sorted(rows, key=lambda one: (one.opened, one.key)):
        groups.setdefault((row.kind, row.job, row.cleared is None), []).append(row)
    return list(groups.values())
