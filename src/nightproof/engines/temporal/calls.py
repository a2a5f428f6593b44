"""One step, effect or expiring value: run it unless it is on record, and answer with the record."""

from __future__ import annotations

import base64
import json
from typing import Any, cast

from nightproof.durable.effect import Effect
from nightproof.durable.step import Routine, Step
from nightproof.engines.attempt.effects import Act
from nightproof.engines.temporal.messages import StepAnswer, StepAsk
from nightproof.engines.temporal.parts import Failure
from nightproof.engines.temporal.worker_run import WorkerRun, as_recorded
from nightproof.errors import CodecError, MisuseError, StepFailed
from nightproof.journal.records import Entry
from nightproof.model.fingerprint import fingerprint, repeated
from nightproof.model.states import Kind


class Call:
    """A call as it arrived: decoded, encoded again, and compared with its fingerprint."""

    def __init__(self, run: WorkerRun, routine: Routine[..., Any], ask: StepAsk) -> None:
        arguments = routine.arguments
        parts = [part.encode() for part in ask["args"]]
        if len(parts) != len(arguments.names):
            raise _other_code(routine, f"{len(parts)} arguments arrived", ask["fp"])
        self.values = arguments.values(parts, run.host.made)
        self.args, self.kwargs = arguments.call(self.values)
        self.parts = arguments.parts(self.values)
        if run.mints.by_value and ask["op"] != "mint":
            self.parts = run.mints.substitute(arguments, self.values, self.parts)
        prefix = routine.prefix if ask["op"] != "effect" else b"\0effect" + routine.prefix
        self.fp = repeated(fingerprint(prefix, self.parts), ask["occurrence"])
        verify(routine, self.fp, ask["fp"])


def verify(routine: Routine[..., Any], found: bytes, wanted: str) -> None:
    """Raise MisuseError where the arguments that arrived are not those that were sent."""
    if found.hex() != wanted:
        raise _other_code(routine, f"what arrived has the fingerprint {found.hex()}", wanted)


def _other_code(routine: Routine[..., Any], what: str, wanted: str) -> MisuseError:
    return MisuseError(
        f"{routine.where} was asked for with the fingerprint {wanted}, but {what}: this worker's "
        "code of it, or of a type that it takes, is not what the job's body ran with",
        "Run the same code on all workers, then resume the run. If it is the same, an argument "
        "does not survive being encoded: decode(encode(value)) has to encode alike.",
    )


async def step(run: WorkerRun, routine: Step[..., Any], ask: StepAsk) -> StepAnswer:
    """Run a step."""
    call = Call(run, routine, ask)
    found = await usable(run, routine, call.fp)
    if found is not None:
        return {**await answered(run, routine, found), "executed": False}
    label = ask.get("label", "")
    run.nested()
    try:
        value = await run.steps.execute(routine, call.args, call.kwargs, call.parts, call.fp, label)
    except StepFailed as failure:
        return await _outcome(run, routine, call.fp, failed=failure)
    return await _outcome(run, routine, call.fp, value=value)


async def effect(run: WorkerRun, routine: Effect[..., Any], ask: StepAsk) -> StepAnswer:
    """Perform an effect, as far as the ledger allows it."""
    call = Call(run, routine, ask)
    found = await run.ledger.outcome(call.fp)
    if found is not None:
        run.ledger.know(routine)
        return {**await answered(run, routine, found), "executed": False}
    await run.ledger.written()  # what came before the act is on disk before the act
    key = routine.key_of(call.values)
    act = Act(run, routine, call.args, call.kwargs, call.parts, call.fp, key)
    try:
        await act.settle()
    except StepFailed as failure:
        return await _outcome(run, routine, call.fp, failed=failure)
    return {**await _outcome(run, routine, call.fp), "executed": act.executed}


async def mint(run: WorkerRun, routine: Step[..., Any], ask: StepAsk) -> StepAnswer:
    """The current value of an expiring or secret step."""
    call = Call(run, routine, ask)
    counter = run.progress.of(routine.name)
    before = counter.executed
    try:
        value = await run.mints.call(routine, call.args, call.kwargs)
    except StepFailed as failure:
        return {"failed": _failure(failure), "executed": True}
    told = run.mints.of(call.fp)
    return {
        "ok": routine.result.encode(value).decode(),
        "executed": counter.executed > before,
        "told": {"mints": [told]},
    }


async def usable(run: WorkerRun, routine: Routine[..., Any], fp: bytes) -> Entry | None:
    """The outcome on record; None where there is none, or what it refers to is gone."""
    found = await run.ledger.outcome(fp)
    if found is None or await whole(run, routine, found):
        return found
    await run.ledger.forget(found)
    return None


async def whole(run: WorkerRun, routine: Routine[..., Any], found: Entry) -> bool:
    """Whether all of a recorded outcome is there; the log says of one that is not."""
    run.ledger.know(routine)
    if found.kind not in (Kind.RESULT, Kind.FAILURE):
        return False
    if found.kind == Kind.FAILURE:
        return True
    data = await run.ledger.whole(as_recorded(found))
    if data is None:
        return False
    if routine.result.has_refs and not run.ledger.refs_are_there(data):
        run.ledger.lost(as_recorded(found), "the blob behind its Ref is missing")
        return False
    try:
        form = found.output if found.blob is not None else None
        if form:
            routine.result.from_raw(data, form)
        else:
            routine.result.decode(data)
    except CodecError as error:
        run.ledger.lost(as_recorded(found), error.message)
        return False
    return True


async def _outcome(
    run: WorkerRun,
    routine: Routine[..., Any],
    fp: bytes,
    *,
    value: Any = None,
    failed: StepFailed | None = None,
) -> StepAnswer:
    """What the record says now: another try of the same activity may have been first."""
    found = await run.ledger.outcome(fp)
    if found is not None:
        return {**await answered(run, routine, found), "executed": True}
    if failed is not None:
        return {"failed": _failure(failed), "executed": True}
    # A pure step's result is not on disk yet, and nobody waits for that.
    pure = bool(getattr(routine, "pure", False))
    return {"ok": routine.result.encode(value).decode(), "executed": True, "pure": pure}


async def answered(run: WorkerRun, routine: Routine[..., Any], found: Entry) -> StepAnswer:
    """The answer that an outcome on record stands for."""
    output = found.output or b""
    if found.kind == Kind.FAILURE:
        return {"failed": cast("Failure", json.loads(output))}
    if found.blob is None:
        return {"ok": output.decode()}
    data = await run.ledger.read_blob(found.blob)
    if not output:
        return {"ok": data.decode()}
    if output == b"t":
        # Text is its own JSON after quoting, and travels better so.
        return {"ok": routine.result.encode(data.decode()).decode()}
    return {"raw64": base64.b64encode(data).decode(), "form": output.decode()}


def _failure(failure: StepFailed) -> Failure:
    return {"type": failure.type, "message": failure.reason, "attempts": list(failure.attempts)}
