"""Which runs are worth comparing with which."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from nightproof.blobs.protocol import Blobs
from nightproof.errors import BlobError, NotFound, StoreError, UsageError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunFilter, RunRow, run_name
from nightproof.model.states import Kind, RunStatus
from nightproof.views.runs import RunView, open_run, view
from nightproof.views.values import Time, iso, parsed, whole

ENDED = (RunStatus.COMPLETED, RunStatus.FAILED)
REPLICATE, BEFORE, ORIGINAL = "replicate", "before", "original"
"""Words for a run relative to another: its newest replicate, the night before, what it repeats."""
_SHOWN = 25
_LOOKED_AT = 400
_LAST = 100
"""What experiments found is among the last so many events of a run."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What a run can be compared with: `same` are runs of its contract, `nights` earlier ones."""

    same: list[RunView]
    nights: list[RunView]


@dataclass(frozen=True, slots=True)
class PairView:
    """A replicate (`b`) and the run that it repeats (`a`)."""

    job: str
    a: str
    b: str
    at: Time | None
    status: RunStatus


async def beside(reader: Reader, row: RunRow) -> Beside:
    """The ended runs that a run can be compared with, newest first."""
    want = RunFilter(job=row.job, status=ENDED, limit=_SHOWN, brief=True)
    same = await reader.runs(want._replace(digest=row.digest, limit=_SHOWN + 1))
    nights = await reader.runs(want._replace(own=True, before=row.id))
    return Beside(
        [view(one) for one in same if one.id != row.id][:_SHOWN],
        [view(one) for one in nights if one.digest != row.digest],
    )


async def newest_pairs(reader: Reader, limit: int = _SHOWN) -> list[PairView]:
    """The newest ended replicates, of any job."""
    rows = await reader.runs(RunFilter(status=ENDED, limit=_LOOKED_AT, brief=True))
    found = [row for row in rows if row.replicate and row.parent is None][:limit]
    return [
        PairView(row.job, run_name(row.job, row.digest), row.name, iso(row.finished), row.status)
        for row in found
    ]


async def last_nights(reader: Reader, job: str) -> tuple[str, str]:
    """The last but one and the last ended run of a job's own. Raises NotFound without two."""
    want = RunFilter(job=job, status=ENDED, own=True, limit=2, brief=True)
    found = await reader.runs(want)
    if len(found) < 2:
        raise NotFound(f"job '{job}' has not two runs that have ended", "Choose two runs.")
    return found[1].name, found[0].name


async def other(reader: Reader, row: RunRow, word: str) -> RunRow:
    """The run that `word` means beside `row`; anything but a known word is a name.

    Raises NotFound where there is none.
    """
    want = RunFilter(job=row.job, status=ENDED, limit=_SHOWN, brief=True)
    if word == REPLICATE:
        found = await reader.runs(want._replace(digest=row.digest))
        found = [one for one in found if one.replicate and one.id != row.id]
        missing = f"there is no ended replicate of {row.name}"
        hint = f"nightproof reproduce {row.name} --times 1"
    elif word == BEFORE:
        found = await reader.runs(want._replace(own=True, before=row.id, limit=1))
        missing = f"no run of job '{row.job}' has ended before {row.name}"
        hint = "Choose another run."
    elif word == ORIGINAL:
        return await open_run(reader, run_name(row.job, row.digest))
    else:
        return await open_run(reader, word)
    if not found:
        raise NotFound(missing, hint)
    return await reader.run(found[0].id)


async def comparable(reader: Reader, a: str, b: str) -> tuple[RunRow, RunRow]:
    """The two runs to compare; `b` may be a word.

    Raises NotFound where one is not there, UsageError where both are the same.
    """
    one = await open_run(reader, whole(a))
    two = await other(reader, one, whole(b))
    if one.id == two.id:
        raise UsageError(f"{one.name} is compared with itself", "Choose another run beside it.")
    return one, two


@dataclass(frozen=True, slots=True)
class Explained:
    """What experiments found of two runs: the document of ``explain --json``, and when."""

    at: Time | None
    document: dict[str, Any]


async def explained(reader: Reader, blobs: Blobs, a: RunRow, b: RunRow) -> Explained | None:
    """The newest explanation that is kept with `b` of its difference from `a`."""
    told = [
        (entry.at, note)
        for entry in await reader.entries(b.id, (Kind.EVENT,), limit=_LAST, newest=True)
        if entry.output and b'"explained"' in entry.output
        and isinstance(note := parsed(entry.output), dict)
        and note.get("kind") == "explained" and note.get("with") == a.name
    ]  # fmt: skip
    for at, note in reversed(told):
        try:
            found = json.loads(await asyncio.to_thread(blobs.get, str(note["blob"])))
        except (BlobError, StoreError, ValueError, KeyError):
            continue
        if isinstance(found, dict):
            return Explained(iso(at), found)
    return None
