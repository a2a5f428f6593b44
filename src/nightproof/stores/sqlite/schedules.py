"""Schedules on SQLite: the statements, each in the caller's transaction."""

from __future__ import annotations

from typing import Any

from nightproof.journal.schedules import FireRow, ScheduleRow
from nightproof.journal.shown import FIRES, SCHEDULE_COLUMNS, fire_row
from nightproof.stores.sqlite.connection import Database

_KEEP = (
    f"INSERT INTO schedule ({SCHEDULE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (name) DO UPDATE SET job = excluded.job, target = excluded.target, "
    "since = CASE WHEN spec = excluded.spec THEN since ELSE excluded.since END, "
    f"spec = excluded.spec, seen = max(seen, excluded.seen) RETURNING {SCHEDULE_COLUMNS}"
)
_COLLECTED = "UPDATE fire SET contract = NULL WHERE run = (SELECT name FROM run WHERE id = ?)"


def keep(db: Database, row: ScheduleRow) -> ScheduleRow:
    """See :class:`nightproof.journal.protocol.Journal`."""
    return ScheduleRow(*_rows(db, _KEEP, row)[0])


def fire(db: Database, row: FireRow) -> tuple[FireRow, bool]:
    """See :class:`nightproof.journal.protocol.Journal`."""
    db.execute(
        "INSERT OR IGNORE INTO fire (schedule, at, run, contract) VALUES (?, ?, ?, ?)", row[:4]
    )
    first = db.raw.changes() == 1
    return fire_row(_rows(db, FIRES, (row.schedule, row.at, row.at))[0]), first


def collected(db: Database, run: int) -> None:
    """The run is about to be removed: its night stays known, its contract goes with it."""
    db.execute(_COLLECTED, (run,))


def _rows(db: Database, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = db.execute(sql, values).fetchall()
    return found
