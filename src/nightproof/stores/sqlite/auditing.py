"""The record of what people did, on SQLite: each in the caller's transaction."""

from __future__ import annotations

from nightproof.journal.listing import AuditRow
from nightproof.stores.sqlite.connection import Database


def audit(db: Database, row: AuditRow) -> int:
    """See :class:`nightproof.journal.protocol.Journal`."""
    db.execute(
        "INSERT INTO audit (at, who, act, run, command, code, outcome) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        row[1:],
    )
    return db.raw.last_insert_rowid()


def audited(db: Database, row: int, code: int, outcome: str) -> None:
    """See :class:`nightproof.journal.protocol.Journal`."""
    db.execute("UPDATE audit SET code = ?, outcome = ? WHERE id = ?", (code, outcome, row))


def forget(db: Database, before_ms: int, dry_run: bool) -> int:
    """See :class:`nightproof.journal.protocol.Journal`."""
    [(count,)] = db.execute("SELECT count(*) FROM audit WHERE at < ?", (before_ms,))
    if not dry_run:
        db.execute("DELETE FROM audit WHERE at < ?", (before_ms,))
    return int(count)
