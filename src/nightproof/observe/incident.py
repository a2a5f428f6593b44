"""Incidents in words: what people are told when something goes wrong, and when it is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from nightproof.contract.secrets import redact
from nightproof.journal.incidents import IncidentRow
from nightproof.model import clock

KINDS = {
    "stalled": "stalled",
    "held": "waits for a decision",
    "failed": "failed",
    "missed": "missed a night",
    "no-output": "gave no output",
    "drift": "drifts",
    "quota": "quota will not last",
    "store": "store does not answer",
}
"""The kinds of incidents, each with its words."""
_NEXT = {
    "stalled": "nightproof watch {run}",
    "held": "nightproof show {run}",
    "failed": "nightproof logs {run}",
    "missed": "nightproof schedule show",
    "no-output": "nightproof show {run}",
    "drift": "nightproof budget {job}",
    "quota": "nightproof quotas",
    "store": "nightproof doctor",
}


class Finding(NamedTuple):
    """Something that is wrong now; under its `key` it stays one incident until it is over."""

    key: str
    kind: str
    job: str
    run: str
    note: str


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that went wrong, once; `cleared` is None while it lasts.

    `kind` is one of :data:`KINDS`, `next` a command that shows more.
    """

    key: str
    kind: str
    job: str
    run: str
    opened: datetime
    cleared: datetime | None
    note: str

    @classmethod
    def of(cls, row: IncidentRow) -> Incident:
        """The incident of a row."""
        cleared = clock.from_ms(row.cleared) if row.cleared is not None else None
        return cls(
            row.key,
            row.kind,
            row.job,
            row.run,
            clock.from_ms(row.opened),
            cleared,
            redact(row.note),
        )

    @property
    def next(self) -> str:
        """What to type."""
        return _NEXT.get(self.kind, "nightproof show {run}").format(run=self.run, job=self.job)

    def __str__(self) -> str:
        what = f"{self.job} {KINDS.get(self.kind, self.kind)}".strip()
        if self.cleared is None:
            return f"{what}: {self.note}\n{self.next}"
        lasted = span((self.cleared - self.opened).total_seconds())
        return f"{what}: over after {lasted} (it was: {self.note})"

    def document(self) -> dict[str, Any]:
        """Itself as JSON data; `event` says what is told."""
        return {
            "event": "opened" if self.cleared is None else "cleared",
            "key": self.key,
            "kind": self.kind,
            "job": self.job,
            "run": self.run or None,
            "opened": self.opened.isoformat(timespec="seconds"),
            "cleared": self.cleared.isoformat(timespec="seconds") if self.cleared else None,
            "note": self.note,
            "next": self.next,
            "text": str(self),
        }


def span(seconds: float) -> str:
    """A duration in words, in at most two units."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    if minutes < 120:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes // 60 % 24} h"


def moment(ms: int) -> str:
    """A time in UTC, to the second."""
    return f"{clock.from_ms(ms):%Y-%m-%d %H:%M:%S} UTC"
