"""Incidents on SQLite: the statements, each in the caller's transaction."""

from __future__ import annotations

from typing import Any

from nightproof.journal.incidents import ALL_TOLD, Checkpoint, IncidentRow
from nightproof.model.states import Kind
from nightproof.stores.sqlite.connection import Database

KEPT_MS = 90 * 86_400_000
"""So long an incident is kept after its end."""
_COLUMNS = "key, kind, job, run, opened, cleared, notified, note"
_OPEN = (
    f"INSERT INTO incident ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, NULL, 0, ?) "
    "ON CONFLICT (key) DO UPDATE SET cleared = NULL, kind = excluded.kind, job = excluded.job, "
    f"opened = CASE WHEN notified = {ALL_TOLD} THEN excluded.opened ELSE opened END, "
    f"note = CASE WHEN notified = {ALL_TOLD} THEN excluded.note ELSE note END, "
    f"run = CASE WHEN notified = {ALL_TOLD} THEN excluded.run ELSE run END, "
    f"notified = CASE WHEN notified = {ALL_TOLD} THEN 0 ELSE notified END "
    f"WHERE cleared IS NOT NULL"
)
_READ = (
    f"SELECT {_COLUMNS} FROM incident WHERE cleared IS NULL OR cleared >= ? "
    "ORDER BY opened DESC, key"
)
_PROGRESS = (
    Kind.RESULT, Kind.FAILURE, Kind.VALUE, Kind.ARTIFACT, Kind.UNDONE, Kind.CHILD, Kind.EFFECT,
    Kind.SIGNAL,
)  # fmt: skip
_CHECKPOINT = (
    "SELECT seq, at, kind, code FROM entry WHERE run = ? AND "
    f"kind IN ({', '.join(str(int(kind)) for kind in _PROGRESS)}) ORDER BY seq DESC LIMIT 1"
)
_SINCE_SCHEMA = 3
"""A journal of an older schema that is only read knows of no incidents."""


def read(db: Database, since: int | None) -> list[IncidentRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    if int(db.execute("PRAGMA user_version").get) < _SINCE_SCHEMA:
        return []
    return [_incident(row) for row in db.execute(_READ, (since or 0,)).fetchall()]


def checkpoint(db: Database, run: int) -> Checkpoint | None:
    """See :class:`nightproof.journal.protocol.Reader`."""
    rows: list[Any] = db.execute(_CHECKPOINT, (run,)).fetchall()
    return Checkpoint(*rows[0]) if rows else None


def begin(db: Database, row: IncidentRow) -> IncidentRow:
    """See :class:`nightproof.journal.protocol.Journal`."""
    db.execute("DELETE FROM incident WHERE cleared < ?", (row.opened - KEPT_MS,))
    db.execute(_OPEN, (row.key, row.kind, row.job, row.run, row.opened, row.note))
    found = db.execute(f"SELECT {_COLUMNS} FROM incident WHERE key = ?", (row.key,)).fetchall()
    return _incident(found[0])


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


def _incident(row: tuple[Any, ...]) -> IncidentRow:
    return IncidentRow(*row)
