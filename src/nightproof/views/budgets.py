"""What ``budget --json`` and a job's budget page say of all its replicates, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from nightproof.config import redacted
from nightproof.drift.statistics import upper_bound
from nightproof.errors import NotFound
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunFilter, RunRow
from nightproof.model.states import RunStatus
from nightproof.views.drift import Agreement, Budget, Compared, agreement
from nightproof.views.values import Time

ENDED = (RunStatus.COMPLETED, RunStatus.FAILED)
POINTS = 60
"""So many points in time are worked out at most."""


@dataclass(frozen=True, slots=True)
class Agreements:
    """How far replicates agree, as stored and after normalising."""

    raw: Agreement
    normalised: Agreement


@dataclass(frozen=True, slots=True)
class BudgetDocument:
    """How often a job drifts, by the replicates on record.

    `left_out` are replicates that other code made: they say nothing of this code.
    """

    job: str
    contracts: int
    """How many contracts there are runs of."""
    scope: Literal["latest contract", "all contracts"]
    left_out: list[Compared]
    normalisers: list[str]
    replicates: list[Compared]
    agreement: Agreements


def document(found: Budget, rules: Sequence[str], latest: bool) -> BudgetDocument:
    """The document of ``budget --json``."""
    return BudgetDocument(
        found.job,
        found.contracts,
        "latest contract" if latest else "all contracts",
        found.left_out,
        list(rules),
        found.replicates,
        agreements(found.replicates),
    )


def agreements(found: Sequence[Compared]) -> Agreements:
    """How far some replicates agree."""
    raw = agreement(sum(not one.equal_raw for one in found), len(found))
    return Agreements(raw, agreement(sum(not one.equal for one in found), len(found)))


async def ended(reader: Reader, job: str) -> list[RunRow]:
    """The runs of a job that have come to their end, newest first. Raises NotFound without any."""
    rows = await reader.runs(RunFilter(job=job, status=ENDED, limit=-1))
    if not rows:
        raise NotFound(
            f"no run of a job '{job}' has come to its end in {redacted(reader.url)}",
            "`nightproof runs` lists the runs.",
        )
    return rows


@dataclass(frozen=True, slots=True)
class BudgetPoint:
    """What was known after `of` replicates: `at` is when the last of them ended."""

    at: Time
    of: int
    differing: int
    upper_bound: float


def over_time(ends: Sequence[tuple[str, bool]]) -> list[BudgetPoint]:
    """The budget after each replicate, given when each ended and whether it was equal.

    Of many, POINTS of them, the first, those that differ and the last among them as far as
    there is room.
    """
    order = sorted(ends, key=lambda one: datetime.fromisoformat(one[0]))
    differing, seen = 0, []
    for count, (at, equal) in enumerate(order, 1):
        differing += not equal
        seen.append((at, count, differing, not equal))
    step = max(1, -(-len(seen) // POINTS))
    kept = [one for one in seen if one[3]] if step > 1 else []
    kept = kept if len(kept) <= POINTS // 2 else []
    chosen = {one[1]: one for one in (*seen[:1], *seen[::step], *seen[-1:], *kept)}
    return [
        BudgetPoint(at, of, bad, upper_bound(bad, of))
        for at, of, bad, _ in sorted(chosen.values(), key=lambda one: one[1])
    ]


async def has_runs(reader: Reader, job: str) -> bool:
    """Whether there is any run of a job."""
    return bool(await reader.runs(RunFilter(job=job, limit=1, brief=True)))
