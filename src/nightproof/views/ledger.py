"""The ledger of effects over all runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nightproof.errors import NotFound
from nightproof.journal.listing import EffectFilter
from nightproof.journal.protocol import Reader
from nightproof.journal.records import EffectRow
from nightproof.model.states import EffectState
from nightproof.views.runs import Standing, view, word
from nightproof.views.values import Time, iso, preview

DOUBT = (EffectState.INTENDED, EffectState.FAILED)
"""The states in which it is not known whether an effect happened."""

DOUBTS = 100
Gone = Standing | Literal["gone"]


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One effect of the ledger.

    `standing` is the state of its run where the effect is in doubt, "gone" where the run was
    collected. `undecided` where a person may have to decide: while a process works on the run
    it is still being tried.
    """

    key: str
    effect: str
    run: str
    state: EffectState
    tries: int
    at: Time | None
    inputs: str
    """The beginning of what it was called with."""
    output: str
    """The beginning of its result."""
    error: str
    undecided: bool
    standing: Gone | Literal[""]


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """A part of the ledger, newest first."""

    effects: list[LedgerLine]
    doubts: int
    """How many of the whole ledger are in doubt; counted up to 100."""
    next: int | None
    """How many to skip for the next page, None at the end."""


async def ledger(reader: Reader, want: EffectFilter) -> LedgerPage:
    """The effects that `want` asks for."""
    rows = await reader.ledger(want._replace(limit=want.limit + 1))
    shown = rows[: want.limit]
    standings = await _standings(reader, [row.run for row in shown if row.state in DOUBT])
    # All of them are not counted: that takes as long as there are effects.
    doubts = len(await reader.ledger(EffectFilter(states=DOUBT, limit=DOUBTS)))
    after = want.skip + want.limit if len(rows) > want.limit else None
    return LedgerPage([_line(row, standings.get(row.run, "")) for row in shown], doubts, after)


async def _standings(reader: Reader, runs: Sequence[int]) -> dict[int, Gone]:
    found: dict[int, Gone] = {}
    for run in set(runs):
        try:
            found[run] = word(view(await reader.run(run)))
        except NotFound:
            found[run] = "gone"
    return found


def _line(row: EffectRow, standing: Gone | Literal[""]) -> LedgerLine:
    doubt = row.state in DOUBT
    return LedgerLine(
        key=row.key,
        effect=row.name,
        run=row.run_name,
        state=row.state,
        tries=row.tries,
        at=iso(row.at),
        inputs=preview(row.inputs),
        output=preview(row.output),
        error=row.error,
        undecided=doubt and standing not in ("running", "gone"),
        standing=standing if doubt else "",
    )
