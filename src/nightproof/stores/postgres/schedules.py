"""Schedules on Postgres: the statements, those that write each in the caller's transaction."""

from __future__ import annotations

from nightproof.journal.schedules import FireRow, ScheduleRow
from nightproof.stores.postgres.session import Session, Transaction
from nightproof.stores.postgres.values import Row

_COLUMNS = "name, job, target, spec, since, seen"
_KEEP = (
    f"INSERT INTO schedule ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6) "
    "ON CONFLICT (name) DO UPDATE SET job = excluded.job, target = excluded.target, since = "
    "CASE WHEN schedule.spec = excluded.spec THEN schedule.since ELSE excluded.since END, "
    "spec = excluded.spec, seen = greatest(schedule.seen, excluded.seen) "
    f"RETURNING {_COLUMNS}"
)
_FIRES = (
    "SELECT schedule, at, run, contract, "
    "contract IS NULL OR EXISTS (SELECT 1 FROM run WHERE run.name = fire.run) "
    "FROM fire WHERE schedule = $1 AND at >= $2 AND at <= $3 ORDER BY at"
)
_FIRE = (
    "INSERT INTO fire (schedule, at, run, contract) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
)
COLLECTED = "UPDATE fire SET contract = NULL WHERE run = (SELECT name FROM run WHERE id = $1)"
"""The run is about to be removed: its night stays known, its contract goes with it."""


async def keep(transaction: Transaction, row: ScheduleRow) -> ScheduleRow:
    """See :class:`nightproof.journal.protocol.Journal`."""
    return ScheduleRow(*(await transaction.all(_KEEP, *row))[0])


async def read(session: Session) -> list[ScheduleRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    rows = await session.rows(f"SELECT {_COLUMNS} FROM schedule ORDER BY name")
    return [ScheduleRow(*row) for row in rows]


async def fires(session: Session, schedule: str, first: int, last: int) -> list[FireRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    return [_fire(row) for row in await session.rows(_FIRES, schedule, first, last)]


async def fire(transaction: Transaction, row: FireRow) -> tuple[FireRow, bool]:
    """See :class:`nightproof.journal.protocol.Journal`."""
    first = await transaction.run(_FIRE, row.schedule, row.at, row.run, row.contract)
    found = await transaction.all(_FIRES, row.schedule, row.at, row.at)
    return _fire(found[0]), first == 1


def _fire(row: Row) -> FireRow:
    return FireRow(*row)
