"""The last run of each job beside what is usual: how long it took, and what came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunFilter, RunRow
from nightproof.model import clock
from nightproof.model.states import RunStatus
from nightproof.views.runs import RunView, view
from nightproof.views.values import iso
from nightproof.views.watch import FEWEST, History, earlier

ENOUGH = 7
"""With fewer nights before, only what is missing altogether is called unusual."""
_SHORTEST_SECONDS = 5.0
_MOST = 1e300


@dataclass(frozen=True, slots=True)
class TrendView:
    """A measure over the nights, the oldest first; the last value is this night's.

    `unusual` says in words what is odd about it, "" where nothing is.
    """

    name: str
    value: float | None
    median: float | None
    values: list[float | None]
    unusual: str


@dataclass(frozen=True, slots=True)
class UsualView:
    """A run beside the completed runs of its job before it.

    `usual` is the median of what they took, in seconds; `took` what each did, the oldest first,
    this one last. `slow` says in words that this one took unusually long. `complete` is False
    where there was no time to read all of them.
    """

    run: RunView
    usual: float | None
    took: list[float]
    slow: str
    outputs: list[TrendView]
    complete: bool

    @property
    def unusual(self) -> list[str]:
        """What is odd, in words."""
        odd = [f"{one.name}: {one.unusual}" for one in self.outputs if one.unusual]
        return [*([self.slow] if self.slow else []), *odd]


async def newest(
    reader: Reader, jobs: Sequence[str], history: History, patience: float = 0.08
) -> list[UsualView]:
    """The last run of each job, beside what is usual; what has not ended comes first.

    For about `patience` seconds runs of before are read; another call goes on from there.
    """
    until = clock.perf() + patience
    found = []
    for job in jobs:
        rows = await reader.runs(RunFilter(job=job, own=True, limit=1, brief=True))
        if rows:
            found.append(await usual(reader, rows[0], history, until))
    return sorted(found, key=lambda one: one.run.created or "", reverse=True)


async def usual(
    reader: Reader, row: RunRow, history: History, until: float | None = None
) -> UsualView:
    """A run beside what is usual; no more runs are read once `until` (of the clock) is over."""
    before = await earlier(reader, row)
    found = []
    for one in (*before, row):
        values = await history.of(reader, one, until)
        if values is None:
            break
        found.append(_numbers(values))
    complete = len(found) > len(before)
    shown = view(row)
    past = [((one.finished or 0) - one.created) / 1000 for one in reversed(before)]
    middle = median(past) if past else None
    measured, now = (found[:-1], found[-1]) if complete else ([], {})
    names = list(dict.fromkeys([*now, *(name for one in measured for name in one)]))
    ended = row.finished is not None and row.status == "completed"
    outputs = [_trend(name, now, measured[::-1], ended) for name in names] if complete else []
    return UsualView(shown, middle, [*past, shown.took], _slow(shown, past), outputs, complete)


def _numbers(measured: dict[str, float]) -> dict[str, float]:
    """What can be drawn: no infinities, and nothing greater than a float holds."""
    return {name: value for name, value in measured.items() if abs(value) < _MOST}


def _slow(shown: RunView, past: Sequence[float]) -> str:
    if len(past) < ENOUGH or shown.status not in ("running", "completed"):
        return ""
    odd = shown.took > max(past) and shown.took > 1.5 * median(past)
    if not odd or shown.took < _SHORTEST_SECONDS:
        return ""
    return f"took longer than any of the {len(past)} nights before"


def _trend(
    name: str, now: dict[str, float], before: Sequence[dict[str, float]], ended: bool
) -> TrendView:
    """A value is odd that was never seen before and is half or twice of what is usual."""
    past = [one[name] for one in before if name in one]
    middle = float(median(past)) if past else None
    value = now.get(name)
    odd = ""
    zeros = sum(not one.get(name) for one in before)
    if ended and not value and len(before) >= FEWEST and zeros * 10 <= len(before):
        odd = "was not measured" if value is None else "nothing came out"
    elif ended and value is not None and middle is not None and len(past) >= ENOUGH:
        far = abs(value - middle) > abs(middle) / 2
        if far and value < min(past):
            odd = f"less than in any of the {len(past)} nights before"
        if far and value > max(past):
            odd = f"more than in any of the {len(past)} nights before"
    return TrendView(name, value, middle, [*(one.get(name) for one in before), value], odd)


@dataclass(frozen=True, slots=True)
class SeriesView:
    """A measure over the runs of a course; None where it was not taken."""

    name: str
    values: list[float | None]


@dataclass(frozen=True, slots=True)
class CourseView:
    """Completed runs of a job in the order of their nights.

    `at` is when each was due, or when it began, where no schedule started it; `took` is in
    seconds. `complete` is False where there was no time to read what all of them measured.
    """

    at: list[str]
    runs: list[str]
    took: list[float]
    outputs: list[SeriesView]
    complete: bool


async def course(
    reader: Reader, job: str, history: History, limit: int = 100, patience: float = 0.08
) -> CourseView:
    """The newest `limit` completed runs of a job; read for about `patience` seconds."""
    until = clock.perf() + patience
    want = RunFilter(job=job, status=(RunStatus.COMPLETED,), own=True, limit=limit, brief=True)
    rows = await reader.runs(want)
    due = await _due(reader, job, min((row.created for row in rows), default=0))
    nights = sorted((due.get(row.name, row.created), row.id, row) for row in rows)
    measured: dict[int, dict[str, float]] = {}
    for _, _, row in reversed(nights):
        values = await history.of(reader, row, until)
        if values is None:
            break
        measured[row.id] = _numbers(values)
    names = dict.fromkeys(name for one in measured.values() for name in one)
    return CourseView(
        at=[str(iso(at)) for at, _, _ in nights],
        runs=[row.name for _, _, row in nights],
        took=[((row.finished or 0) - row.created) / 1000 for _, _, row in nights],
        outputs=[
            SeriesView(name, [measured.get(key, {}).get(name) for _, key, _ in nights])
            for name in sorted(names)
        ],
        complete=len(measured) == len(nights),
    )


async def _due(reader: Reader, job: str, since: int) -> dict[str, int]:
    """When the runs that a schedule started were due; it may be a year before they began."""
    found: dict[str, int] = {}
    for row in await reader.schedules():
        if row.job == job:
            first = since - 366 * 86_400_000
            for fire in await reader.fires(row.name, first, clock.now_ms()):
                found[fire.run] = fire.at
    return found
