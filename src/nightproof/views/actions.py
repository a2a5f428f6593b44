"""What a person can have done to a run now, and why not the rest."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nightproof.errors import NotFound
from nightproof.journal.listing import EffectFilter
from nightproof.journal.protocol import Reader
from nightproof.journal.records import EffectRow, RunRow
from nightproof.model.awaited import Awaited
from nightproof.model.awaited import awaited as awaited_in
from nightproof.model.states import RunStatus
from nightproof.views.trying import UNDECIDED, alive, due, tried

Act = Literal["resume", "cancel", "replicate", "resolve", "signal"]
_OPEN = (RunStatus.RUNNING, RunStatus.PARKED)


@dataclass(frozen=True, slots=True)
class ActionView:
    """Something that can be done to a run; `query` says what to ask its page for."""

    act: Act
    label: str
    query: dict[str, str] = field(default_factory=dict)


def actions(row: RunRow) -> list[ActionView]:
    """What can be done to the run itself now, the most likely first."""
    names = [] if why_not("signal", row) else awaited(row)
    asking = [ActionView("signal", f"Send {name}", _of(row, name=name)) for name in names]
    labels: tuple[tuple[Act, str], ...] = (
        ("resume", "Resume"), ("cancel", "Cancel"), ("replicate", "Replicate"),
    )  # fmt: skip
    found = [ActionView(act, label, _of(row)) for act, label in labels if not why_not(act, row)]
    return [*found, *asking] if due(row) else [*asking, *found]


def _of(row: RunRow, **more: str) -> dict[str, str]:
    return {"run": row.name, **more}


def signals(row: RunRow) -> list[Awaited]:
    """The signals that a run waits for, each with what it is to bring where that is known."""
    return awaited_in(row.waiting) if row.status in _OPEN else []


def awaited(row: RunRow) -> list[str]:
    """The names of the signals that a run waits for."""
    return [one.name for one in signals(row)]


def why_not(act: Act, row: RunRow) -> str:
    """Why this makes no sense for the run now; "" where it does."""
    status = row.status
    if act == "cancel":
        return "" if status in _OPEN else f"the run is {status}; there is nothing to cancel"
    if act == "signal":
        over = status in (RunStatus.COMPLETED, RunStatus.CANCELLED)
        return f"the run is {status} and takes no signals" if over else ""
    if row.parent is not None:
        return (
            "it is part of another run, which goes on with it"
            if act == "resume"
            else ("it is part of another run: replicate that one")
        )
    if not row.target:
        return "the run does not say where its job is"
    if act == "resume":
        if status is RunStatus.COMPLETED:
            return "the run is completed; there is nothing to go on with"
        if alive(row):
            return "a process is at work on the run"
    return ""


def why_not_resolve(row: RunRow, effect: EffectRow) -> str:
    """Why nobody decides about this effect of the run now; "" where a person may."""
    if effect.state not in UNDECIDED:
        return f"the effect is {effect.state}; there is nothing to decide"
    return "the run is at work on it now" if tried(effect, row) else ""


async def undecided(reader: Reader, row: RunRow) -> list[str]:
    """The keys of some effects of a run of which nobody knows whether they happened."""
    want = EffectFilter(run=row.id, states=UNDECIDED, limit=4)
    return [one.key for one in await reader.ledger(want)]


async def effect_of(reader: Reader, row: RunRow, key: str) -> EffectRow:
    """The effect of a run with this whole key. Raises NotFound."""
    one = await reader.effect(key)
    if one is not None and one.run == row.id:
        return one
    raise NotFound(f"run {row.name} has no effect '{key}'", "Its page lists its effects.")


async def targets(reader: Reader) -> dict[str, str]:
    """Of each schedule that was ever served, by name: where its job is."""
    return {one.name: one.target for one in await reader.schedules()}


def isolation(row: RunRow) -> str:
    """The level of isolation at which the run was begun."""
    return str(_kept(row).get("isolate") or "L0")


def folder(row: RunRow) -> str | None:
    """Where a replicate has to start: relative datasets lie there; None where that is no matter."""
    found = _kept(row).get("folder") if b'"file:' in row.contract else None
    return found if isinstance(found, str) and Path(found).is_dir() else None


def _kept(row: RunRow) -> dict[str, Any]:
    return dict(json.loads(row.options or b"{}"))
