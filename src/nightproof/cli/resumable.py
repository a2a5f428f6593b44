"""Which runs can go on."""

from __future__ import annotations

import json

from nightproof.cli.session import note
from nightproof.errors import NotFound
from nightproof.journal.lease import Possession, possession
from nightproof.journal.protocol import Journal
from nightproof.journal.records import RunFilter, RunRow, was_distant
from nightproof.model import clock
from nightproof.model.states import RunStatus
from nightproof.serving.recovery import recoverable
from nightproof.views import open_run


def level(row: RunRow) -> str:
    """The level of isolation at which a run was begun."""
    return str(json.loads(row.options or b"{}").get("isolate") or "L0")


async def is_distant(journal: Journal, row: RunRow) -> bool:
    """Whether the last attempt at a run was on Temporal."""
    if row.owner is not None:
        return row.owner.is_workflow
    return was_distant(await journal.attempts(row.id))


async def all_due(journal: Journal, lease_ms: int) -> list[RunRow]:
    """Every run that can go on now and that no live process works on."""
    due, cancelled = await recoverable(journal, lease_ms)
    for row in cancelled:
        note(f"{row.name}  cancelled, as was asked for")
    return due


async def find(journal: Journal, name: str | None, lease_ms: int) -> RunRow:
    """The run of that name, or else the only one that can go on. Raises NotFound."""
    if name is not None:
        return await open_run(journal, name)
    now = clock.now_ms()
    states = (RunStatus.RUNNING, RunStatus.PARKED, RunStatus.FAILED)
    found = [
        row
        for row in await journal.runs(RunFilter(status=states, limit=100))
        if row.parent is None and possession(row, now, lease_ms) is not Possession.LIVE
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound("there is nothing to resume", "`nightproof runs` lists the runs.")
    names = ", ".join(row.name for row in found[:6])
    raise NotFound(f"several runs can go on: {names}", "Name one of them, or give --all.")
