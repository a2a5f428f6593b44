"""``nightproof gc``: old runs and unreferenced blobs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

from nightproof import app
from nightproof.blobs.collect import collect
from nightproof.cli.deciding import writing
from nightproof.cli.session import Session, emit
from nightproof.errors import UsageError
from nightproof.journal.protocol import Journal
from nightproof.model import clock

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHOWN = 20


def age(text: str) -> int:
    """``30d`` in seconds. Raises UsageError."""
    found = re.fullmatch(r"(\d+)([smhdw])", text)
    if found is None:
        raise UsageError(f"--older-than {text} is no duration", "For example 30d, 12h or 2w.")
    return int(found[1]) * _SECONDS[found[2]]


def gc(session: Session, older_than: str, keep: int, job: str | None, dry_run: bool) -> int:
    """Remove what is old, or say what would go."""
    before = clock.now_ms() - age(older_than) * 1000
    blobs = app.open_blobs(session.settings())

    async def act(journal: Journal) -> tuple[list[str], int, int, int]:
        found = await journal.retain(before, keep, job, dry_run)
        if dry_run:
            return list(found.names), 0, 0, 0
        loop = asyncio.get_running_loop()

        def referenced(digests: Iterable[str]) -> set[str]:
            asked = asyncio.run_coroutine_threadsafe(journal.referenced(digests), loop)
            return asked.result()

        removed = await asyncio.to_thread(collect, blobs, referenced)
        return list(found.names), found.entries, removed.count, removed.bytes

    names, entries, count, size = writing(session, act)
    if session.json:
        emit(
            {
                "runs": names,
                "entries": entries,
                "blobs": {"count": count, "bytes": size},
                "dryRun": dry_run,
            }
        )
        return 0
    for name in names[:_SHOWN]:
        print(f"{'would remove' if dry_run else 'removed'}  {name}")
    if len(names) > _SHOWN:
        print(f"… and {len(names) - _SHOWN} more")
    if dry_run:
        print(f"{len(names)} runs would go; nothing was removed")
    else:
        print(f"{len(names)} runs with {entries} entries, {count} blobs ({size:,} bytes) removed")
    return 0
