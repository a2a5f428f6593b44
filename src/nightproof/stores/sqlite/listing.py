"""What is read of a SQLite journal to show it: the statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from nightproof.stores.sqlite.schema import EFFECT_COLUMNS, ENTRY_COLUMNS, LISTING, RUN_COLUMNS

Rows = Callable[..., list[tuple[Any, ...]]]
"""Runs a statement with its values."""
_BRIEF_COLUMNS = RUN_COLUMNS.replace(" contract,", " x'',").replace(" result,", " NULL,")
_OPEN = frozenset({RunStatus.RUNNING, RunStatus.PARKED})
_IS_OPEN = "status IN ('running', 'parked')"
_DOUBT = frozenset({EffectState.INTENDED, EffectState.FAILED})
_IS_DOUBT = "state IN ('intended', 'failed')"
_OWN = "parent IS NULL AND replicate = 0"
# Word for word what the partial indexes of the schema say: otherwise they are not used.
_DIGEST = 'substr(output, instr(output, CAST(\'"sha256": "\' AS BLOB)) + 11, 64)'
_AUDIT_COLUMNS = "id, at, who, act, run, command, code, outcome"


def runs(want: RunFilter, version: int) -> tuple[str, list[Any]]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    clauses, values = ["1"], list[Any]()
    index = ""
    if want.own:
        clauses.append(_OWN)
        index = "run_own"
    if want.status:
        clauses.append(f"status IN ({_marks(want.status)})")
        values += map(str, want.status)
        if _OPEN.issuperset(want.status):
            clauses.append(_IS_OPEN)
            index = "run_open"
    for column, compared, value in (
        ("job", "=", want.job), ("parent", "=", want.parent), ("finished", "<", want.finished_before),
        ("created", ">=", want.since), ("created", "<", want.until), ("id", "<", want.before),
        ("digest", "=", want.digest),
    ):  # fmt: skip
        if value is not None:
            clauses.append(f"{column} {compared} ?")
            values.append(value)
    if want.text:
        plain, escaped = searched(want.text)
        clauses.append("(instr(name, ?) OR instr(contract, ?) OR instr(contract, ?))")
        values += [plain, _bytes(plain), _bytes(escaped)]
    if want.job is not None or want.parent is not None or version < LISTING:
        index = ""  # what the planner chooses is as good, or there is none
    elif want.own and want.since is not None and index == "run_own":
        index = "run_night"
    hint = f"INDEXED BY {index} " if index else ""
    columns = _BRIEF_COLUMNS if want.brief else RUN_COLUMNS
    sql = f"SELECT {columns} FROM run {hint}WHERE {' AND '.join(clauses)} ORDER BY id DESC LIMIT ?"
    return sql, [*values, want.limit]


def jobs(rows: Rows, version: int) -> list[JobRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    hint = "INDEXED BY run_night " if version >= LISTING else ""
    sql = (
        f"SELECT job, count(*), max(created) FROM run {hint}WHERE {_OWN} GROUP BY job ORDER BY job"
    )
    return [JobRow(*row) for row in rows(sql)]


def groups(rows: Rows, since: int) -> list[RunGroup]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    sql = (  # beside max(), a bare column is of the row that has it
        f"SELECT job, created / {QUARTER_MS} AS quarter, status, count(*), name, max(id) FROM run "
        f"WHERE {_OWN} AND created >= ? GROUP BY job, quarter, status ORDER BY job, quarter, status"
    )
    return [
        RunGroup(job, quarter, RunStatus(status), count, name)
        for job, quarter, status, count, name, _ in rows(sql, since)
    ]


def spans(rows: Rows, run: int, bounds: Sequence[int]) -> list[SpanRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    sql = (
        f"SELECT kind, code, {part(0, len(bounds), '?', 2)} AS part, count(*), "
        "min(at * 1000 - took) / 1000, max(at), sum(took), max(took) FROM entry WHERE run = ?1 "
        "GROUP BY kind, code, part ORDER BY kind, code, part"
    )
    return [SpanRow(*row) for row in rows(sql, run, *bounds)]


def states(rows: Rows, run: int, codes: Sequence[int], reopened: int) -> str:
    """See :class:`nightproof.journal.protocol.Reader`."""
    result, failure = int(Kind.RESULT), int(Kind.FAILURE)
    sql = (
        f"SELECT group_concat(CASE kind WHEN {result} THEN 'd' ELSE 'f' END, '' ORDER BY seq) "
        f"FROM entry WHERE run = ? AND kind IN ({result}, {failure}) "
        f"AND (kind = {result} OR seq > ?) AND code IN ({_marks(codes)})"
    )
    return str(rows(sql, run, reopened, *codes)[0][0] or "")


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


def delivered(rows: Rows, digest: str, limit: int) -> list[Entry]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    sql = (
        f"SELECT {ENTRY_COLUMNS} FROM entry WHERE kind = {int(Kind.ARTIFACT)} "
        f"AND {_DIGEST} = ? ORDER BY at DESC, run DESC, seq DESC LIMIT ?"
    )
    return [Entry(*row) for row in rows(sql, _bytes(plain_digest(digest)), limit)]


def audits(rows: Rows, limit: int, before: int | None, run: str | None) -> list[AuditRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    clauses, values = ["1"], list[Any]()
    if before is not None:
        clauses.append("id < ?")
        values.append(before)
    if run is not None:
        clauses.append("run = ?")
        values.append(run)
    sql = (
        f"SELECT {_AUDIT_COLUMNS} FROM audit WHERE {' AND '.join(clauses)} ORDER BY id DESC LIMIT ?"
    )
    return [AuditRow(*row) for row in rows(sql, *values, limit)]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
