"""Two runs side by side, and how far the replicates of a run or job agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nightproof.blobs.protocol import Blobs
from nightproof.drift.compare import Comparison, compare
from nightproof.drift.normalise import Normaliser
from nightproof.drift.record import record
from nightproof.drift.statistics import CONFIDENCE, TARGET, trials_needed, upper_bound
from nightproof.drift.verdict import judge
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.model.states import Kind, RunStatus
from nightproof.views.comparison import DriftView, given, name
from nightproof.views.values import Time, iso, parsed

_EARLY = 50
"""What a job declares is among the first so many events of its runs."""


async def drift(
    reader: Reader,
    blobs: Blobs,
    a: RunRow,
    b: RunRow,
    rules: Sequence[Normaliser] = (),
) -> DriftView:
    """Compare run `b` with run `a` and judge; raises what `compare` raises."""
    found = await compare(reader, blobs, a, b, rules)
    return DriftView(found, await judge(reader, blobs, found), await given(reader, found))


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many of some comparisons agreed, and what that says of the rate of drift.

    `upper_bound` is exact (binomial), one-sided, at `confidence`; `needed` is how many
    further replicates, all of them equal, would bring it under `target`.
    """

    equal: int
    of: int
    upper_bound: float
    needed: int
    confidence: float = CONFIDENCE
    target: float = TARGET


def agreement(differing: int, of: int) -> Agreement:
    """The budget after `of` comparisons of which `differing` were not equal."""
    bound = upper_bound(differing, of)
    needed = 0 if bound < TARGET else trials_needed(differing) - of
    return Agreement(of - differing, of, bound, needed)


async def normalise_names(reader: Reader, run: RunRow) -> list[str]:
    """The normalisers that the job declared when the run began."""
    for entry in await reader.entries(run.id, (Kind.EVENT,), limit=_EARLY):
        note = parsed(entry.output)
        if isinstance(note, dict) and note.get("kind") == "normalise":
            return [str(one) for one in note["names"]]
    return []


@dataclass(frozen=True, slots=True)
class Compared:
    """One replicate beside the run that it repeats (`of`); `first` is where they part.

    `at` is when it ended.
    """

    run: str
    status: RunStatus
    equal: bool
    equal_raw: bool
    other_code: bool
    first: str | None
    of: str = ""
    at: Time | None = None


def compared(found: Comparison) -> Compared:
    """A comparison in short."""
    inner = found.innermost
    first = inner.first or inner.first_raw
    return Compared(
        found.b.run.name,
        found.b.run.status,
        not found.drift,
        found.raw == 0,
        found.other_code,
        None if first is None else name(first) + (f" [{first.key}]" if first.key else ""),
        found.a.run.name,
        iso(found.b.run.finished),
    )


@dataclass(frozen=True, slots=True)
class Budget:
    """Every replicate on record of a job, beside the run that it repeats.

    `left_out` are replicates that other code made: they say nothing of this code.
    """

    job: str
    contracts: int
    replicates: list[Compared]
    left_out: list[Compared]


async def budget(
    reader: Reader,
    blobs: Blobs,
    rows: Sequence[RunRow],
    rules: Sequence[Normaliser] = (),
    latest: bool = False,
) -> Budget:
    """Compare the replicates among the ended runs of one job, newest first in `rows`.

    Each is compared with the first completed run of its contract; `latest` takes only
    the contract of the newest run.
    """
    groups: dict[str, list[RunRow]] = {}
    for row in rows:
        groups.setdefault(row.digest, []).append(row)
    wanted = list(groups.values())[: 1 if latest else None]
    kept: list[Compared] = []
    left_out: list[Compared] = []
    for group in wanted:
        order = sorted(group, key=lambda row: (row.status != "completed", row.replicate, row.id))
        known = await record(reader, order[0]) if len(order) > 1 else None
        for row in sorted(order[1:], key=lambda row: row.id):
            one = compared(await compare(reader, blobs, order[0], row, rules, known))
            (left_out if one.other_code else kept).append(one)
    return Budget(rows[0].job, len(wanted), kept, left_out)
