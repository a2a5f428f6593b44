"""Quotas: how much of each is used, and who waits for what until when."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal, cast

from nightproof.journal.protocol import Reader
from nightproof.journal.quotas import QuotaRow
from nightproof.journal.records import RunFilter
from nightproof.limits import Quota
from nightproof.model import clock
from nightproof.model.states import RunStatus
from nightproof.views.values import Time, iso

What = Literal["requests", "requests a day", "tokens", "money"]


@dataclass(frozen=True, slots=True)
class UseView:
    """One part of an allowance; `sharer` is a job with a share, "" the common part."""

    what: What
    sharer: str
    used: float
    cap: float
    frees: Time | None
    """When the first of what is used lapses."""


@dataclass(frozen=True, slots=True)
class WaitView:
    """A run that waits."""

    run: str
    since: Time | None
    until: Time | None


@dataclass(frozen=True, slots=True)
class QuotaSpec:
    """What a quota allows; null for what it does not limit."""

    rate: str | None = None
    """Requests in a window that slides (`900/min`)."""
    daily: int | None = None
    """Requests until the daily reset."""
    resets: str | None = None
    """A wall clock and a zone (`00:00 America/Los_Angeles`)."""
    tokens: str | None = None
    money: str | None = None
    shares: dict[str, float] | None = None
    """The part of each job that has one of its own."""


@dataclass(frozen=True, slots=True)
class QuotaView:
    """A quota as it is now; `parked` until when nobody gets anything of it."""

    name: str
    spec: QuotaSpec
    parked: Time | None
    reason: str
    uses: list[UseView]
    waits: list[WaitView]

    @property
    def quota(self) -> Quota:
        """Itself."""
        return Quota(self.name, **{k: v for k, v in asdict(self.spec).items() if v is not None})


async def quotas(reader: Reader) -> list[QuotaView]:
    """Every quota of the store, by name."""
    rows = await reader.quotas(clock.now_ms())
    parked = (
        await reader.runs(RunFilter(status=(RunStatus.PARKED,), limit=-1, brief=True))
        if rows
        else []
    )
    found = []
    for row in rows:
        waiting = {
            run.name: WaitView(run.name, iso(run.updated), iso(run.wake))
            for run in parked
            if f"quota '{row.name}'" in run.waiting
        }
        for wait in row.waits:
            waiting.setdefault(wait.run, WaitView(wait.run, iso(wait.since), iso(wait.until)))
        found.append(_view(row, [waiting[name] for name in sorted(waiting)]))
    return found


def _view(row: QuotaRow, waits: list[WaitView]) -> QuotaView:
    spec = json.loads(row.spec)
    quota = Quota(row.name, **spec)
    used = {(use.what, use.sharer): use for use in row.uses}
    uses = []
    for allowance in quota.allowances:
        for sharer in ("", *sorted(quota.shares)):
            use = used.get((allowance.what, sharer))
            uses.append(
                UseView(
                    cast("What", allowance.what),
                    sharer,
                    use.n if use else 0.0,
                    round(quota.cap(allowance, sharer), 6),
                    iso(use.until) if use else None,
                )
            )
    return QuotaView(row.name, QuotaSpec(**spec), iso(row.parked or None), row.reason, uses, waits)
