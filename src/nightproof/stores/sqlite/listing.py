"""What is read of a SQLite journal to show it: the statements that only this store has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightproof.journal.listing import EffectFilter
from nightproof.journal.tables import EFFECT_COLUMNS
from nightproof.model.states import EffectState
from nightproof.stores.sqlite.schema import LISTING

_DOUBT = frozenset({EffectState.INTENDED, EffectState.FAILED})
_IS_DOUBT = "state IN ('intended', 'failed')"


def ledger(want: EffectFilter, version: int) -> tuple[str, list[Any]]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    clauses, values = ["1"], list[Any]()
    index = "effect_at"
    if want.run is not None:
        clauses.append("run = ?")
        values.append(want.run)
        index = "effect_run"
    if want.states:
        clauses.append(f"state IN ({_marks(want.states)})")
        values += map(str, want.states)
        if _DOUBT.issuperset(want.states) and want.run is None:
            clauses.append(_IS_DOUBT)
            index = "effect_doubt"
    if want.text:
        clauses.append("(instr(key, ?) OR instr(name, ?))")
        values += [want.text, want.text]
    hint = f"INDEXED BY {index} " if version >= LISTING else ""
    sql = (
        f"SELECT {EFFECT_COLUMNS} FROM effect {hint}WHERE {' AND '.join(clauses)} "
        "ORDER BY at DESC, key DESC LIMIT ? OFFSET ?"
    )
    return sql, [*values, want.limit, want.skip]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
