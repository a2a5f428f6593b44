"""One run at a glance, whatever its size: what a page shows before anybody asks for more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nightproof.errors import NotFound
from nightproof.journal.listing import EffectFilter
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunFilter, RunRow, was_distant
from nightproof.model.awaited import Awaited
from nightproof.model.states import Kind, RunStatus
from nightproof.views.actions import signals
from nightproof.views.course import ATTEMPTS, MARKS, Course, Events, drawn, events_of, present
from nightproof.views.effects import EffectView, effect_view
from nightproof.views.notes import ErrorView, error_of
from nightproof.views.runs import AttemptView, RunView, Standing, advice, attempt, view, word
from nightproof.views.steps import ItemView, item_view, later, learn, name_of
from nightproof.views.trying import UNDECIDED, due, undecided
from nightproof.views.values import Json, Time, iso, parsed, real
from nightproof.views.watch import DecisionView

FAILURES = 5
EFFECTS = 30
CHILDREN = 50
ARTIFACTS = 12
TOLD = 50
"""So many decisions, changes and divergences are shown, the newest."""
NoteKind = Literal[
    "code-changed", "environment-changed", "result-lost", "damaged", "witness-failed", "divergence"
]
_CHANGES = ("code-changed", "environment-changed", "result-lost", "damaged", "witness-failed")


@dataclass(frozen=True, slots=True)
class NoteView:
    """Something that an attempt noticed: code or environment that changed, a result that is lost."""

    at: Time | None
    kind: NoteKind
    text: str


@dataclass(frozen=True, slots=True)
class DeliveredView:
    """A delivered file; `seq` is where the delivery is on record."""

    seq: int
    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Overview:
    """A run at a glance. Lists are cut; where there may be more, `more` names them.

    `status` is the word for people; `next` a command, "" where there is nothing to do;
    `awaits` the signal that it is parked for. `same` are the other runs of its contract.
    """

    run: RunView
    status: Standing
    next: str
    awaits: str
    due: bool
    """It is parked, and the time or the signal that it waited for has come."""
    expects: str
    """What that signal is to bring; "" where it is not known, or anything will do."""
    misfit: str
    """Why what came last for it was put aside; "" where nothing was."""
    engine: Literal["embedded", "temporal"]
    contract: Json
    result: Json
    result_blob: str | None
    error: ErrorView | None
    course: Course
    attempts: list[AttemptView]
    failures: list[ItemView]
    effects: list[EffectView]
    children: list[RunView]
    parent: str | None
    same: list[RunView]
    artifacts: list[DeliveredView]
    measures: dict[str, float]
    decisions: list[DecisionView]
    changes: list[NoteView]
    divergences: list[NoteView]
    signals: list[str]
    more: list[str]


async def overview(reader: Reader, row: RunRow) -> Overview:
    """A run at a glance; one scan of its history, everything else in pages."""
    attempts = await reader.attempts(row.id)
    recent = attempts[-ATTEMPTS:]
    spans = await reader.spans(row.id, [one.started for one in recent])
    there = present(spans)
    events = await events_of(reader, row.id, there.get(Kind.EVENT, 0))
    shown = view(row)
    more = ["attempts"] if len(attempts) > len(recent) else []
    doubtful = await reader.ledger(EffectFilter(run=row.id, states=UNDECIDED, limit=EFFECTS))
    acts = await reader.ledger(EffectFilter(run=row.id, limit=MARKS))
    effects = list({one.key: one for one in [*doubtful, *acts]}.values())[:EFFECTS]
    children = await reader.runs(RunFilter(parent=row.id, limit=CHILDREN + 1, brief=True))
    files, many = await _files(reader, row) if Kind.ARTIFACT in there else ([], 0)
    told = _Told(events)
    open_now = signals(row) if row.status is RunStatus.PARKED and not due(row) else []
    signal = open_now[0] if open_now else Awaited("")
    for name, known, limit in (
        ("effects", acts, EFFECTS + 1), ("children", children, CHILDREN + 1),
        ("artifacts", [None] * many, ARTIFACTS + 1),
    ):  # fmt: skip
        more += [name] if len(known) >= limit else []
    return Overview(
        run=shown,
        status=word(shown),
        next=advice(row, shown, [one.key for one in doubtful if undecided(one, row)]),
        awaits=signal.name,
        due=due(row),
        expects=signal.expects,
        misfit=signal.misfit,
        engine="temporal" if was_distant(attempts) else "embedded",
        contract=parsed(row.contract),
        result=parsed(row.result),
        result_blob=row.result_blob,
        error=error_of(parsed(row.error)),
        course=await drawn(reader, row, recent, spans, events, acts),
        attempts=[attempt(one, row) for one in recent],
        failures=await _failures(reader, row, there),
        effects=[effect_view(one, row) for one in effects],
        children=[view(one) for one in children[:CHILDREN]],
        parent=await _parent(reader, row),
        same=await _same(reader, row),
        artifacts=files,
        measures=told.measures,
        decisions=told.decisions[-TOLD:],
        changes=told.changes[-TOLD:],
        divergences=told.divergences[-TOLD:],
        signals=[one.name for one in (await reader.signals(row.id))[:TOLD]],
        more=more,
    )


class _Told:
    """What the events say that people look for first."""

    def __init__(self, events: Events) -> None:
        self.measures: dict[str, float] = {}
        self.decisions: list[DecisionView] = []
        self.changes: list[NoteView] = []
        self.divergences: list[NoteView] = []
        for entry in events.entries:
            told = parsed(entry.output)
            if not isinstance(told, dict):
                continue
            kind, at = told.get("kind"), iso(entry.at)
            message = str(told.get("message", ""))
            if kind == "measure":
                self.measures[str(told.get("name"))] = real(told.get("value"))
            elif kind == "decision":
                self.decisions.append(DecisionView(at, message, str(told.get("because", ""))))
            elif kind == "divergence":
                self.divergences.append(NoteView(at, kind, message))
            elif kind in _CHANGES:
                text = message or f"the code of {told.get('what')} has changed"
                self.changes.append(NoteView(at, kind, text))


async def _failures(reader: Reader, row: RunRow, there: dict[int, int]) -> list[ItemView]:
    """The last failures that no later attempt has forgotten."""
    if Kind.FAILURE not in there:
        return []
    again = Kind.REOPENED in there
    _, reopened = await later(reader, row.id) if again else (None, -1)
    entries = await reader.entries(row.id, (Kind.FAILURE,), reopened, FAILURES, newest=True)
    names: dict[int, str] = {}
    await learn(reader, names, entries)
    return [item_view(one, name_of(one, names), set(), reopened) for one in reversed(entries)]


async def _files(reader: Reader, row: RunRow) -> tuple[list[DeliveredView], int]:
    entries = await reader.entries(row.id, (Kind.ARTIFACT,), limit=ARTIFACTS + 1, newest=True)
    found = {}
    for entry in entries:
        told = parsed(entry.output)
        if isinstance(told, dict):
            name = str(told.get("name") or told.get("path"))
            digest, size = str(told.get("sha256", "")), int(told.get("size") or 0)
            found[name] = DeliveredView(entry.seq, name, digest, size)
    return list(found.values())[-ARTIFACTS:], len(entries)


async def _parent(reader: Reader, row: RunRow) -> str | None:
    if row.parent is None:
        return None
    try:
        return (await reader.run(row.parent)).name
    except NotFound:
        return None


async def _same(reader: Reader, row: RunRow) -> list[RunView]:
    """The other runs of the same contract: the original and its replicates."""
    want = RunFilter(job=row.job, digest=row.digest, limit=CHILDREN, brief=True)
    return [view(one) for one in await reader.runs(want) if one.id != row.id]
