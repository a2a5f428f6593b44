"""Incidents on SQLite: the statements, each in the caller's transaction."""

from __future__ import annotations

from typing import Any

from nightproof.journal.incidents import ALL_TOLD, IncidentRow
from nightproof.journal.shown import INCIDENT_COLUMNS
from nightproof.stores.sqlite.connection import Database

KEPT_MS = 90 * 86_400_000
"""So long an incident is kept after its end."""
_OPEN = (
    f"INSERT INTO incident ({INCIDENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, NULL, 0, ?) "
    "ON CONFLICT (key) DO UPDATE SET cleared = NULL, kind = excluded.kind, job = excluded.job, "
    f"opened = CASE WHEN notified = {ALL_TOLD} THEN excluded.opened ELSE opened END, "
    f"note = CASE WHEN notified = {ALL_TOLD} THEN excluded.note ELSE note END, "
    f"run = CASE WHEN notified = {ALL_TOLD} THEN excluded.run ELSE run END, "
    f"notified = CASE WHEN notified = {ALL_TOLD} THEN 0 ELSE notified END "
    f"WHERE cleared IS NOT NULL"
)


def begin(db: Database, row: IncidentRow) -> IncidentRow:
    """See :class:`nightproof.journal.protocol.Journal`."""
    db.execute("DELETE FROM incident WHERE cleared < ?", (row.opened - KEPT_MS,))
    db.execute(_OPEN, (row.key, row.kind, row.job, row.run, row.opened, row.note))
    found: list[Any] = db.execute(
        f"SELECT {INCIDENT_COLUMNS} FROM incident WHERE key = ?", (row.key,)
    ).fetchall()
    return IncidentRow(*found[0])


def clear(db: Database, key: str, at: int) -> bool:
    """See :class:`nightproof.journal.protocol.Journal`."""
    db.execute("UPDATE incident SET cleared = ? WHERE key = ? AND cleared IS NULL", (at, key))
    return bool(db.raw.changes())


def tell(db: Database, key: str, opened: int, before: int, after: int) -> bool:
    """See :class:`nightproof.journal.protocol.Journal`."""
    db.execute(
        "UPDATE incident SET notified = ? WHERE key = ? AND opened = ? AND notified = ?",
        (after, key, opened, before),
    )
    return bool(db.raw.changes())
