"""What is read of a Postgres journal to show it, and the record of what people did."""

from __future__ import annotations

from typing import Any

from nightproof.journal.listing import AuditRow, EffectFilter
from nightproof.journal.tables import EFFECT_COLUMNS
from nightproof.model.states import EffectState
from nightproof.stores.postgres.session import Session, Transaction
from nightproof.stores.postgres.values import Row

_DOUBT = frozenset({EffectState.INTENDED, EffectState.FAILED})
_IS_DOUBT = "state IN ('intended', 'failed')"


class _Where:
    """Conditions with their parameters."""

    def __init__(self) -> None:
        self.clauses = ["true"]
        self.values: list[Any] = []

    def add(self, clause: str, *values: Any) -> None:
        """Each ``{}`` in the clause is the next value."""
        marks = range(len(self.values) + 1, len(self.values) + len(values) + 1)
        self.clauses.append(clause.format(*(f"${n}" for n in marks)))
        self.values += values

    @property
    def sql(self) -> str:
        """All of them."""
        return " AND ".join(self.clauses)

    def mark(self, value: Any) -> str:
        """Another parameter."""
        self.values.append(value)
        return f"${len(self.values)}::bigint"


async def ledger(session: Session, want: EffectFilter) -> list[Row]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    where = _Where()
    if want.run is not None:
        where.add("run = {}", want.run)
    if want.states:
        where.add("state = ANY({}::text[])", [str(state) for state in want.states])
        if _DOUBT.issuperset(want.states):
            where.add(_IS_DOUBT)
    if want.text:
        where.add("(strpos(key, {}) > 0 OR strpos(name, {}) > 0)", want.text, want.text)
    limit = where.mark(want.limit if want.limit >= 0 else None)
    skip = where.mark(want.skip)
    return await session.rows(
        f"SELECT {EFFECT_COLUMNS} FROM effect WHERE {where.sql} "
        f'ORDER BY at DESC, key COLLATE "C" DESC LIMIT {limit} OFFSET {skip}',
        *where.values,
    )


async def audit(transaction: Transaction, row: AuditRow) -> int:
    """See :class:`nightproof.journal.protocol.Journal`."""
    found = await transaction.all(
        "INSERT INTO audit (at, who, act, run, command, code, outcome) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        *row[1:],
    )
    return int(found[0][0])


async def audited(transaction: Transaction, row: int, code: int, outcome: str) -> None:
    """See :class:`nightproof.journal.protocol.Journal`."""
    sql = "UPDATE audit SET code = $1, outcome = $2 WHERE id = $3"
    await transaction.run(sql, code, outcome, row)
