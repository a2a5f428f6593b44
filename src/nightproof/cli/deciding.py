"""What people tell runs: cancel, resolve, signal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nightproof import app
from nightproof.cli.recording import audited, dashed
from nightproof.cli.session import Session, emit
from nightproof.cli.table import out
from nightproof.errors import NotFound, UsageError
from nightproof.journal.protocol import Journal
from nightproof.journal.records import EffectRow, RunFilter, RunRow
from nightproof.model.states import RunStatus
from nightproof.views import open_run
from nightproof.views.actions import signals, why_not_resolve
from nightproof.views.trying import UNDECIDED
from nightproof.views.values import typed

T = TypeVar("T")


def writing(session: Session, act: Callable[[Journal], Awaitable[T]]) -> T:
    """The result of `act` on the journal, opened for writing; it must exist."""

    async def do() -> T:
        settings = session.settings()
        app.require_journal(settings)
        journal = app.open_journal(settings)
        try:
            return await act(journal)
        finally:
            await journal.close()

    return asyncio.run(do())


def cancel(session: Session, name: str) -> int:
    """``nightproof cancel RUN``."""

    async def act(journal: Journal) -> tuple[str, bool, str]:
        try:
            row = await open_run(journal, name)
            if row.status not in (RunStatus.RUNNING, RunStatus.PARKED):
                raise NotFound(f"run {row.name} is {row.status}; there is nothing to cancel")
        except NotFound:
            if await _cancel_unbegun(journal, session, name):
                return name, False, "Temporal"
            raise
        owner = row.owner.label if row.owner else "its process"
        async with audited(journal, "cancel", row.name, "cancel", *dashed(row.name)) as told:
            done = await _cancel(journal, row, session)
            told.append("cancelled" if done else f"asked {owner} to cancel")
        return row.name, done, owner

    run, done, owner = writing(session, act)
    status = "cancelled" if done else "running"
    if session.json:
        emit({"run": run, "status": status, "requested": True})
    elif done:
        out(f"{run}  cancelled")
    elif owner == "Temporal":
        out(f"{run}  asked Temporal to cancel: the first worker that takes it up ends it")
    else:
        out(f"{run}  asked {owner} to cancel: `nightproof watch {run}`")
    return 0


async def _cancel_unbegun(journal: Journal, session: Session, name: str) -> bool:
    """Whether the engine is Temporal, and has a run of that name that no worker has begun."""
    settings = session.settings()
    if settings.engine != "temporal":
        return False
    from nightproof.cli import poking  # for such runs only

    async with audited(journal, "cancel", name, "cancel", *dashed(name)) as told:
        found = await poking.cancel_unbegun(settings, name)
        told.append("asked Temporal to cancel" if found else "Temporal has no such run")
    return found


async def _cancel(journal: Journal, row: RunRow, session: Session) -> bool:
    """Cancel a run and its children; whether it is cancelled already."""
    done = await journal.request_cancel(row.id)
    told = await _tell(journal, row, session, cancel=True)
    if not done and told.owner is None:  # Temporal had lost it
        done = await journal.request_cancel(row.id)
    for child in await journal.runs(RunFilter(parent=row.id, limit=-1)):
        if child.status in (RunStatus.RUNNING, RunStatus.PARKED):
            await _cancel(journal, child, session)
    return done


async def _tell(journal: Journal, row: RunRow, session: Session, cancel: bool = False) -> RunRow:
    """Poke the workflow of a run that Temporal has; the row as it is then."""
    if row.owner is None or not row.owner.is_workflow:
        return row
    from nightproof.cli import poking  # for such runs only

    return await poking.tell(journal, session.settings(), row, cancel)


def resolve(
    session: Session, name: str, effect: str, result: str | None, happened: bool, retry: bool
) -> int:
    """``nightproof resolve RUN EFFECT --happened [RESULT|-] | --retry``."""
    if happened == retry:
        raise UsageError(
            "resolve needs one decision", "--happened [RESULT] if it happened, --retry if not."
        )
    if result is not None and not happened:
        raise UsageError("a RESULT goes with --happened", "What is tried again makes its own.")
    output = _json(result, "RESULT") if result is not None else b"null" if happened else None
    given = output if result is not None else None

    async def act(journal: Journal) -> tuple[RunRow, EffectRow]:
        row = await open_run(journal, name)
        found = _wanted(row, effect, await journal.effects(row.id))
        if why := why_not_resolve(row, found):
            raise NotFound(f"effect '{found.key}' is not decided: {why}", _later(row, found))
        decision = "--happened" if happened else "--retry"
        words = ["resolve", decision, *dashed(row.name, found.key), *_read(given)]
        async with audited(journal, "resolve", row.name, *words, given=given) as told:
            decided = await journal.resolve(found.key, happened, output)
            told.append(f"{found.key} {_says(happened)}")
            return await _tell(journal, row, session), decided

    row, found = writing(session, act)
    decision = "confirmed" if happened else "clear"
    if session.json:
        emit({"run": row.name, "effect": found.name, "key": found.key, "state": decision})
        return 0
    next_ = "watch" if row.owner is not None and row.owner.is_workflow else "resume"
    out(f"effect '{found.name}' [{found.key}] {_says(happened)}: `nightproof {next_} {row.name}`")
    return 0


def _later(row: RunRow, effect: EffectRow) -> str:
    if effect.state not in UNDECIDED:
        return f"`nightproof show {row.name}` lists the effects of the run."
    return (
        f"`nightproof watch {row.name}` shows what comes of it. If its process is gone, `nightproof "
        f"resume {row.name}` takes the run over, and asks again where that is needed."
    )


def _says(happened: bool) -> str:
    return "is taken as done" if happened else "will be tried again"


def _wanted(row: RunRow, effect: str, ledger: list[EffectRow]) -> EffectRow:
    for found in ledger:
        if found.key == effect:
            return found
    named = [found for found in ledger if found.name == effect]
    named = [found for found in named if found.state in UNDECIDED] or named
    if len(named) == 1:
        return named[0]
    known = ", ".join(f"'{found.key}'" for found in (named or ledger)[:8]) or "none"
    raise NotFound(
        f"run {row.name} has no single effect '{effect}'", f"Give its key. Its effects: {known}."
    )


def signal(session: Session, name: str, what: str, payload: str) -> int:
    """``nightproof signal RUN NAME [JSON|-]``."""
    data = _json(payload, "the payload")
    given = data if data != b"null" else None

    async def act(journal: Journal) -> RunRow:
        row = await open_run(journal, name)
        if row.status in (RunStatus.COMPLETED, RunStatus.CANCELLED):
            raise NotFound(f"run {row.name} is {row.status} and takes no signals")
        words = ["signal", *dashed(row.name, what), *_read(given)]
        async with audited(journal, "signal", row.name, *words, given=given) as told:
            await journal.send(row.id, what, data)
            told.append(f"'{what}' sent")
            return await _tell(journal, row, session)

    row = writing(session, act)
    known = {one.name: one.expects for one in signals(row)}
    if session.json:
        found = known.get(what) or None
        emit({"run": row.name, "signal": what, "status": str(row.status), "expects": found})
        return 0
    if row.status is RunStatus.RUNNING or (row.owner is not None and row.owner.is_workflow):
        out(f"{row.name}  signal '{what}' sent")
    else:
        out(f"{row.name}  signal '{what}' is kept: `nightproof resume {row.name}` takes it")
    if known.get(what):
        out(f"the run expects: {known[what]}; what does not fit is put aside, and it waits on")
    elif known and what not in known:
        out(f"the run does not wait for '{what}' now: it waits for {', '.join(known)}")
    return 0


def _read(given: bytes | None) -> list[str]:
    """How the trail has a command that was `given` something: it keeps only the digest of that."""
    return ["-"] if given is not None else []


def _json(text: str, what: str) -> bytes:
    """JSON that was typed, or is on the standard input where ``-`` was."""
    try:
        return typed(sys.stdin.buffer.read().decode() if text == "-" else text)
    except ValueError as error:
        raise UsageError(
            f"{what} is not JSON: {error}", "Text needs quotes inside the shell's: '\"text\"'."
        ) from None
