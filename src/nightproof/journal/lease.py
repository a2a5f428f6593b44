"""When a run that somebody owns may be taken over.

The fencing token makes a wrong answer harmless for the journal; these rules make
it rare. Wall clocks jump, so a lease that looks odd on them is judged by watching
the owner's heartbeat on the monotonic clock instead.
"""

from __future__ import annotations

from enum import Enum

from nightproof.journal.records import RunRow
from nightproof.model import identity


class Possession(Enum):
    """What is known about the owner of a run."""

    NOBODY = "nobody"
    DEAD = "dead"
    LIVE = "live"
    DOUBTFUL = "doubtful"
    """Only a heartbeat seen or missed over a whole lease can tell."""


def possession(run: RunRow, now_ms: int, lease_ms: int) -> Possession:
    """Judge the owner of `run` at wall-clock time `now_ms`.

    `lease_ms` is the length of a lease. A lease that ends later than a fresh one
    would mean that the clock was set back. A workflow counts as live: it has no heartbeat,
    and only a later execution of it may take its run over.
    """
    owner = run.owner
    if owner is None:
        return Possession.NOBODY
    if owner.is_workflow:
        return Possession.LIVE
    if identity.is_dead(owner):
        return Possession.DEAD
    remaining = run.lease_until - now_ms
    if 0 < remaining <= lease_ms + 1000:
        return Possession.LIVE
    return Possession.DOUBTFUL
