"""What is read of a Postgres journal to show it, and the record of what people did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightproof.journal.listing import (
    QUARTER_MS,
    AuditRow,
    EffectFilter,
    JobRow,
    RunGroup,
    SpanRow,
    part,
    plain_digest,
    searched,
)
from nightproof.journal.records import Entry, RunFilter
from nightproof.model.states import EffectState, Kind, RunStatus
from nightproof.stores.postgres.schema import DIGEST, EFFECT_COLUMNS, ENTRY_COLUMNS, RUN_COLUMNS
from nightproof.stores.postgres.session import Session, Transaction
from nightproof.stores.postgres.values import Row

_BRIEF_COLUMNS = RUN_COLUMNS.replace(" contract,", " ''::bytea,").replace(
    " result,", " NULL::bytea,"
)
_OPEN = frozenset({RunStatus.RUNNING, RunStatus.PARKED})
_IS_OPEN = "status IN ('running', 'parked')"
_DOUBT = frozenset({EffectState.INTENDED, EffectState.FAILED})
_IS_DOUBT = "state IN ('intended', 'failed')"
_OWN = "parent IS NULL AND replicate = 0"
_AUDIT_COLUMNS = "id, at, who, act, run, command, code, outcome"
_SINCE_VERSION = 2
"""A journal of an older schema that is only read has no record of what people did."""


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


async def runs(session: Session, want: RunFilter) -> list[Row]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    where = _Where()
    if want.own:
        where.add(_OWN)
    if want.status:
        where.add("status = ANY({}::text[])", [str(status) for status in want.status])
        if _OPEN.issuperset(want.status):
            where.add(_IS_OPEN)
    for clause, value in (
        ("job = {}", want.job), ("parent = {}", want.parent),
        ("finished < {}", want.finished_before), ("created >= {}", want.since),
        ("created < {}", want.until), ("id < {}", want.before), ("digest = {}", want.digest),
    ):  # fmt: skip
        if value is not None:
            where.add(clause, value)
    if want.text:
        plain, escaped = searched(want.text)
        where.add(
            "(strpos(name, {}) > 0 OR position({} IN contract) > 0 OR position({} IN contract) > 0)",
            plain, _bytes(plain), _bytes(escaped),
        )  # fmt: skip
    limit = where.mark(want.limit if want.limit >= 0 else None)
    columns = _BRIEF_COLUMNS if want.brief else RUN_COLUMNS
    return await session.rows(
        f"SELECT {columns} FROM run WHERE {where.sql} ORDER BY id DESC LIMIT {limit}",
        *where.values,
    )


async def jobs(session: Session) -> list[JobRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    sql = f"SELECT job, count(*), max(created) FROM run WHERE {_OWN} GROUP BY job ORDER BY job"
    return [JobRow(*row) for row in await session.rows(sql)]


async def groups(session: Session, since: int) -> list[RunGroup]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    rows = await session.rows(
        f"SELECT job, created / {QUARTER_MS} AS quarter, status, count(*), "
        f"(array_agg(name ORDER BY id DESC))[1] FROM run WHERE {_OWN} AND created >= $1 "
        "GROUP BY job, quarter, status ORDER BY job, quarter, status",
        since,
    )
    return [RunGroup(row[0], row[1], RunStatus(row[2]), row[3], row[4]) for row in rows]


def entries(kinds: Sequence[int], codes: Sequence[int], text: bytes) -> tuple[str, list[Any]]:
    """Further conditions of entries, whose first parameters are five others, and their values."""
    sql, values = "", list[Any]()
    if kinds:
        sql += f"AND kind IN ({', '.join(str(int(kind)) for kind in kinds)}) "
        if Kind.RESULT not in kinds:
            sql += f"AND kind <> {int(Kind.RESULT)} "
    if codes:
        values.append(list(codes))
        sql += f"AND code = ANY(${len(values) + 5}::bigint[]) "
    if text:
        values.append(text)
        sql += f"AND position(${len(values) + 5}::bytea IN inputs) > 0 "
    return sql, values


async def spans(session: Session, run: int, bounds: Sequence[int]) -> list[SpanRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    rows = await session.rows(
        f"SELECT kind, code, {part(0, len(bounds), '$', 2)} AS part, count(*), "
        "min(at * 1000 - took) / 1000, max(at), sum(took)::bigint, max(took) "
        "FROM entry WHERE run = $1 GROUP BY kind, code, 3 ORDER BY kind, code, 3",
        run,
        *bounds,
    )
    return [SpanRow(*row) for row in rows]


async def states(session: Session, run: int, codes: Sequence[int], reopened: int) -> str:
    """See :class:`nightproof.journal.protocol.Reader`."""
    result, failure = int(Kind.RESULT), int(Kind.FAILURE)
    rows = await session.rows(
        f"SELECT string_agg(CASE kind WHEN {result} THEN 'd' ELSE 'f' END, '' ORDER BY seq) "
        f"FROM entry WHERE run = $1 AND kind IN ({result}, {failure}) "
        f"AND (kind = {result} OR seq > $2) AND code = ANY($3::bigint[])",
        run,
        reopened,
        list(codes),
    )
    return rows[0][0] or ""


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


async def delivered(session: Session, digest: str, limit: int) -> list[Entry]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    rows = await session.rows(
        f"SELECT {ENTRY_COLUMNS} FROM entry WHERE kind = {int(Kind.ARTIFACT)} AND {DIGEST} = $1 "
        "ORDER BY at DESC, run DESC, seq DESC LIMIT $2::bigint",
        _bytes(plain_digest(digest)),
        limit if limit >= 0 else None,
    )
    return [Entry(*row) for row in rows]


async def audits(
    session: Session, limit: int, before: int | None, run: str | None
) -> list[AuditRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    [(version,)] = await session.rows("SELECT max(version) FROM migration")
    if version < _SINCE_VERSION:
        return []
    where = _Where()
    if before is not None:
        where.add("id < {}", before)
    if run is not None:
        where.add("run = {}", run)
    count = where.mark(limit if limit >= 0 else None)
    rows = await session.rows(
        f"SELECT {_AUDIT_COLUMNS} FROM audit WHERE {where.sql} ORDER BY id DESC LIMIT {count}",
        *where.values,
    )
    return [AuditRow(*row) for row in rows]


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


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
