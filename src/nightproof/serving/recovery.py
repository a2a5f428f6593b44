"""Runs that could go on and that nobody works on: orphans of a crash, waits that are over."""

from __future__ import annotations

from nightproof.journal.lease import Possession, possession
from nightproof.journal.protocol import Journal
from nightproof.journal.records import RunRow
from nightproof.model import clock


async def recoverable(journal: Journal, lease_ms: int) -> tuple[list[RunRow], list[RunRow]]:
    """The runs that can go on now, and those that were cancelled instead, oldest first.

    A run that somebody asked to cancel, and whose process died before it could heed
    that, is cancelled here.
    """
    now = clock.now_ms()
    due: list[RunRow] = []
    cancelled: list[RunRow] = []
    for row in await journal.due(now):
        if possession(row, now, lease_ms) is Possession.LIVE:
            continue
        done = row.cancel and await journal.request_cancel(row.id)
        (cancelled if done else due).append(row)
    return due, cancelled
