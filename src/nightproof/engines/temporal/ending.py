"""The end of a run on Temporal: undo, what was never asked for, manifests, and the outcome."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nightproof.blobs.claims import spills
from nightproof.engines.attempt import closing
from nightproof.engines.attempt import ending as endings
from nightproof.engines.attempt.files import artifact_path
from nightproof.engines.attempt.state import Outcome
from nightproof.engines.temporal.delivering import as_note, placed
from nightproof.engines.temporal.messages import (
    ArtifactNote,
    EndAsk,
    OutcomeAnswer,
    Undo,
)
from nightproof.engines.temporal.worker_run import WorkerHost, WorkerRun, as_recorded
from nightproof.errors import MisuseError, NightproofError, RunFailed, StoreError
from nightproof.journal.records import RunRow
from nightproof.model import crash
from nightproof.model.states import Kind, RunStatus

if TYPE_CHECKING:
    from nightproof.observe.telemetry import Trace

_ENDED = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)
_UNASKED = (Kind.RESULT, Kind.EFFECT, Kind.CHILD)
_PAGE = 2000


async def end(live: WorkerRun, ask: EndAsk) -> dict[str, Any]:
    """Record how the run ended; called again for one that has ended, it says so once more."""
    row = await live.host.journal.find(live.row.name)
    if row is not None and row.owner is None and row.status in _ENDED:
        return cast("dict[str, Any]", await _again(live.host, row, ask))
    await live.surrounded()
    await live.ledger.written()
    run = await _prepared(live, ask)
    traced = await _traced(run, ask) if "opentelemetry.sdk.trace" in sys.modules else None
    answer: OutcomeAnswer | None = None
    try:
        answer = await _ended(run, ask)
    finally:
        if traced is not None:
            await traced.end(run.ledger.journal, None if answer is None else _Ended(answer))
        run.depart()
    return cast("dict[str, Any]", answer)


class _Ended:
    """The outcome as a span has it."""

    def __init__(self, answer: OutcomeAnswer) -> None:
        self.status = RunStatus(answer["status"])
        error = answer.get("error")
        told = "" if error is None else f"{error.get('type')}: {error.get('message')}"
        self.error = RunFailed(told) if error is not None else None


async def _traced(run: WorkerRun, ask: EndAsk) -> Trace | None:
    """The attempt's span, where somebody has configured OpenTelemetry in this worker."""
    from nightproof.observe import telemetry  # needs the SDK, which few jobs load

    tracer = telemetry.tracer()
    if tracer is None:
        return None
    attempts = await run.ledger.journal.attempts(run.row.id)
    started = next((one.started for one in attempts if one.n == run.row.attempts), None)
    return telemetry.Trace(run.row, ask["last_seq"], tracer, started)


async def _prepared(live: WorkerRun, ask: EndAsk) -> WorkerRun:
    """The run as its end needs it: with what the workflow knows of it."""
    run = WorkerRun(live.host, live.job, live.row, live.options)
    run.over = True
    run.resumed = ask["resumed"]
    run.divergences = list(ask["divergences"])
    run.ledger.changed = {what: (pair[0], pair[1]) for what, pair in ask["changed"].items()}
    run.nested()
    await run.ledger.load_codes()
    undone: set[bytes] = set()
    for entry in await run.ledger.journal.entries(run.row.id, (Kind.UNDONE, Kind.REOPENED)):
        undone = set() if entry.kind == Kind.REOPENED else undone | {entry.fp}
    run.ledger.undone = undone
    run.undoable = await _undoable(run, ask["undoable"])
    return run


