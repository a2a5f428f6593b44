"""Permits of shared quotas, for the steps of all runs of an engine.

A step takes one permit per try. Permits come from the store in blocks, so that a fast
map does not ask for each item; a block is small at first, and larger only while the
last one was used up before its time.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import get_ident
from typing import Any

from nightproof.durable.context import Scope, current
from nightproof.engines.attempt.state import Attempt
from nightproof.errors import MisuseError
from nightproof.journal.protocol import Journal
from nightproof.journal.quotas import Ask, Claimant, Grant, SpendQuota
from nightproof.limits import Quota
from nightproof.model import clock
from nightproof.model.states import Kind
from nightproof.model.triage import Triage

BLOCK_SECONDS = 1.0
"""So long the permits of a block are good; what is left then is lost until it lapses."""
LARGEST_PART = 0.05
"""No block is more than this part of a window."""
TELL_MS = 60_000
"""A run says so often that it waits for a quota: a map has many items that do."""
SPREAD_SECONDS = 0.05
"""Those who wait for the same moment come back spread over this time."""


@dataclass(slots=True)
class Purse:
    """The permits that this process holds of one part of a quota."""

    left: int = 0
    until: float = 0.0
    size: int = 1
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def pay(self) -> bool:
        """Use one, if there is one that is still good."""
        if self.left and clock.monotonic() < self.until:
            self.left -= 1
            return True
        return False

    def next_size(self, largest: int) -> int:
        """How many to ask for: twice as many where the last ones went in time."""
        self.size = 1 if self.left else min(self.size * 2, max(1, largest))
        return self.size


class Purses:
    """What an engine holds of all quotas."""

    def __init__(self) -> None:
        self._by: dict[tuple[str, str], Purse] = {}

    def of(self, quota: Quota, sharer: str) -> Purse:
        """The purse of one part of a quota."""
        return self._by.setdefault((quota.name, sharer), Purse())


class Quotas:
    """What one run takes, uses and gives up."""

    def __init__(self, run: Attempt, journal: Journal, purses: Purses) -> None:
        self._run = run
        self._journal = journal
        self._purses = purses
        self._thread = get_ident()
        self._told: dict[str, int] = {}

    async def permit(self, step: Any) -> None:
        """One permit of each of the step's quotas; waits, and parks the run where it is long."""
        for quota in step.quotas:
            while (grant := await self._try(quota, step)) is not None:
                await self._wait(quota, grant)

    async def _try(self, quota: Quota, step: Any) -> Grant | None:
        """Take a permit; a refusal where there is none."""
        run = self._run
        sharer = quota.sharer(run.row.job)
        purse = self._purses.of(quota, sharer)
        async with purse.lock:
            if purse.pay():
                return None
            asks = _asks(quota, sharer)
            if any(ask.cap < 1 for ask in asks if ask.counted):
                raise MisuseError(
                    f"the part of quota '{quota.name}' that job '{run.row.job}' has is less than "
                    f"one request, so {step.where} would wait for ever",
                    "Give it a larger share, or the quota more requests.",
                )
            largest = min((int(ask.cap * LARGEST_PART) for ask in asks if ask.counted), default=1)
            want = purse.next_size(largest)
            who = Claimant(sharer, run.row.name)
            grant = await self._journal.take(
                quota.name, quota.spec, who, asks, want, clock.now_ms()
            )
            if not grant.n:
                purse.left = 0
                return grant
            purse.left = grant.n - 1
            purse.until = clock.monotonic() + BLOCK_SECONDS
        return None

    async def _wait(self, quota: Quota, grant: Grant) -> None:
        run = self._run
        if grant.until - self._told.get(quota.name, 0) >= TELL_MS:
            self._told[quota.name] = grant.until
            at = clock.from_ms(grant.until).isoformat(timespec="seconds")
            message = f"waits for quota '{quota.name}': {grant.reason}"
            run.note("quota", {"quota": quota.name, "until": at, "message": message})
        end = grant.until / 1000 + clock.random() * SPREAD_SECONDS
        run.active -= 1
        try:
            await run.waits.rest(end, f"quota '{quota.name}' ({grant.reason})")
            if run.halting:
                await run.never()
        finally:
            run.active += 1

    async def park(self, step: Any, verdict: Triage) -> Triage:
        """Nobody asks before a quota that is used up is back; the verdict says when that is."""
        now = clock.now()
        latest: datetime | None = verdict.resets_at
        if verdict.retry_after is not None:
            told = clock.from_ms(clock.now_ms() + int(verdict.retry_after * 1000))
            latest = told if latest is None else max(latest, told)
        for quota in step.quotas:
            until = latest or _default(quota, now)
            self._purses.of(quota, quota.sharer(self._run.row.job)).left = 0
            in_force = await self._journal.park_quota(
                quota.name, quota.spec, int(until.timestamp() * 1000), verdict.reason[:300],
                clock.now_ms(),
            )  # fmt: skip
            until = clock.from_ms(in_force)
            latest = until if latest is None else max(latest, until)
            at = until.isoformat(timespec="seconds")
            message = f"quota '{quota.name}' is parked until {at}: {verdict.reason}"
            self._run.note("quota", {"quota": quota.name, "until": at, "message": message})
        return verdict if latest is None else replace(verdict, resets_at=latest)

    def spend(self, amounts: dict[str, float]) -> None:
        """Count what a step has used; may be called in any thread."""
        scope = current.get()
        if not isinstance(scope, Scope):
            raise MisuseError(
                "spend() was called in the body of a job", "Call it in the step that has used it."
            )
        told = ", ".join(f"{amount:g} {what}" for what, amount in amounts.items())
        note = {"step": scope.name, "fp": scope.fp.hex(), **amounts, "message": f"used {told}"}
        writes = [
            SpendQuota(
                quota.name, one.what, quota.sharer(self._run.row.job),
                int(quota.lapses(one, clock.now()).timestamp() * 1000), amounts[one.what],
            )
            for quota in scope.quotas
            for one in quota.allowances
            if one.what in amounts
        ]  # fmt: skip
        if get_ident() == self._thread:
            self._write(note, writes)
        else:
            self._run.loop.call_soon_threadsafe(self._write, note, writes)

    def _write(self, note: dict[str, Any], writes: list[SpendQuota]) -> None:
        """With the step's own commit: a result on record has its cost on record."""
        ledger = self._run.ledger
        ledger.lane.writes.extend(writes)
        data = json.dumps({"kind": "spend", **note}).encode()
        ledger.lane.later(ledger.entry(Kind.EVENT, b"", data))


def _asks(quota: Quota, sharer: str) -> list[Ask]:
    now = clock.now()
    found = []
    for one in quota.allowances:
        lapses = quota.lapses(one, now)
        # A permit may be used until its block ends, and counts for a window from then on.
        slack = int(BLOCK_SECONDS * 1000) if one.seconds is not None else 0
        until = int(lapses.timestamp() * 1000) + slack
        found.append(Ask(one.what, quota.cap(one, sharer), until, until + slack, one.counted))
    return found


def _default(quota: Quota, now: datetime) -> datetime:
    """When a quota is back where nobody says: after its longest window, or at its reset."""
    return max(quota.lapses(one, now) for one in quota.allowances)
