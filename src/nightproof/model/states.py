"""The states of a run and of an effect, and what a crash leaves behind in each."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class RunStatus(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    """An attempt owns it, or owned it and died: then whoever claims it goes on."""
    PARKED = "parked"
    """It waits for a time, a signal or a person's decision; no process is needed."""
    COMPLETED = "completed"
    """Its result is recorded and will be returned from now on."""
    FAILED = "failed"
    """It failed; a resume tries the failed steps again and keeps everything else."""
    CANCELLED = "cancelled"
    """Somebody cancelled it."""


class EffectState(StrEnum):
    """Where an effect stands."""

    INTENDED = "intended"
    """Announced, not confirmed: after a crash its outcome is unknown."""
    CONFIRMED = "confirmed"
    """It happened, and its result is recorded."""
    FAILED = "failed"
    """It raised, and whether it happened is unknown."""
    CLEAR = "clear"
    """It certainly did not happen; it may be tried."""
    SKIPPED = "skipped"
    """Its outcome was unknown and its policy is never to try twice."""


class Kind(IntEnum):
    """What a journal entry records. The numbers are stored: never renumber."""

    RESULT = 1
    FAILURE = 2
    RETRY = 3
    VALUE = 4
    WAIT = 5
    ARTIFACT = 6
    EVENT = 7
    UNDONE = 8
    CHILD = 9
    MAP = 10
    EFFECT = 11
    SIGNAL = 12
    REOPENED = 13
