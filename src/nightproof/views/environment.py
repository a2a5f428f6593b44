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
from nightproof.views.values import parsed

_PAGE = 500


async def environment(reader: Reader, blobs: Blobs, row: RunRow) -> Snapshot:
    """The snapshot of the run's last attempt that has one.

    Raises NotFound where there is none on record, BlobError where its items are gone.
    """
    found: dict[str, Any] | None = None
    after = -1
    while entries := await reader.entries(row.id, (Kind.EVENT,), after, _PAGE):
        notes = (parsed(entry.output) for entry in entries)
        for note in notes:
            if isinstance(note, dict) and note.get("kind") == "snapshot":
                found = note
        after = entries[-1].seq
    if found is None:
        raise NotFound(
            f"run {row.name} has no environment on record",
            "Its attempts ended before it could be looked at, or an older nightproof made them.",
        )
    return read(await asyncio.to_thread(blobs.get, str(found["items"])))
