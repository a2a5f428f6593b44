"""What is removed from a Postgres journal that grows old: each in the caller's transaction."""

from __future__ import annotations

from nightproof.stores.postgres.schedules import COLLECTED
from nightproof.stores.postgres.session import Transaction

_LOCK = "SELECT status IN ('running', 'parked') FROM run WHERE id = $1 FOR UPDATE"
_TABLES = ("attempt", "signal", "blob_use", "outcome")
FORGET_RECEIPTS = "DELETE FROM receipt WHERE at < now() - interval '1 day'"


async def delete(transaction: Transaction, run: int) -> int:
    """Remove a run with all its history; how many entries, or -1 where it is open again."""
    # Another process may have begun to work on it since it was chosen.
    row = await transaction.one(_LOCK, run)
    if row is None or row[0]:
        return -1
    # A run of a million items is still removed in one transaction.
    await transaction.lengthily()
    answers = await transaction.each(
        [
            ("DELETE FROM entry WHERE run = $1", (run,)),
            *((f"DELETE FROM {table} WHERE run = $1", (run,)) for table in _TABLES),
            (COLLECTED, (run,)),
            ("DELETE FROM run WHERE id = $1", (run,)),
        ]
    )
    return answers[0].count


async def forget_boots(transaction: Transaction, before: int) -> None:
    """Boot records of processes that own no attempt (any more) grow old too."""
    await transaction.run(
        "DELETE FROM boot WHERE at < $1 "
        "AND NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.boot = boot.id)",
        before,
    )
    await transaction.run(FORGET_RECEIPTS)
