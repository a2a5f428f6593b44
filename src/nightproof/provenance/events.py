"""The events of one kind in a run's history."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from nightproof.journal.protocol import Reader
from nightproof.model.states import Kind

_PAGE = 2000


async def events(
    reader: Reader, run_id: int, kind: str
) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    """``(milliseconds since the epoch, event)``, oldest first, read in pages."""
    after = -1
    while True:
        entries = await reader.entries(run_id, (Kind.EVENT,), after, _PAGE)
        for entry in entries:
            try:
                note = json.loads(entry.output or b"{}")
            except ValueError:
                continue
            if isinstance(note, dict) and note.get("kind") == kind:
                yield entry.at, note
        if len(entries) < _PAGE:
            return
        after = entries[-1].seq
