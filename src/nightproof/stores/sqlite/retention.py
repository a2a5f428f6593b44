"""What is removed from a SQLite journal that grows old: each in the caller's transaction."""

from __future__ import annotations

from nightproof.stores.sqlite import schedules
from nightproof.stores.sqlite.connection import Database

_OPEN = "SELECT 1 FROM run WHERE id = ? AND status IN ('running', 'parked')"


def delete(db: Database, run: int) -> int:
    """Remove a run with all its history; how many entries, or -1 where it is open again."""
    # Another process may have begun to work on it since it was chosen.
    if db.execute(_OPEN, (run,)).get is not None:
        return -1
    db.execute("DELETE FROM entry WHERE run = ?", (run,))
    removed = db.raw.changes()
    for table in ("attempt", "signal", "blob_use", "outcome"):
        db.execute(f"DELETE FROM {table} WHERE run = ?", (run,))
    schedules.collected(db, run)
    db.execute("DELETE FROM run WHERE id = ?", (run,))
    return removed


def forget_boots(db: Database, before: int) -> None:
    """Boot records of processes that own no attempt (any more) grow old too."""
    db.execute(
        "DELETE FROM boot WHERE at < ? "
        "AND NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.boot = boot.id)",
        (before,),
    )
