"""What happens when a body is over: undo after a failure, and what was never asked for."""

from __future__ import annotations

import inspect
import json
from typing import Any

from nightproof.durable.context import Scope, current
from nightproof.durable.step import Step
from nightproof.engines.attempt.ledger import brief
from nightproof.engines.attempt.state import Attempt
from nightproof.errors import RunFailed, StepFailed
from nightproof.journal.records import Recorded
from nightproof.model.states import Kind

REPORTED = 50
"""So many divergences are reported one by one; the rest as a number."""


def stored(error: BaseException) -> dict[str, Any]:
    """What is recorded of the error that ended a run."""
    kept: dict[str, Any] = {"type": type(error).__name__, "message": brief(error)}
    if isinstance(error, StepFailed):
        kept |= {
            "step": error.step,
            "attempts": error.attempts,
            "key": error.key,
            "reason": error.reason,
            "failed": error.type,
        }
    return kept


def child_failure(name: str, kept: dict[str, Any]) -> StepFailed | RunFailed:
    """The error by which a parent learns that its child failed, live and on replay."""
    if "step" in kept:
        return StepFailed(
            kept["step"], kept["failed"], kept["reason"], kept["attempts"], kept["key"]
        )
    return RunFailed(f"child run {name} failed: {kept['message']}", type=kept["type"])


def half_undone(run: Attempt) -> RunFailed:
    """The body came to its end this time, but some of its steps were undone before."""
    return RunFailed(
        f"run {run.row.name} had begun to undo its steps when its process died; the rest was "
        "undone now",
        "Resume it to do all of it again.",
    )


async def undo(run: Attempt) -> list[str]:
    """Undo the completed steps that say how, last first; returns what could not be undone.

    Each undoing is itself recorded, so that a crash in the middle goes on where it was.
    """
    problems = []
    run.halting = False
    while run.undoable:
        step, args, kwargs, result, fp = run.undoable.pop()
        try:
            await _undo(run, step, args, kwargs, result, fp)
        except Exception as error:
            problems.append(f"undo of step '{step.name}' failed: {brief(error)}")
            run.note("undo-failed", {"step": step.name, "message": problems[-1]})
            continue
        run.note("undone", {"step": step.name})
        await run.ledger.append(run.ledger.entry(Kind.UNDONE, fp))
    return problems


async def _undo(
    run: Attempt, step: Step[..., Any], args: Any, kwargs: Any, result: Any, fp: bytes
) -> None:
    undo_fn = step.undo
    assert undo_fn is not None
    wanted = inspect.signature(undo_fn).parameters
    names = list(step.arguments.parameters)
    named = dict(zip(names, step.arguments.bind(args, kwargs), strict=True))
    # As inside a step: an effect that undoes goes through the ledger like any other.
    token = current.set(Scope(run, f"undo of {step.name}", fp))
    try:
        if wanted and all(name in named or name == "result" for name in wanted):
            named["result"] = result
            value = undo_fn(**{name: named[name] for name in wanted})
        else:
            value = undo_fn(result) if wanted else undo_fn()
        if inspect.isawaitable(value):
            await value
    finally:
        current.reset(token)


async def divergences(run: Attempt) -> None:
    """Report recorded results that this attempt, being complete, never asked for."""
    unasked = await _outermost(run, list(run.ledger.unasked()))
    if not unasked:
        return
    asked: dict[str, list[list[Any]]] = {
        name: [_inputs(data) for data in inputs] for name, inputs in run.executed_inputs.items()
    }
    entries = await run.ledger.journal.outputs(
        run.row.id, [item.seq for item in unasked[:REPORTED]]
    )
    for item in unasked[:REPORTED]:
        entry = entries.get(item.seq)
        run.diverged(_describe(run, item, entry.inputs if entry else None, asked))
    if len(unasked) > REPORTED:
        more = len(unasked) - REPORTED
        run.diverged({"step": "", "message": f"{more} more recorded results were not asked for"})


async def _outermost(run: Attempt, unasked: list[Recorded]) -> list[Recorded]:
    """Without the effects that a step performed: its body did not run again."""
    effects = [item.seq for item in unasked if item.kind == Kind.EFFECT]
    if not effects:
        return unasked
    entries = await run.ledger.journal.outputs(run.row.id, effects)
    inner = {seq for seq, entry in entries.items() if (entry.inputs or b"")[:9] == b'{"within"'}
    return [item for item in unasked if item.seq not in inner]


def _describe(
    run: Attempt, item: Recorded, inputs: bytes | None, asked: dict[str, list[list[Any]]]
) -> dict[str, Any]:
    name = run.ledger.name_of(item.code)
    recorded = _inputs(inputs) if inputs else []
    found: dict[str, Any] = {
        "step": name,
        "recorded": recorded,
        "now": None,
        "arguments": [],
        "message": f"a recorded result of '{name}' was never asked for: its inputs were "
        f"{_shown(recorded)}, and no call of this attempt has them",
    }
    nearest = max(
        (other for other in asked.get(name, ()) if len(other) == len(recorded)),
        key=lambda other: _agreeing(recorded, other),
        default=None,
    )
    if nearest is not None:
        names = run.ledger.parameters(name)
        differing = [
            {"argument": names[at] if at < len(names) else str(at), "recorded": a, "now": b}
            for at, (a, b) in enumerate(zip(recorded, nearest, strict=True))
            if a != b
        ]
        found["now"] = nearest
        found["arguments"] = differing
        told = "; ".join(
            f"argument '{d['argument']}' was {_shown(d['recorded'])} and is now {_shown(d['now'])}"
            for d in differing
        )
        found["message"] = f"step '{name}' was asked for with other inputs than recorded: {told}"
    return found


def _agreeing(a: list[Any], b: list[Any]) -> int:
    return sum(x == y for x, y in zip(a, b, strict=True))


def _inputs(data: bytes) -> list[Any]:
    loaded = json.loads(data)
    return loaded["args"] if isinstance(loaded, dict) else loaded  # type: ignore[no-any-return]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else text[:157] + "..."
