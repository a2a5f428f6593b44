"""Quotas on SQLite: the statements, each in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightproof.journal.quotas import (
    Ask,
    Claimant,
    Grant,
    QuotaRow,
    QuotaUse,
    QuotaWait,
    SpendQuota,
)
from nightproof.stores.sqlite.connection import Database

LONGEST_MS = 40 * 86_400_000
"""A quota that is parked for longer was parked by a clock that was wrong."""
FORGOTTEN_MS = 3_600_000
"""A wait that was over so long ago is nobody's any more."""
_SINCE_SCHEMA = 3
"""A journal of an older schema that is only read knows of no quotas."""
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


def read(db: Database, now: int) -> list[QuotaRow]:
    """Every quota, with what is in use and who waits."""
    found: list[QuotaRow] = []
    if int(db.execute("PRAGMA user_version").get) < _SINCE_SCHEMA:
        return found
    for name, spec, parked, reason in _rows(
        db, "SELECT name, spec, parked, reason FROM quota ORDER BY name"
    ):
        uses = _rows(
            db,
            "SELECT what, sharer, sum(n), min(until) FROM quota_use "
            "WHERE quota = ? AND until > ? GROUP BY what, sharer ORDER BY what, sharer",
            (name, now),
        )
        waits = _rows(
            db,
            "SELECT run, since, until FROM quota_wait WHERE quota = ? AND until > ? ORDER BY run",
            (name, now),
        )
        still = now < parked <= now + LONGEST_MS
        found.append(
            QuotaRow(
                name, spec, parked if still else 0, reason if still else "",
                tuple(QuotaUse(*row) for row in uses), tuple(QuotaWait(*row) for row in waits),
            )
        )  # fmt: skip
    return found
