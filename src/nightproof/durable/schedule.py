"""Schedules: when a job is due, and how its contract follows from the time it was due at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, TypeVar

from nightproof.errors import MisuseError
from nightproof.model.timetable import Timetable

C = TypeVar("C")

Missed = Literal["catch up", "skip"]
CHOICES = ("catch up", "skip")


@dataclass(frozen=True, slots=True)
class Schedule(Generic[C]):
    """One schedule of a job; made by ``@job.nightly`` and ``@job.cron``."""

    job: str
    name: str
    """``job/function``: under this name a store remembers when it was due and what ran."""
    times: Timetable
    contract: Callable[[datetime], C]
    """Makes the contract of the time it was due at (aware, in the schedule's zone)."""
    missed: Missed
    catch_up: int


def declared(
    job: str,
    times: Timetable,
    contract: Callable[[datetime], C],
    missed: str,
    catch_up: int,
    name: str | None,
) -> Schedule[C]:
    """A checked schedule. Zone and cron expression are read when they are first used."""
    own = name or getattr(contract, "__name__", "")
    where = f"the schedule of job '{job}'"
    if not own or own == "<lambda>":
        raise MisuseError(
            f"{where} has no name",
            'Decorate a function that takes the time it was due at, or give it a name="...".',
        )
    texts: tuple[tuple[str, object], ...] = (("time", times.at or times.cron), ("tz", times.tz))
    for word, given in texts:
        if not isinstance(given, str) or not given:
            raise MisuseError(f"{where}: {word} has to be a text, got {given!r}")
    if missed not in CHOICES:
        raise MisuseError(
            f"{where}: missed={missed!r}", 'Write missed="catch up" or missed="skip".'
        )
    if type(catch_up) is not int or catch_up < 1:
        raise MisuseError(
            f"{where}: catch_up={catch_up!r}", "Write how many nights at most, from 1."
        )
    chosen: Missed = "skip" if missed == "skip" else "catch up"
    return Schedule(job, f"{job}/{own}", times, contract, chosen, catch_up)