async def _ended(run: WorkerRun, ask: EndAsk) -> OutcomeAnswer:
    if ask["status"] == "cancelled":
        await closing.finish(run, RunStatus.CANCELLED, "cancelled")
        return _counted(run, ask, RunStatus.CANCELLED)
    if ask["status"] == "released":
        await closing.finish(run, RunStatus.RUNNING, "refused")
        return _counted(run, ask, RunStatus.RUNNING)
    if ask["status"] == "failed":
        return await _failed(run, ask, ask.get("error") or {})
    if ask["resumed"]:
        if run.ledger.undone:
            return await _failed(run, ask, endings.stored(endings.half_undone(run)))
        await _compare(run, ask)
    notes = ask["artifacts"]
    if notes:
        try:
            notes = await _stamped(run, notes)
        except StoreError:
            raise
        except NightproofError as error:
            await closing.finish(run, RunStatus.RUNNING, "manifest failed")
            answer = _counted(run, ask, RunStatus.RUNNING)
            answer["refused"] = {
                "type": type(error).__name__, "message": error.message, "hint": error.hint,
            }  # fmt: skip
            return answer
    if crash.armed:
        crash.hit("complete:before", run.job.name)
    text = ask.get("result", "null")
    blob = None
    if spills(data := text.encode()):
        blob = await run.ledger.spill(data)
    await closing.finish(
        run, RunStatus.COMPLETED, "completed",
        result=None if blob else data, result_blob=blob, code=run.job.code,
    )  # fmt: skip
    if crash.armed:
        crash.hit("complete:after", run.job.name)
    answer = _counted(run, ask, RunStatus.COMPLETED)
    answer["artifacts"] = notes
    return {**answer, **({"result_blob": blob} if blob else {"result": text})}


async def _failed(run: WorkerRun, ask: EndAsk, stored: dict[str, Any]) -> OutcomeAnswer:
    problems = await endings.undo(run) if run.undoable else []
    if problems:
        stored = {**stored, "undo": problems}
    await closing.finish(
        run, RunStatus.FAILED, "failed", error=json.dumps(stored, ensure_ascii=False).encode()
    )
    answer = _counted(run, ask, RunStatus.FAILED)
    answer["error"] = stored
    return answer


async def _undoable(run: WorkerRun, asked: Iterable[Undo]) -> list[Any]:
    """The steps to undo, with their recorded results; those that are undone already left out."""
    asked = [item for item in asked if bytes.fromhex(item["fp"]) not in run.ledger.undone]
    found = await run.ledger.outcomes([bytes.fromhex(item["fp"]) for item in asked])
    undoable = []
    for item in asked:
        fp = bytes.fromhex(item["fp"])
        step = run.host.registry.step(run.job, item["module"], item["step"])
        if step is None or step.undo is None:
            raise MisuseError(
                f"step '{item['step']}' cannot be undone: this worker's code has no undo of it",
                "Run the same code on all workers, then resume the run.",
            )
        entry = found.get(fp)
        if entry is None or entry.kind != Kind.RESULT:
            continue
        arguments = step.arguments
        values = arguments.values([part.encode() for part in item["args"]], run.host.made)
        args, kwargs = arguments.call(values)
        data = await run.ledger.whole(as_recorded(entry))
        form = entry.output if entry.blob is not None else None
        if data is None:
            continue
        result = step.result.from_raw(data, form) if form else step.result.decode(data)
        undoable.append((step, args, kwargs, result, fp))
    return undoable


async def _compare(run: WorkerRun, ask: EndAsk) -> None:
    """Report recorded results that the body, being complete, never asked for."""
    if not ask["unasked"]:
        return
    ledger = run.ledger
    found = await ledger.journal.outputs(run.row.id, ask["unasked"])
    ledger.recorded = {entry.fp: as_recorded(entry) for entry in found.values()}
    after = ask["last_seq"]
    while entries := await ledger.journal.entries(run.row.id, _UNASKED, after, _PAGE):
        for entry in entries:
            if entry.inputs is not None:
                name = ledger.name_of(entry.code)
                run.executed_inputs.setdefault(name, []).append(entry.inputs)
        after = entries[-1].seq
    await endings.divergences(run)


