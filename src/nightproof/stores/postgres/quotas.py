"""Quotas on Postgres: the statements, those that write each in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from nightproof.journal.quotas import FORGOTTEN_MS, LONGEST_MS, Ask, Claimant, Grant
from nightproof.stores.postgres.session import Transaction

_ADD = (
    "INSERT INTO quota_use (quota, what, sharer, until, n) VALUES ($1, $2, $3, $4, $5) "
    "ON CONFLICT (quota, what, sharer, until) DO UPDATE SET n = quota_use.n + excluded.n"
)
_DEFINE = (
    "INSERT INTO quota (name, spec) VALUES ($1, $2) "
    "ON CONFLICT (name) DO UPDATE SET spec = excluded.spec RETURNING parked, reason"
)
"""Also locks the quota's row: one process at a time counts what is left."""
_USED = (
    "SELECT coalesce(sum(n), 0), min(until) FROM quota_use "
    "WHERE quota = $1 AND what = $2 AND sharer = $3 AND until > $4 AND until <= $5"
)
_WAIT = (
    "INSERT INTO quota_wait (quota, run, since, until) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT (quota, run) DO UPDATE SET until = excluded.until, since = "
    "CASE WHEN quota_wait.until < excluded.since - 60000 THEN excluded.since "
    "ELSE quota_wait.since END"
)


async def take(
    transaction: Transaction,
    name: str,
    spec: str,
    who: Claimant,
    asks: Sequence[Ask],
    want: int,
    now: int,
) -> Grant:
    """See :class:`nightproof.journal.quotas.QuotaBook`."""
    grant = await _define(transaction, name, spec, now) or await _free(
        transaction, name, who.sharer, asks, want, now
    )
    if not grant.n:
        await transaction.run(_WAIT, name, who.run, now, grant.until)
        return grant
    await transaction.each(
        [
            # Also of runs that died while they waited.
            (
                "DELETE FROM quota_wait WHERE quota = $1 AND (run = $2 OR until <= $3)",
                (name, who.run, now - FORGOTTEN_MS),
            ),
            ("DELETE FROM quota_use WHERE quota = $1 AND until <= $2", (name, now)),
            *(
                (_ADD, (name, ask.what, who.sharer, ask.until, float(grant.n)))
                for ask in asks
                if ask.counted
            ),
        ]
    )
    return grant


async def _define(transaction: Transaction, name: str, spec: str, now: int) -> Grant | None:
    """The quota's row, locked from here on; a grant of nothing while it is parked."""
    [(parked, reason)] = await transaction.all(_DEFINE, name, spec)
    if now < parked <= now + LONGEST_MS:
        return Grant(0, parked, reason)
    return None


async def _free(
    transaction: Transaction, name: str, sharer: str, asks: Sequence[Ask], want: int, now: int
) -> Grant:
    granted, until, reasons = want, 0, []
    for ask in asks:
        [(used, first)] = await transaction.all(_USED, name, ask.what, sharer, now, ask.horizon)
        free = ask.cap - used
        if free >= 1 or (not ask.counted and free > 0):
            granted = min(granted, int(free)) if ask.counted else granted
        else:
            until = max(until, first or ask.until)
            reasons.append(f"{used:g} of {ask.cap:g} {ask.what} used")
    return Grant(0, until, ", ".join(reasons)) if reasons else Grant(granted)


async def park(
    transaction: Transaction, name: str, spec: str, until: int, reason: str, now: int
) -> int:
    """See :class:`nightproof.journal.quotas.QuotaBook`."""
    known = await _define(transaction, name, spec, now)
    if known is not None and known.until >= until:
        return known.until
    await transaction.run(
        "UPDATE quota SET parked = $1, reason = $2 WHERE name = $3", until, reason, name
    )
    return until
