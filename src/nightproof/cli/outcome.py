"""How an attempt ended: as one JSON document, and as a few lines for people."""

from __future__ import annotations

import json
from typing import Any

from nightproof.cli.session import debugging
from nightproof.cli.targets import place
from nightproof.engines.attempt import Outcome
from nightproof.errors import AlreadyRunning, Interrupted, NightproofError, RunParked, StepFailed
from nightproof.model.states import RunStatus

RESULT_SHOWN = 600


def document(outcome: Outcome) -> dict[str, Any]:
    """The document of ``run --json``."""
    result = None
    if outcome.status is RunStatus.COMPLETED and outcome.result:
        result = json.loads(outcome.result)
    return {
        "run": outcome.name,
        "job": outcome.job,
        "status": str(outcome.status),
        "result": result,
        "steps": {
            "executed": outcome.executed,
            "replayed": outcome.replayed,
            "failed": outcome.failed,
        },
        "artifacts": outcome.artifacts,
        "divergences": outcome.divergences,
        "error": None if outcome.error is None else failure(outcome.error),
    }


def refused(
    error: BaseException, run: str | None = None, job: str | None = None, status: str = "failed"
) -> dict[str, Any]:
    """The same document where there was no attempt: bad input, or another owner."""
    return {
        "run": run,
        "job": job,
        "status": "running" if isinstance(error, AlreadyRunning) else status,
        "result": None,
        "steps": {"executed": 0, "replayed": 0, "failed": 0},
        "artifacts": [],
        "divergences": [],
        "error": failure(error),
    }


def failure(error: BaseException) -> dict[str, Any]:
    """An error as JSON: type, message, hint, and for a step its name and attempts."""
    found: dict[str, Any] = {
        "type": getattr(error, "shown_type", type(error).__name__),
        "message": message_of(error),
        "hint": getattr(error, "hint", ""),
    }
    if isinstance(error, StepFailed):
        found |= {"step": error.step, "attempts": error.attempts}
    from nightproof.contract.secrets import hidden  # where something failed only

    shown: dict[str, Any] = hidden(found)
    return shown


def message_of(error: BaseException) -> str:
    """What happened, in words; where it happened for exceptions of user code."""
    if isinstance(error, NightproofError):
        where = place(error.__cause__.__traceback__) if error.__cause__ is not None else ""
        if isinstance(error, StepFailed) and where:
            return f"{error.message} ({where.rstrip(': ')})"
        return error.message
    text = " ".join(str(error).split())
    where = place(error.__traceback__).rstrip(": ")
    told = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{told} ({where})" if where else told


def exit_code(error: BaseException | None) -> int:
    """0 done, 1 failed, 2 bad input, 75 parked or interrupted."""
    if error is None:
        return 0
    return error.exit_code if isinstance(error, NightproofError) else 1


def lines(outcome: Outcome, again: str) -> list[str]:
    """The end of a run for people; `again` is the command that ran it."""
    told = [_headline(outcome)]
    if outcome.error is not None:
        told += _trouble(outcome.error)
    elif outcome.result and outcome.result != b"null":
        text = outcome.result.decode("utf-8", "replace")
        shown = text if len(text) <= RESULT_SHOWN else text[: RESULT_SHOWN - 1] + "…"
        told.append(f"  result    {shown}")
    told += [f"  artifact  {found['path']}" for found in outcome.artifacts]
    told += [f"  differs   {found['message']}" for found in outcome.divergences[:10]]
    if len(outcome.divergences) > 10:
        told.append(f"  differs   … and {len(outcome.divergences) - 10} more: --json shows them")
    for what in outcome.code_changed:
        if outcome.from_record:
            told.append(f"  changed   the code of {what}, since this result was recorded")
        else:
            told.append(f"  changed   the code of {what}; matching results were used all the same")
    if outcome.code_changed and outcome.status is RunStatus.COMPLETED:
        told.append(f"  afresh    {again} --replicate")
    if outcome.status is RunStatus.FAILED:
        told.append(f"  next      nightproof steps {outcome.name} --failed")
        told.append(f"            nightproof resume {outcome.name}   tries what failed once more")
    return told


def _headline(outcome: Outcome) -> str:
    if outcome.from_record:
        return f"{outcome.name}  completed before: this is the recorded result, nothing was run"
    status = str(outcome.status)
    if isinstance(outcome.error, Interrupted):
        status = "interrupted"
    told = f"{outcome.executed} executed, {outcome.replayed} replayed"
    if outcome.failed:
        told += f", {outcome.failed} failed"
    return f"{outcome.name}  {status}  ({told})"


def _trouble(error: BaseException) -> list[str]:
    word = "waits    " if isinstance(error, RunParked | Interrupted) else "error    "
    first, *rest = message_of(error).splitlines() or [""]
    told = [f"  {word} {first}", *(f"            {line}" for line in rest)]
    if isinstance(error, StepFailed):
        told += [
            f"            {one['at']}  {one['type']}  ({one['triage']})"
            for one in error.attempts[-5:]
        ]
    hint = getattr(error, "hint", "")
    told += [f"            {line}" for line in hint.splitlines()]
    if not isinstance(error, NightproofError) and not debugging():
        told.append("            --debug shows the traceback")
    from nightproof.views.legible import legible  # where something failed only

    return [legible(line) for line in told]
