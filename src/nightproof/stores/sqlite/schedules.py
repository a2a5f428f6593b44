"""Schedules on SQLite: the statements, each in the caller's transaction."""

from __future__ import annotations

from typing import Any

from nightproof.journal.schedules import FireRow, ScheduleRow
from nightproof.stores.sqlite.connection import Database

_COLUMNS = "name, job, target, spec, since, seen"
_KEEP = (
    f"INSERT INTO schedule ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (name) DO UPDATE SET job = excluded.job, target = excluded.target, "
    "since = CASE WHEN spec = excluded.spec THEN since ELSE excluded.since END, "
    f"spec = excluded.spec, seen = max(seen, excluded.seen) RETURNING {_COLUMNS}"
)
_FIRES = (
    "SELECT schedule, at, run, contract, "
    "contract IS NULL OR EXISTS (SELECT 1 FROM run WHERE run.name = fire.run) "
    "FROM fire WHERE schedule = ? AND at >= ? AND at <= ? ORDER BY at"
)
_SINCE_SCHEMA = 4
"""A journal of an older schema that is only read knows of no schedules."""
_COLLECTED = "UPDATE fire SET contract = NULL WHERE run = (SELECT name FROM run WHERE id = ?)"


def keep(db: Database, row: ScheduleRow) -> ScheduleRow:
    """See :class:`nightproof.journal.protocol.Journal`."""
    return ScheduleRow(*_rows(db, _KEEP, row)[0])


def read(db: Database) -> list[ScheduleRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    if _older(db):
        return []
    sql = f"SELECT {_COLUMNS} FROM schedule ORDER BY name"
    return [ScheduleRow(*row) for row in _rows(db, sql)]


def fires(db: Database, schedule: str, first: int, last: int) -> list[FireRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    if _older(db):
        return []
    rows = _rows(db, _FIRES, (schedule, first, last))
    return [FireRow(row[0], row[1], row[2], row[3], bool(row[4])) for row in rows]


def fire(db: Database, row: FireRow) -> tuple[FireRow, bool]:
    """See :class:`nightproof.journal.protocol.Journal`."""
    db.execute(
        "INSERT OR IGNORE INTO fire (schedule, at, run, contract) VALUES (?, ?, ?, ?)", row[:4]
    )
    first = db.raw.changes() == 1
    return fires(db, row.schedule, row.at, row.at)[0], first


def collected(db: Database, run: int) -> None:
    """The run is about to be removed: its night stays known, its contract goes with it."""
    db.execute(_COLLECTED, (run,))


def _rows(db: Database, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = db.execute(sql, values).fetchall()
    return found


def _older(db: Database) -> bool:
    [(version,)] = _rows(db, "PRAGMA user_version")
    return int(version) < _SINCE_SCHEMA
