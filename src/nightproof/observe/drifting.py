"""Jobs whose canaries come out differently again and again."""

from __future__ import annotations

import json

from nightproof.journal.records import RunFilter, RunRow
from nightproof.model.states import Kind, RunStatus
from nightproof.observe.incident import Finding
from nightproof.observe.scene import Scene

REPEATED = 2
"""So many of the newest WINDOW compared replicates differ."""
WINDOW = 5
_LOOKED_AT = 300
_ENDED = (RunStatus.COMPLETED, RunStatus.FAILED)
_SETTLED_MS = 3_600_000
"""A replicate that was not compared for so long after its end will not be."""


async def drifting(scene: Scene) -> list[Finding]:
    """Jobs with several canaries that differ; over when the newest one is equal again."""
    rows = await scene.reader.runs(RunFilter(status=_ENDED, limit=_LOOKED_AT))
    verdicts: dict[str, list[tuple[RunRow, bool]]] = {}
    for row in sorted(rows, key=lambda one: one.finished or 0, reverse=True):
        known = verdicts.setdefault(row.job, [])
        if row.replicate == 0 or row.parent is not None or len(known) == WINDOW:
            continue
        equal = await _equal(scene, row)
        if equal is not None:
            known.append((row, equal))
    lasting = {known.job for known in scene.lasting("drift")}
    found = []
    for job, known in verdicts.items():
        differing = sum(not equal for _, equal in known)
        newest_differs = bool(known) and not known[0][1]
        if newest_differs and (differing >= REPEATED or job in lasting):
            note = (
                f"{differing} of the last {len(known)} canaries differ from the run that they "
                f"repeat, last {known[0][0].name}"
            )
            found.append(Finding(f"drift:{job}", "drift", job, known[0][0].name, note))
    return found


async def _equal(scene: Scene, row: RunRow) -> bool | None:
    """What the canary found of a replicate; None where it was not compared."""
    known = scene.memory.canaries
    if row.id in known:
        return known[row.id]
    found: bool | None = None
    for entry in await scene.reader.entries(row.id, (Kind.EVENT,)):
        if entry.output and b'"canary"' in entry.output:
            told = json.loads(entry.output)
            found = bool(told["equal"]) if told.get("kind") == "canary" else found
    if found is not None or scene.now - (row.finished or 0) > _SETTLED_MS:
        known[row.id] = found
    return found
