"""Effects: what was done to the world, and what is still in doubt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nightproof.journal.protocol import Reader
from nightproof.journal.records import EffectRow, RunRow
from nightproof.model.states import EffectState
from nightproof.views.values import iso, parsed, preview


@dataclass(frozen=True, slots=True)
class EffectView:
    """One effect in the ledger; `undecided` where a person may have to decide."""

    key: str
    effect: str
    run: str
    state: EffectState
    tries: int
    at: str | None
    inputs: Any
    output: str
    error: str
    undecided: bool


async def effects(reader: Reader, run: RunRow | None = None) -> list[EffectView]:
    """The effects of a run, or of the whole store, oldest first."""
    return [effect_view(row) for row in await reader.effects(None if run is None else run.id)]


def effect_view(row: EffectRow) -> EffectView:
    """A row of the ledger as it is listed."""
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
        undecided=row.state in (EffectState.INTENDED, EffectState.FAILED),
    )
