"""Effects: what was done to the world, and what is still in doubt."""

from __future__ import annotations

from dataclasses import dataclass

from nightproof.journal.protocol import Reader
from nightproof.journal.records import EffectRow, RunRow
from nightproof.model.states import EffectState
from nightproof.views.trying import undecided
from nightproof.views.values import Json, Time, iso, parsed, preview


@dataclass(frozen=True, slots=True)
class EffectView:
    """One effect in the ledger; `undecided` where a person may have to decide.

    While a process is at it, it is still being tried.
    """

    key: str
    effect: str
    run: str
    state: EffectState
    tries: int
    at: Time | None
    inputs: Json
    output: str
    error: str
    undecided: bool


async def effects(reader: Reader, run: RunRow) -> list[EffectView]:
    """The effects of a run, oldest first."""
    return [effect_view(row, run) for row in await reader.effects(run.id)]


def effect_view(row: EffectRow, run: RunRow | None = None) -> EffectView:
    """A row of the ledger as it is listed; `run` is the one it is of, where that is known."""
    return EffectView(
        key=row.key,
        effect=row.name,
        run=row.run_name,
        state=row.state,
        tries=row.tries,
        at=iso(row.at),
        inputs=parsed(row.inputs),
        output=preview(row.output),
        error=row.error,
        undecided=undecided(row, run),
    )
