"""Quotas on SQLite: the statements, each in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightproof.journal.quotas import (
    FORGOTTEN_MS,
    LONGEST_MS,
    Ask,
    Claimant,
    Grant,
    SpendQuota,
)
from nightproof.stores.sqlite.connection import Database

_ADD = (
    "INSERT INTO quota_use VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (quota, what, sharer, until) DO UPDATE SET n = n + excluded.n"
)
_DEFINE = (
    "INSERT INTO quota (name, spec) VALUES (?, ?) "
    "ON CONFLICT (name) DO UPDATE SET spec = excluded.spec WHERE spec <> excluded.spec"
)
_USED = (
    "SELECT coalesce(sum(n), 0), min(until) FROM quota_use "
    "WHERE quota = ? AND what = ? AND sharer = ? AND until > ? AND until <= ?"
)


def take(
    db: Database, name: str, spec: str, who: Claimant, asks: Sequence[Ask], want: int, now: int
) -> Grant:
    """See :class:`nightproof.journal.quotas.QuotaBook`."""
    db.execute(_DEFINE, (name, spec))
    grant = _parked(db, name, now) or _free(db, name, who.sharer, asks, want, now)
    if not grant.n:
        db.execute(
            "INSERT INTO quota_wait VALUES (?, ?, ?, ?) "
            "ON CONFLICT (quota, run) DO UPDATE SET until = excluded.until, since = "
            "CASE WHEN until < excluded.since - 60000 THEN excluded.since ELSE since END",
            (name, who.run, now, grant.until),
        )
        return grant
    # Also of runs that died while they waited.
    db.execute(
        "DELETE FROM quota_wait WHERE quota = ? AND (run = ? OR until <= ?)",
        (name, who.run, now - FORGOTTEN_MS),
    )
    db.execute("DELETE FROM quota_use WHERE quota = ? AND until <= ?", (name, now))
    for ask in asks:
        if ask.counted:
            db.execute(_ADD, (name, ask.what, who.sharer, ask.until, grant.n))
    return grant


def _parked(db: Database, name: str, now: int) -> Grant | None:
    [(parked, reason)] = _rows(db, "SELECT parked, reason FROM quota WHERE name = ?", (name,))
    if now < parked <= now + LONGEST_MS:
        return Grant(0, parked, reason)
    return None


def _free(db: Database, name: str, sharer: str, asks: Sequence[Ask], want: int, now: int) -> Grant:
    granted, until, reasons = want, 0, []
    for ask in asks:
        [(used, first)] = _rows(db, _USED, (name, ask.what, sharer, now, ask.horizon))
        free = ask.cap - used
        if free >= 1 or (not ask.counted and free > 0):
            granted = min(granted, int(free)) if ask.counted else granted
        else:
            until = max(until, first or ask.until)
            reasons.append(f"{used:g} of {ask.cap:g} {ask.what} used")
    return Grant(0, until, ", ".join(reasons)) if reasons else Grant(granted)


def park(db: Database, name: str, spec: str, until: int, reason: str, now: int) -> int:
    """See :class:`nightproof.journal.quotas.QuotaBook`."""
    db.execute(_DEFINE, (name, spec))
    known = _parked(db, name, now)
    if known is not None and known.until >= until:
        return known.until
    db.execute("UPDATE quota SET parked = ?, reason = ? WHERE name = ?", (until, reason, name))
    return until


def _rows(db: Database, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = db.execute(sql, values).fetchall()
    return found


def spend(db: Database, write: SpendQuota) -> None:
    """Add what was used."""
    db.execute(_ADD, (write.quota, write.what, write.sharer, write.until, write.n))
