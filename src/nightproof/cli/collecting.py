"""``nightproof gc``: old runs and unreferenced blobs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import NamedTuple

from nightproof import app
from nightproof.blobs.collect import collect
from nightproof.cli.deciding import writing
from nightproof.cli.session import Session, emit
from nightproof.errors import UsageError
from nightproof.journal.protocol import Journal
from nightproof.model import clock

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHOWN = 20


class Chosen(NamedTuple):
    """What goes: runs by age, but not the newest `keep` of a job; without `audit` no acts."""

    older_than: str
    keep: int
    job: str | None
    dry_run: bool
    audit: str | None = None


def age(text: str, option: str = "--older-than") -> int:
    """``30d`` in seconds. Raises UsageError."""
    found = re.fullmatch(r"(\d+)([smhdw])", text)
    if found is None:
        raise UsageError(f"{option} {text} is no duration", "For example 30d, 12h or 2w.")
    return int(found[1]) * _SECONDS[found[2]]


def gc(session: Session, chosen: Chosen) -> int:
    """Remove what is old, or say what would go."""
    dry_run = chosen.dry_run
    before = clock.now_ms() - age(chosen.older_than) * 1000
    earlier = _acts_before(chosen.audit)
    blobs = app.open_blobs(session.settings())

    async def act(journal: Journal) -> tuple[list[str], int, int, int, int]:
        acts = 0 if earlier is None else await journal.forget_audits(earlier, dry_run)
        found = await journal.retain(before, chosen.keep, chosen.job, dry_run)
        if dry_run:
            return list(found.names), 0, 0, 0, acts
        loop = asyncio.get_running_loop()

        def referenced(digests: Iterable[str]) -> set[str]:
            asked = asyncio.run_coroutine_threadsafe(journal.referenced(digests), loop)
            return asked.result()

        removed = await asyncio.to_thread(collect, blobs, referenced)
        return list(found.names), found.entries, removed.count, removed.bytes, acts

    names, entries, count, size, acts = writing(session, act)
    if session.json:
        emit(
            {
                "runs": names,
                "entries": entries,
                "blobs": {"count": count, "bytes": size},
                "acts": acts,
                "dryRun": dry_run,
            }
        )
        return 0
    for name in names[:_SHOWN]:
        print(f"{'would remove' if dry_run else 'removed'}  {name}")
    if len(names) > _SHOWN:
        print(f"… and {len(names) - _SHOWN} more")
    told = f", {acts} acts of the audit trail" if earlier is not None else ""
    if dry_run:
        print(f"{len(names)} runs{told} would go; nothing was removed")
    else:
        sizes = f"{count} blobs ({size:,} bytes)"
        print(f"{len(names)} runs with {entries} entries, {sizes}{told} removed")
    return 0


def _acts_before(text: str | None) -> int | None:
    return None if text is None else clock.now_ms() - age(text, "--audit-older-than") * 1000