async def _stamped(run: WorkerRun, notes: list[ArtifactNote]) -> list[ArtifactNote]:
    """Write the manifests here, and keep them where client and workers can reach them."""
    from nightproof.engines.attempt import stamping  # only for runs with artifacts

    # The worker that wrote a file may have another folder for them.
    root, name = run.host.artifacts_root, run.row.name
    notes = [{**note, "path": str(artifact_path(root, name, note["name"]))} for note in notes]
    run.artifacts = [
        {"path": note["path"], "sha256": note["sha256"], "manifest": None, "name": note["name"]}
        for note in notes
    ]
    for note in notes:
        await asyncio.to_thread(placed, run.host.blobs, Path(note["path"]), note)
    await stamping.stamp(run)
    done: list[ArtifactNote] = []
    for note, found in zip(notes, run.artifacts, strict=True):
        manifest = found["manifest"]
        if manifest is None:
            done.append(note)
            continue
        data = await asyncio.to_thread(Path(manifest).read_bytes)
        done.append({**note, "manifest": manifest, "manifest_blob": await run.ledger.spill(data)})
    return done


def _counted(run: WorkerRun, ask: EndAsk, status: RunStatus) -> OutcomeAnswer:
    return {
        "name": run.row.name,
        "job": run.row.job,
        "status": str(status),
        "executed": ask["executed"],
        "replayed": ask["replayed"],
        "failed": ask["failed"],
        "artifacts": ask["artifacts"],
        "divergences": run.divergences,
        "changed": run.ledger.changed,
        "from_record": False,
    }


async def _again(host: WorkerHost, row: RunRow, ask: EndAsk) -> OutcomeAnswer:
    """The answer of an end that is on record."""
    answer: OutcomeAnswer = {
        "name": row.name,
        "job": row.job,
        "status": str(row.status),
        "executed": ask["executed"],
        "replayed": ask["replayed"],
        "failed": ask["failed"],
        "artifacts": [note async for note in _delivered(host, row)],
        "divergences": ask["divergences"],
        "changed": ask["changed"],
        "from_record": False,
    }
    if row.status is RunStatus.FAILED:
        answer["error"] = json.loads(row.error or b"{}")
    elif row.result_blob is not None:
        answer["result_blob"] = row.result_blob
    elif row.result is not None:
        answer["result"] = row.result.decode()
    return answer


async def outcome_answer(host: WorkerHost, outcome: Outcome) -> OutcomeAnswer:
    """The outcome of a run that was complete before, as a message."""
    row = await host.journal.find(outcome.name)
    assert row is not None
    answer: OutcomeAnswer = {
        "name": outcome.name,
        "job": outcome.job,
        "status": str(outcome.status),
        "executed": 0,
        "replayed": outcome.replayed,
        "failed": 0,
        "artifacts": [note async for note in _delivered(host, row)],
        "divergences": [],
        "changed": outcome.code_changed,
        "from_record": True,
    }
    if outcome.result_blob is not None:
        answer["result_blob"] = outcome.result_blob
    else:
        answer["result"] = (outcome.result or b"null").decode()
    return answer


async def _delivered(host: WorkerHost, row: RunRow) -> Any:
    """The artifacts on record, each path as it is in the end."""
    from nightproof.engines.attempt import stamping  # only for runs with artifacts

    entries = await host.journal.entries(row.id, (Kind.ARTIFACT,))
    notes = {}
    for entry in entries:
        note = as_note(json.loads(entry.output or b"{}"))
        notes[note["path"]] = note
    if not notes:
        return
    found: list[dict[str, Any]] = [
        {"path": note["path"], "sha256": note["sha256"], "manifest": None}
        for note in notes.values()
    ]
    await stamping.placed(host.journal, row.id, found, entries[-1].seq)
    for note, one in zip(notes.values(), found, strict=True):
        note["manifest"] = one["manifest"]
        yield note
