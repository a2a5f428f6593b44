"""The effects of all runs as they are listed: the statements of :class:`reading.TableReader`.

An index that has every column that is asked for finds the keys, whatever they are asked for by;
only the rows that are shown are read whole.
"""

from __future__ import annotations

from nightproof.journal.listing import EffectFilter, EffectPlace
from nightproof.journal.records import EffectRow
from nightproof.journal.shown import Where
from nightproof.journal.tables import EFFECT_COLUMNS, Tables, effect_row
from nightproof.model.states import EffectState

_DOUBT = frozenset({EffectState.INTENDED, EffectState.FAILED})
# Word for word what the partial index says: otherwise it is not used.
_IS_DOUBT = "state IN ('intended', 'failed')"
_NEWEST = "ORDER BY at DESC, key DESC"


async def ledger(reader: Tables, want: EffectFilter) -> list[EffectRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    where, index = _place(want)
    if want.states:
        clause, values = reader.among("state", [str(state) for state in want.states])
        where.add(clause, *values)
        if _DOUBT.issuperset(want.states):
            where.add(_IS_DOUBT)
            index = "effect_doubt" if want.run is None else index
    if want.text:
        within = reader.within_text
        where.add(f"({within.format('key')} OR {within.format('name')})", want.text, want.text)
    # Not as a parameter: a planner that does not know how few are wanted reads all.
    limit = f" LIMIT {want.limit:d}" if want.limit >= 0 else ""
    keys = f"SELECT key FROM effect {reader.hint(index)}WHERE {where.sql} {_NEWEST}{limit}"
    sql = f"SELECT {EFFECT_COLUMNS} FROM effect WHERE key IN ({keys}) {_NEWEST}"
    return [effect_row(row) for row in await reader.rows(sql, *where.values)]


async def reach(reader: Tables, want: EffectFilter, count: int) -> EffectPlace | None:
    """See :class:`nightproof.journal.protocol.Reader`."""
    where, index = _place(want)
    rows = await reader.rows(
        f"SELECT at, key FROM effect {reader.hint(index)}WHERE {where.sql} {_NEWEST} "
        f"LIMIT 1 OFFSET {count - 1:d}",
        *where.values,
    )
    return EffectPlace(*rows[0]) if rows else None


def _place(want: EffectFilter) -> tuple[Where, str]:
    """Of which run and between which places; and the index that is ordered so."""
    where = Where()
    if want.run is not None:
        where.add("run = ?", want.run)
    if want.before is not None:
        where.add("(at, key) < (?, ?)", *want.before)
    if want.down_to is not None:
        where.add("(at, key) >= (?, ?)", *want.down_to)
    return where, "effect_at" if want.run is None else "effect_run"
