"""Schedules on Postgres: the statements, those that write each in the caller's transaction."""

from __future__ import annotations

from nightproof.journal.schedules import FireRow, ScheduleRow
from nightproof.journal.shown import FIRES, SCHEDULE_COLUMNS, fire_row
from nightproof.stores.postgres.session import Transaction
from nightproof.stores.postgres.values import numbered

_KEEP = (
    f"INSERT INTO schedule ({SCHEDULE_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6) "
    "ON CONFLICT (name) DO UPDATE SET job = excluded.job, target = excluded.target, since = "
    "CASE WHEN schedule.spec = excluded.spec THEN schedule.since ELSE excluded.since END, "
    "spec = excluded.spec, seen = greatest(schedule.seen, excluded.seen) "
    f"RETURNING {SCHEDULE_COLUMNS}"
)
_FIRE = (
    "INSERT INTO fire (schedule, at, run, contract) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
)
COLLECTED = "UPDATE fire SET contract = NULL WHERE run = (SELECT name FROM run WHERE id = $1)"
"""The run is about to be removed: its night stays known, its contract goes with it."""


async def keep(transaction: Transaction, row: ScheduleRow) -> ScheduleRow:
    """See :class:`nightproof.journal.protocol.Journal`."""
    return ScheduleRow(*(await transaction.all(_KEEP, *row))[0])


async def fire(transaction: Transaction, row: FireRow) -> tuple[FireRow, bool]:
    """See :class:`nightproof.journal.protocol.Journal`."""
    first = await transaction.run(_FIRE, row.schedule, row.at, row.run, row.contract)
    found = await transaction.all(numbered(FIRES), row.schedule, row.at, row.at)
    return fire_row(found[0]), first == 1
