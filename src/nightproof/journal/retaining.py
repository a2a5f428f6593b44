"""Which finished runs grow old."""

from __future__ import annotations

from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunFilter, RunRow
from nightproof.model.states import RunStatus

_DONE = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)


async def old(reader: Reader, finished_before: int, keep: int, job: str | None) -> list[RunRow]:
    """The runs to remove: all but the newest `keep` of each job, that finished before a time (ms)."""
    kept: dict[str, int] = {}
    found = []
    for run in await reader.runs(RunFilter(job=job, status=_DONE, limit=-1, brief=True)):
        kept[run.job] = kept.get(run.job, 0) + 1
        if kept[run.job] > keep and (run.finished or 0) < finished_before:
            found.append(run)
    return found
