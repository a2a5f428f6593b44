"""The record of what people did, on Postgres."""

from __future__ import annotations

from nightproof.journal.listing import AuditRow
from nightproof.stores.postgres.session import Transaction


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


async def forget(transaction: Transaction, before_ms: int, dry_run: bool) -> int:
    """See :class:`nightproof.journal.protocol.Journal`."""
    found = await transaction.all("SELECT count(*) FROM audit WHERE at < $1", before_ms)
    if not dry_run:
        await transaction.run("DELETE FROM audit WHERE at < $1", before_ms)
    return int(found[0][0])
