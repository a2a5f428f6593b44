"""The environment that a run was last worked on in."""

from __future__ import annotations

import asyncio
from typing import Any

from nightproof.blobs.protocol import Blobs
from nightproof.errors import NotFound
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.model.states import Kind
from nightproof.provenance.snapshot import Snapshot, read
from nightproof.provenance.snapshot.workers import Workers
from nightproof.views.values import parsed

_PAGE = 500


async def environment(reader: Reader, blobs: Blobs, row: RunRow) -> Snapshot:
    """The snapshot of the run's last attempt that has one; of several workers the last.

    Raises NotFound where there is none on record, BlobError where its items are gone.
    """
    found = (await _workers(reader, row)).last
    assert found is not None
    return read(await asyncio.to_thread(blobs.get, str(found["items"])))


async def workers(reader: Reader, row: RunRow) -> dict[str, dict[str, Any]]:
    """The digests of the environment of each worker of the last attempt; empty for one process.

    Raises NotFound as :func:`environment` does.
    """
    return (await _workers(reader, row)).several


async def _workers(reader: Reader, row: RunRow) -> Workers:
    found = Workers()
    after = -1
    while entries := await reader.entries(row.id, (Kind.EVENT,), after, _PAGE):
        notes = (parsed(entry.output) for entry in entries)
        for note in notes:
            if isinstance(note, dict) and note.get("kind") == "snapshot":
                found.add(note)
        after = entries[-1].seq
    if found.last is None:
        raise NotFound(
            f"run {row.name} has no environment on record",
            "Its attempts ended before it could be looked at, or an older nightproof made them.",
        )
    return found
