"""Runs that do not come on: stalled, held for a decision, failed."""

from __future__ import annotations

from typing import Any

from nightproof.journal.records import RunFilter, RunRow
from nightproof.model.states import RunStatus
from nightproof.observe.incident import Finding, moment, span
from nightproof.observe.scene import RECENT_MS, Scene
from nightproof.views.trying import alive
from nightproof.views.values import parsed
from nightproof.views.watch import own, progress, stall_limit

_OPEN = (RunStatus.RUNNING, RunStatus.PARKED)
_ENOUGH = 100
_LONGEST = 300


async def stalled(scene: Scene) -> list[Finding]:
    """Runs without a checkpoint for longer than their limit, and runs nobody goes on with."""
    found = []
    for row in await scene.reader.runs(RunFilter(status=_OPEN, limit=-1)):
        if row.parent is not None:
            continue
        limit = stall_limit(row, scene.settings.stall)
        note = await (_parked if row.status is RunStatus.PARKED else _running)(scene, row, limit)
        if note:
            found.append(Finding(f"stalled:{row.name}", "stalled", row.job, row.name, note))
    return found


async def _running(scene: Scene, row: RunRow, limit: float) -> str:
    came_on = await progress(scene.reader, row)
    # A process that left in order has said so: the time counts from then.
    since = came_on.since if row.owner is not None else max(came_on.since, row.updated)
    silent = (scene.now - since) / 1000
    if silent < limit:
        return ""
    last = f"'{came_on.step}'" if came_on.step else "its start"
    owner = row.owner.label if row.owner is not None else ""
    if owner and alive(row):
        who = f"its process on {owner} lives"
    elif owner:
        who = f"its process on {owner} is gone, and nobody has resumed it"
    else:
        who = "its process has left, and nobody has resumed it"
    return (
        f"run {row.name} has had no checkpoint for {span(silent)} (the limit is {span(limit)}); "
        f"the last was {last} at {moment(came_on.since)}; {who}"
    )


async def _parked(scene: Scene, row: RunRow, limit: float) -> str:
    overdue = (scene.now - row.wake) / 1000 if row.wake is not None else 0.0
    if row.wake is None or overdue < limit:
        return ""
    return (
        f"run {row.name} is parked ({row.waiting}) and was to go on at {moment(row.wake)}, "
        f"{span(overdue)} ago; nobody has resumed it"
    )


async def held(scene: Scene) -> list[Finding]:
    """Runs that stopped because a person has to decide about an effect."""
    found = []
    for row in await scene.reader.runs(RunFilter(status=(RunStatus.PARKED,), limit=-1)):
        attempts = await scene.reader.attempts(row.id) if row.wake is None else []
        if attempts and attempts[-1].outcome == "held":
            note = f"run {row.name} stopped: {row.waiting}"
            found.append(Finding(f"held:{row.name}", "held", row.job, row.name, note))
    return found


async def failed(scene: Scene) -> list[Finding]:
    """Nights that failed; over when they have completed, or were cancelled or removed."""
    rows = await scene.reader.runs(RunFilter(status=(RunStatus.FAILED,), limit=_ENOUGH))
    since = scene.now - RECENT_MS
    found = {row.name: _failure(row) for row in rows if own(row) and (row.finished or 0) >= since}
    for known in scene.lasting("failed"):
        row = await scene.run(known.run) if known.run not in found else None
        if row is not None and row.status in (RunStatus.FAILED, *_OPEN):
            found[row.name] = Finding(known.key, "failed", row.job, row.name, known.note)
    return list(found.values())


def _failure(row: RunRow) -> Finding:
    error: Any = parsed(row.error)
    told = f"{error['type']}: {error['message']}" if isinstance(error, dict) else "no error"
    note = f"run {row.name} failed: {told[:_LONGEST]}"
    return Finding(f"failed:{row.name}", "failed", row.job, row.name, note)
