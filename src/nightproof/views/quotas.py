"""Quotas: how much of each is used, and who waits for what until when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from nightproof.journal.protocol import Reader
from nightproof.journal.quotas import QuotaRow
from nightproof.journal.records import RunFilter
from nightproof.limits import Quota
from nightproof.model import clock
from nightproof.model.states import RunStatus
from nightproof.views.values import iso


@dataclass(frozen=True, slots=True)
class UseView:
    """One part of an allowance; `sharer` is a job with a share, "" the common part."""

    what: str
    sharer: str
    used: float
    cap: float
    frees: str | None
    """When the first of what is used lapses."""


@dataclass(frozen=True, slots=True)
class WaitView:
    """A run that waits."""

    run: str
    since: str | None
    until: str | None


@dataclass(frozen=True, slots=True)
class QuotaView:
    """A quota as it is now; `parked` until when nobody gets anything of it."""

    name: str
    spec: dict[str, Any]
    parked: str | None
    reason: str
    uses: list[UseView]
    waits: list[WaitView]


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
                    allowance.what,
                    sharer,
                    use.n if use else 0.0,
                    round(quota.cap(allowance, sharer), 6),
                    iso(use.until) if use else None,
                )
            )
    return QuotaView(row.name, spec, iso(row.parked or None), row.reason, uses, waits)
