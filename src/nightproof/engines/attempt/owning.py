"""Whether the owner of a run is gone, so that another attempt may take it over."""

from __future__ import annotations

from nightproof.journal.lease import Possession, possession
from nightproof.journal.protocol import Journal
from nightproof.journal.records import RunRow
from nightproof.model import clock


async def gone(journal: Journal, row: RunRow, lease: float) -> bool:
    """Whether the owner of `row` is dead; may watch its heartbeat for a `lease` (seconds)."""
    lease_ms = int(lease * 1000)
    state = possession(row, clock.now_ms(), lease_ms)
    if state is not Possession.DOUBTFUL:
        return state is not Possession.LIVE
    until = clock.monotonic() + lease
    while clock.monotonic() < until:
        await clock.sleep(lease / 30)
        now = await journal.find(row.name)
        if now is None or now.token != row.token or now.owner is None:
            return True
        if now.beat != row.beat:
            return False
        if possession(now, clock.now_ms(), lease_ms) is Possession.DEAD:
            return True
    return True
