"""What a shell completes: names of runs."""

from __future__ import annotations

import asyncio

from nightproof import app, config
from nightproof.errors import NightproofError
from nightproof.journal.records import RunFilter


def run_names(store: str | None, incomplete: str) -> list[str]:
    """The newest runs whose names begin so; nothing where there is no journal."""
    try:
        reader = app.open_reader(config.load(store=store))
        found = asyncio.run(reader.runs(RunFilter(limit=200)))
    except NightproofError:
        return []
    return [row.name for row in found if row.name.startswith(incomplete)]
