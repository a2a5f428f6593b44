"""Incidents on Postgres: the statements, those that write each in the caller's transaction."""

from __future__ import annotations

from nightproof.journal.incidents import ALL_TOLD, IncidentRow
from nightproof.journal.shown import INCIDENT_COLUMNS
from nightproof.stores.postgres.session import Transaction

KEPT_MS = 90 * 86_400_000
"""So long an incident is kept after its end."""


def _told(column: str) -> str:
    """What a column becomes when an incident comes back: new where its end was told."""
    return (
        f"{column} = CASE WHEN incident.notified = {ALL_TOLD} THEN excluded.{column} "
        f"ELSE incident.{column} END"
    )


_OPEN = (
    f"INSERT INTO incident ({INCIDENT_COLUMNS}) VALUES ($1, $2, $3, $4, $5, NULL, 0, $6) "
    "ON CONFLICT (key) DO UPDATE SET cleared = NULL, kind = excluded.kind, job = excluded.job, "
    f"{_told('opened')}, {_told('note')}, {_told('run')}, notified = "
    f"CASE WHEN incident.notified = {ALL_TOLD} THEN 0 ELSE incident.notified END "
    "WHERE incident.cleared IS NOT NULL"
)


async def begin(transaction: Transaction, row: IncidentRow) -> IncidentRow:
    """See :class:`nightproof.journal.protocol.Journal`."""
    answers = await transaction.each(
        [
            ("DELETE FROM incident WHERE cleared < $1", (row.opened - KEPT_MS,)),
            (_OPEN, (row.key, row.kind, row.job, row.run, row.opened, row.note)),
            (f"SELECT {INCIDENT_COLUMNS} FROM incident WHERE key = $1", (row.key,)),
        ]
    )
    return IncidentRow(*answers[2].rows[0])


async def clear(transaction: Transaction, key: str, at: int) -> bool:
    """See :class:`nightproof.journal.protocol.Journal`."""
    sql = "UPDATE incident SET cleared = $1 WHERE key = $2 AND cleared IS NULL"
    return bool(await transaction.run(sql, at, key))


async def tell(transaction: Transaction, key: str, opened: int, before: int, after: int) -> bool:
    """See :class:`nightproof.journal.protocol.Journal`."""
    sql = "UPDATE incident SET notified = $1 WHERE key = $2 AND opened = $3 AND notified = $4"
    return bool(await transaction.run(sql, after, key, opened, before))
