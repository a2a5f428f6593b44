"""Making runs due, and telling those who listen."""

from __future__ import annotations

from nightproof.stores.postgres.session import Transaction

_WAKE = (
    "WITH RECURSIVE up (id) AS (SELECT id FROM run WHERE id = $1 OR "
    "($2::text <> '' AND status = 'parked' AND position($2 IN waiting) > 0) UNION "
    "SELECT parent FROM run JOIN up USING (id) WHERE parent IS NOT NULL), "
    "locked AS (SELECT id FROM run WHERE id IN (SELECT id FROM up) ORDER BY id "
    "FOR NO KEY UPDATE) "
    "UPDATE run SET wake = $3 WHERE status IN ('running', 'parked') "
    "AND id IN (SELECT id FROM locked)"
)
"""Makes a run due, those that wait for the same decision, and those whose child it is.

Also one that is running: it may be about to park.
"""
_NOTIFY = "SELECT pg_notify($1, $2)"


async def wake(transaction: Transaction, run: int, waiting: str, now: int, channel: str) -> None:
    """Make `run` due, and those that wait with a message that contains `waiting`."""
    await transaction.each([(_WAKE, (run, waiting, now)), (_NOTIFY, (channel, str(run)))])


async def tell(transaction: Transaction, run: int, channel: str) -> None:
    """Tell the run's owner to look at what was asked of it."""
    await transaction.each([(_NOTIFY, (channel, str(run)))])
