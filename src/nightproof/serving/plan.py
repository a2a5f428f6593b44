"""Schedules as data: what a server has to know, without importing anybody's code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from nightproof.durable.schedule import Schedule
from nightproof.model.timetable import Timetable


class Planned(NamedTuple):
    """A schedule, and the target by which another process finds its job."""

    name: str
    job: str
    target: str
    times: Timetable
    missed: str
    catch_up: int

    def document(self) -> dict[str, Any]:
        """The schedule as JSON; :func:`planned` reads it."""
        return {"schedule": self.name, "job": self.job, "target": self.target, **self._spec()}

    def spec(self) -> str:
        """What tells whether it is still the same schedule."""
        return json.dumps(self._spec(), sort_keys=True)

    def _spec(self) -> dict[str, Any]:
        times = self.times
        return {
            "tz": times.tz,
            "at": times.at or None,
            "cron": times.cron or None,
            "missed": self.missed,
            "catchUp": self.catch_up,
        }

    def due(self, since: datetime, now: datetime, late: timedelta) -> list[datetime]:
        """The times up to `now` that should have run, oldest first; none up to `since`.

        What was due longer ago than `late` was missed.
        """
        if self.missed == "skip":
            return self.times.last(1, max(since, now - late), now)
        return self.times.last(self.catch_up, since, now)


def plan(schedule: Schedule[Any], target: str) -> Planned:
    """The plan of a declared schedule."""
    one = schedule
    return Planned(one.name, one.job, target, one.times, one.missed, one.catch_up)


def planned(document: Mapping[str, Any]) -> Planned:
    """The plan in a document of ``nightproof schedule show --json``."""
    times = Timetable(document["tz"], document["at"] or "", document["cron"] or "")
    name, job, target = (document[key] for key in ("schedule", "job", "target"))
    return Planned(name, job, target, times, document["missed"], document["catchUp"])
