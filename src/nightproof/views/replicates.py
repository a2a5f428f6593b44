"""What is known of replicates without comparing runs, which takes too long for a page of many.

That is what ``nightproof canary`` recorded of them, and whether a result is another than
that of the run which is repeated.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunFilter, RunRow
from nightproof.model import clock
from nightproof.model.states import Kind, RunStatus
from nightproof.views.drift import normalise_names
from nightproof.views.values import Time, iso

ENDED = (RunStatus.COMPLETED, RunStatus.FAILED)
_SETTLED_MS = 3_600_000
"""A replicate that was not compared for so long after its end will not be."""
_LAST = 20
"""The outcome is among the last so many events of a replicate."""


@dataclass(frozen=True, slots=True)
class ReplicateView:
    """A replicate, and whether it came out as the run that it repeats (`of`)."""

    run: str
    of: str
    job: str
    at: Time | None
    equal: bool
    note: str


class Replicates:
    """What is known of them, each read once for each time that it ended."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int | None], ReplicateView | None] = {}

    async def among(self, reader: Reader, rows: Sequence[RunRow]) -> list[ReplicateView]:
        """The outcomes of the replicates among some runs, in their order."""
        found = []
        for row in rows:
            if row.replicate == 0 or row.parent is not None or row.status not in ENDED:
                continue
            one = await self._of(reader, row)
            if one is not None:
                found.append(one)
        return found

    async def of(self, reader: Reader, job: str, since: int, limit: int) -> list[ReplicateView]:
        """The outcomes of a job's replicates since a time (ms), the newest first.

        They are looked for among the newest `limit` ended runs of the job.
        """
        want = RunFilter(job=job, status=ENDED, since=since, limit=limit, brief=True)
        return await self.among(reader, await reader.runs(want))

    async def _of(self, reader: Reader, row: RunRow) -> ReplicateView | None:
        key = row.name, row.finished
        if key in self._known:
            return self._known[key]
        told = await _told(reader, row)
        found = told or await _differing(reader, row)
        if told is not None or clock.now_ms() - (row.finished or 0) > _SETTLED_MS:
            self._known[key] = found
        return found


async def _told(reader: Reader, row: RunRow) -> ReplicateView | None:
    """What the canary recorded."""
    found: ReplicateView | None = None
    for entry in await reader.entries(row.id, (Kind.EVENT,), limit=_LAST, newest=True):
        if entry.output and b'"canary"' in entry.output:
            told = json.loads(entry.output)
            if told.get("kind") == "canary":
                of, note = str(told.get("with", "")), str(told.get("message", ""))
                at, equal = iso(entry.at), bool(told["equal"])
                found = ReplicateView(row.name, of, row.job, at, equal, note)
    return found


async def _differing(reader: Reader, brief: RunRow) -> ReplicateView | None:
    """A replicate with another result than the run; None says that nothing is known.

    Results that are equal prove nothing of the steps before, and where a job normalises, a
    difference proves nothing either.
    """
    row = await reader.run(brief.id)
    want = RunFilter(job=row.job, digest=row.digest, own=True, status=ENDED, limit=1)
    for of in await reader.runs(want):
        if of.code != row.code or await normalise_names(reader, of):
            return None
        same = (of.status, of.result, of.result_blob) == (row.status, row.result, row.result_blob)
        if same or of.status != RunStatus.COMPLETED:
            return None
        note = f"replicate of {of.name}: its result is another"
        if row.status != of.status:
            note = f"replicate of {of.name}: it failed, the run did not"
        return ReplicateView(row.name, of.name, row.job, iso(row.finished), False, note)
    return None
