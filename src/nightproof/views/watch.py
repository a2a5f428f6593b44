"""What tells a run that works from one that does not: heartbeat, progress, output, decisions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from statistics import median
from typing import Any

from nightproof.journal.protocol import Reader
from nightproof.journal.records import Entry, RunFilter, RunRow
from nightproof.model import clock
from nightproof.model.states import Kind, RunStatus
from nightproof.views.trying import alive
from nightproof.views.values import Time, iso, parsed, real

NIGHTS = 30
"""A night's output is measured against so many completed runs of its job before it."""
FEWEST = 3
"""With fewer of them nothing is said."""
_LOOKED_AT = 100
EVENTS = 1000
"""So many events are read at a time."""
_OPEN = (RunStatus.RUNNING, RunStatus.PARKED)


@dataclass(frozen=True, slots=True)
class Progress:
    """When a run came on last: `since` in milliseconds since the epoch.

    That is its last checkpoint, or that of a child run that is still open, or the start
    of its last attempt. `step` is what was recorded then, "" for a start.
    """

    since: int
    step: str


@dataclass(frozen=True, slots=True)
class OutputView:
    """A measure beside what it was in the `nights` before; None where it was not taken.

    `zeros` is in how many of these nights it was 0 or missing.
    """

    name: str
    value: float | None
    median: float | None
    nights: int
    zeros: int

    @property
    def silent(self) -> bool:
        """Whether nothing came out of what hardly ever was nothing before."""
        return not self.value and self.nights >= FEWEST and self.zeros * 10 <= self.nights


@dataclass(frozen=True, slots=True)
class DecisionView:
    """What the job decided, and why."""

    at: Time | None
    what: str
    because: str


@dataclass(frozen=True, slots=True)
class WatchView:
    """How a run is doing.

    `heartbeat` is when its process last proved that it lives, `checkpoint` when it last
    came on (`step` says with what), `silent` how many seconds ago that was. It has
    stalled when that is more than `limit` seconds.
    """

    run: str
    job: str
    status: RunStatus
    alive: bool
    heartbeat: Time | None
    checkpoint: Time | None
    step: str
    silent: float
    limit: float
    outputs: list[OutputView]
    decisions: list[DecisionView]


@dataclass(slots=True)
class _Measured:
    """What was read of a run's measures: up to sequence number `after`."""

    finished: int | None
    after: int = -1
    values: dict[str, float] = field(default_factory=dict)
    complete: bool = False


class History:
    """The measures of runs; each event is read from the journal once."""

    def __init__(self) -> None:
        self._known: dict[int, _Measured] = {}

    async def of(
        self, reader: Reader, row: RunRow, until: float | None = None
    ) -> dict[str, float] | None:
        """What a run has measured; the last value of each name.

        None where `until` (of the clock) is over before all is read; another call goes on.
        """
        one = self._known.setdefault(row.id, _Measured(row.finished))
        if one.complete and row.finished is not None and one.finished == row.finished:
            return one.values
        one.complete = False
        while not one.complete:
            if until is not None and clock.perf() > until:
                return None
            after = one.after
            entries = await reader.entries(row.id, (Kind.EVENT,), after, EVENTS)
            if one.after != after:  # somebody else has read on meanwhile
                continue
            one.values = {**one.values, **_measures(entries)}
            one.after = entries[-1].seq if entries else after
            one.finished, one.complete = row.finished, len(entries) < EVENTS
        return one.values


def stall_limit(row: RunRow, default: float) -> float:
    """After how many seconds without a checkpoint the run has stalled: its job's, or `default`."""
    kept = parsed(row.options)
    own = kept.get("stall") if isinstance(kept, dict) else None
    return float(own) if isinstance(own, (int, float)) else default


def heartbeat(row: RunRow, lease: float) -> int | None:
    """When the owner of a run last extended its lease of `lease` seconds, in milliseconds."""
    return row.lease_until - int(lease * 1000) if row.owner is not None else None


async def progress(reader: Reader, row: RunRow) -> Progress:
    """When a run came on last."""
    attempts = await reader.attempts(row.id)
    found = Progress(max((one.started for one in attempts), default=row.created), "")
    last = await reader.checkpoint(row.id)
    if last is not None and last.at >= found.since:
        codes = await reader.codes([last.code] if last.code else [])
        name = codes[last.code].name if last.code in codes else Kind(last.kind).name.lower()
        found = Progress(last.at, name)
    for child in await reader.runs(RunFilter(parent=row.id, status=_OPEN, limit=-1)):
        inner = await progress(reader, child)
        found = inner if inner.since > found.since else found
    return found


async def outputs(reader: Reader, row: RunRow, history: History | None = None) -> list[OutputView]:
    """What a run has measured, beside the completed runs of its job that ended before it."""
    history = history or History()
    now = await history.of(reader, row) or {}
    before = [await history.of(reader, one) or {} for one in await earlier(reader, row)]
    names = list(dict.fromkeys([*now, *(name for one in before for name in one)]))
    return [_output(name, now, before) for name in names]


async def earlier(reader: Reader, row: RunRow) -> list[RunRow]:
    """Up to NIGHTS completed runs of the job that ended before this one, the newest first."""
    found = await reader.runs(
        RunFilter(
            job=row.job, status=(RunStatus.COMPLETED,), limit=_LOOKED_AT, own=True, brief=True
        )
    )
    until = row.finished if row.finished is not None else clock.now_ms()
    nights = [
        one
        for one in found
        if own(one) and one.id != row.id and one.finished is not None and one.finished <= until
    ]
    return sorted(nights, key=lambda one: one.finished or 0, reverse=True)[:NIGHTS]


def own(row: RunRow) -> bool:
    """Whether it is a night of its job: no replicate, and no part of another run."""
    return row.replicate == 0 and row.parent is None


async def watch(
    reader: Reader, row: RunRow, *, stall: float = 900.0, lease: float = 30.0
) -> WatchView:
    """How a run is doing; `stall` and `lease` in seconds, as the settings have them."""
    came_on = await progress(reader, row)
    end = row.finished if row.finished is not None else clock.now_ms()
    decisions = []
    for entry in await reader.entries(row.id, (Kind.EVENT,)):
        if not entry.output or b'"decision"' not in entry.output:
            continue
        told = parsed(entry.output)
        if isinstance(told, dict) and told.get("kind") == "decision":
            what, because = str(told.get("message", "")), str(told.get("because", ""))
            decisions.append(DecisionView(iso(entry.at), what, because))
    return WatchView(
        run=row.name,
        job=row.job,
        status=row.status,
        alive=alive(row),
        heartbeat=iso(heartbeat(row, lease)),
        checkpoint=iso(came_on.since),
        step=came_on.step,
        silent=max(0, end - came_on.since) / 1000,
        limit=stall_limit(row, stall),
        outputs=await outputs(reader, row),
        decisions=decisions,
    )


def _output(name: str, now: dict[str, float], before: list[dict[str, float]]) -> OutputView:
    past = [one[name] for one in before if name in one and isfinite(one[name])]
    zeros = sum(not one.get(name) for one in before)
    middle = float(median(past)) if past else None
    return OutputView(name, now.get(name), middle, len(before), zeros)


def _measures(entries: Sequence[Entry]) -> dict[str, float]:
    found: dict[str, float] = {}
    for entry in entries:
        # Most events are something else: they are not parsed.
        if not entry.output or b'"measure"' not in entry.output:
            continue
        told: Any = json.loads(entry.output)
        if told.get("kind") == "measure":
            found[str(told["name"])] = real(told["value"])
    return found
