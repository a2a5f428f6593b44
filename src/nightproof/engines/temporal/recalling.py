"""Outcomes on record that are too long for the index, many in one activity."""

from __future__ import annotations

import base64
import json
from typing import cast

from nightproof.engines.temporal.messages import RecallAnswer, RecallAsk, StepAnswer
from nightproof.engines.temporal.parts import Failure
from nightproof.engines.temporal.worker_run import WorkerRun, as_recorded
from nightproof.journal.records import Entry
from nightproof.model.states import Kind


async def recall(run: WorkerRun, ask: RecallAsk) -> RecallAnswer:
    """What is there whole; what is lost or damaged is left out, and its step runs again."""
    entries = await run.ledger.journal.outputs(run.row.id, ask["seqs"])
    found = []
    for seq, entry in entries.items():
        answer = await _answer(run, entry)
        if answer is not None:
            found.append((seq, answer))
    return {"found": found}


async def _answer(run: WorkerRun, entry: Entry) -> StepAnswer | None:
    data = await run.ledger.whole(as_recorded(entry))
    if data is None:
        return None
    if entry.kind == Kind.FAILURE:
        return {"failed": cast("Failure", json.loads(data))}
    form = entry.output if entry.blob is not None else None
    if form:
        return {"raw64": base64.b64encode(data).decode(), "form": form.decode()}
    return {"ok": data.decode()}
