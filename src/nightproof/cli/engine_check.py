"""``nightproof doctor``: is the Temporal server there, and does anybody work on the task queue."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from nightproof import app
from nightproof.cli import poking
from nightproof.config import Settings
from nightproof.errors import NightproofError, NotFound
from nightproof.journal.records import RunFilter, RunRow
from nightproof.model.states import RunStatus

_RUNS = 200
"""So many runs are looked for at Temporal."""


class Found(NamedTuple):
    """One line, as doctor's own: `state` is "ok", "look" or "problem"."""

    what: str
    state: str
    text: str


def wanted(settings: Settings, url: str | None) -> bool:
    """Whether the engine is to be examined: it was asked for, or somebody has set it."""
    set_here = settings.temporal != Settings().temporal
    return url is not None or settings.engine == "temporal" or set_here


def examine(settings: Settings) -> list[Found]:
    """What is to be said of the engine's URL, its server and its workers."""
    try:
        app.require_temporal()
        return asyncio.run(_examine(settings))
    except NightproofError as error:
        hint = " ".join(error.hint.split())
        return [Found("engine", "problem", f"{error.message}. {hint}".rstrip())]


async def _examine(settings: Settings) -> list[Found]:
    from nightproof.engines.temporal import control
    from nightproof.engines.temporal.connection import connect

    connection = await connect(settings, app.open_blobs(settings))
    address = connection.address
    encrypted = "encrypted" if settings.temporal_key else "not encrypted"
    found = [Found("engine", "ok", f"{address} answers; what it is given is {encrypted}")]
    if not connection.attributes:
        text = "the namespace has no search attributes of ours yet: `nightproof worker` adds them"
        found.append(Found("engine", "ok", text))
    workers = await connection.pollers()
    if workers:
        found.append(Found("workers", "ok", f"{len(workers)} on '{address.task_queue}'"))
    else:
        text = f"nobody works on task queue '{address.task_queue}': nightproof worker TARGET"
        found.append(Found("workers", "look", text))
    lost = [
        row.name
        for row in await _distant(settings)
        if not await control.lives(connection, row.name)
    ]
    for name in lost[:10]:
        text = f"Temporal has no workflow of {name}: nightproof resume {name}"
        found.append(Found("lost", "look", text))
    return found


async def _distant(settings: Settings) -> list[RunRow]:
    """The runs that the journal believes Temporal to have."""
    try:
        reader = app.open_reader(settings)
        states = (RunStatus.RUNNING, RunStatus.PARKED)
        rows = await reader.runs(RunFilter(status=states, limit=_RUNS))
    except NotFound:
        return []
    return [row for row in rows if poking.is_there(row)]
