"""Long lists of runs, page by page, and how many are open."""

from __future__ import annotations

from dataclasses import dataclass

from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunFilter, RunRow
from nightproof.model.states import RunStatus
from nightproof.views.runs import RunView, view, word

OPEN = (RunStatus.RUNNING, RunStatus.PARKED)
STATUSES = ("running", "interrupted", "parked", "completed", "failed", "cancelled")
"""What a list may be narrowed to."""


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some runs, the newest first; `next` is the `before` of the filter for more, None at the end."""

    runs: list[RunView]
    next: int | None


@dataclass(frozen=True, slots=True)
class OpenCounts:
    """How many runs are not at their end, child runs and replicates too."""

    running: int
    interrupted: int
    parked: int


async def listed(reader: Reader, want: RunFilter, standing: str = "") -> RunPage:
    """A page of `want.limit` runs, without their contracts and results.

    `standing` ("running" or "interrupted") keeps of the running ones those whose process may
    live, or those that it has left; it stands for a status in `want`.
    """
    more = want._replace(brief=True)
    if standing:
        more = more._replace(status=(RunStatus.RUNNING,), limit=-1)
    elif want.limit >= 0:
        more = more._replace(limit=want.limit + 1)
    found = [(row, view(row)) for row in await reader.runs(more)]
    if standing:
        found = [(row, shown) for row, shown in found if word(shown) == standing]
    kept = found if want.limit < 0 else found[: want.limit]
    last = kept[-1][0].id if len(found) > len(kept) and kept else None
    return RunPage([shown for _, shown in kept], last)


async def open_rows(reader: Reader) -> list[RunRow]:
    """The runs that are not at their end, without their contracts."""
    return await reader.runs(RunFilter(status=OPEN, limit=-1, brief=True))


def counts(rows: list[RunRow]) -> OpenCounts:
    """How many of some open runs are in which state."""
    words = [word(view(row)) for row in rows]
    return OpenCounts(*(words.count(one) for one in ("running", "interrupted", "parked")))


async def job_names(reader: Reader, limit: int = 500) -> list[str]:
    """The jobs that have runs of their own, those with the newest first, by name."""
    newest = sorted(await reader.jobs(), key=lambda one: one.latest, reverse=True)
    return sorted(one.job for one in newest[:limit])
