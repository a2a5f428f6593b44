"""What a workflow has written down by its activities: pending entries, signals, pauses."""

from __future__ import annotations

from typing import Any

from nightproof.blobs.claims import spills
from nightproof.engines.temporal.messages import PauseAsk, TakeAsk
from nightproof.engines.temporal.parts import Head
from nightproof.engines.temporal.worker_run import WorkerRun
from nightproof.journal.records import Pause, TakeSignal
from nightproof.model import clock


async def write(run: WorkerRun, head: Head) -> None:
    """Hand in the entries that the workflow has made; an activity tried again writes them once."""
    ledger = run.ledger
    for item in head["pending"]:
        if "signal" in item:
            ledger.lane.writes.append(TakeSignal(item["signal"]))
        if not item["kind"]:
            continue
        output = None if item["output"] is None else item["output"].encode()
        inputs = item.get("inputs")
        blob = None
        if output is not None and spills(output):
            blob, output = await ledger.spill(output), None
        entry = ledger.entry(
            item["kind"], bytes.fromhex(item["fp"]), output, blob,
            None if inputs is None else inputs.encode(),
        )  # fmt: skip
        ledger.lane.later(entry)


async def take(run: WorkerRun, ask: TakeAsk) -> dict[str, Any]:
    """The first signal of that name that the workflow does not have yet; empty for none."""
    ledger = run.ledger
    found = await ledger.outcome(bytes.fromhex(ask["fp"]))
    if found is not None:
        data = found.output if found.blob is None else await ledger.read_blob(found.blob)
        return {"id": 0, "payload": (data or b"").decode()}
    for signal in await ledger.journal.signals(run.row.id):
        if signal.name == ask["name"] and signal.id not in ask["but"]:
            return {"id": signal.id, "payload": signal.payload.decode()}
    return {}


async def pause(run: WorkerRun, ask: PauseAsk) -> dict[str, Any]:
    """Show in the run row what it waits for, or that it goes on."""
    wake = ask["wake"]
    until = None if wake is None else int(wake * 1000)
    await run.ledger.lane.put(Pause(clock.now_ms(), ask["waiting"], until))
    return {}
