"""Who is at work on a run, and on an effect of it: then nobody has to decide about that."""

from __future__ import annotations

from typing import Final

from nightproof.journal.lease import Possession, possession
from nightproof.journal.records import EffectRow, RunRow
from nightproof.journal.trying import trying
from nightproof.model import clock, identity
from nightproof.model.states import EffectState, RunStatus

LEASE_MS: Final = 30_000
UNDECIDED: Final = (EffectState.INTENDED, EffectState.FAILED)
"""The states in which it is not known whether an effect happened."""


def alive(row: RunRow) -> bool:
    """Whether a process may be working on the run."""
    known = possession(row, clock.now_ms(), LEASE_MS)
    return known in (Possession.LIVE, Possession.DOUBTFUL)


def due(row: RunRow) -> bool:
    """Whether a parked run can go on: the time or a signal that it waited for has come."""
    return row.status is RunStatus.PARKED and row.wake is not None and row.wake <= clock.now_ms()


def tried(effect: EffectRow, run: RunRow | None) -> bool:
    """Whether a process may be at an effect now; `run` is the one it is of, None if unknown.

    The process that an intent names tells, where this machine can see it; else the run does.
    On Temporal a run goes on beside an effect that is held for a decision.
    """
    who = trying(effect.trying) if effect.state is EffectState.INTENDED else None
    seen = who is not None and who.process.host == identity.here().host
    if who is not None and seen and not identity.is_dead(who.process):
        return True
    if run is None or run.status is not RunStatus.RUNNING or not alive(run):
        return False
    held = effect.state is EffectState.FAILED
    return not (held and run.owner is not None and run.owner.is_workflow)


def undecided(effect: EffectRow, run: RunRow | None) -> bool:
    """Whether a person may have to decide about an effect."""
    return effect.state in UNDECIDED and not tried(effect, run)
