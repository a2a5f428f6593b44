"""Runs: the list, and everything about one of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from shlex import quote
from typing import Any, Literal, cast, get_args

from nightproof.config import redacted
from nightproof.errors import NotFound
from nightproof.journal.protocol import Reader
from nightproof.journal.records import AttemptRow, RunFilter, RunRow, was_distant
from nightproof.model import clock
from nightproof.model.awaited import awaited
from nightproof.model.states import Kind, RunStatus
from nightproof.provenance.manifest.making import EVENT, manifest_of
from nightproof.provenance.snapshot.workers import Workers
from nightproof.views.effects import EffectView, effects
from nightproof.views.notes import (
    CodeChange,
    DeliveredFile,
    DivergenceNote,
    EnvironmentChange,
    ErrorView,
    ModelNote,
    PromptNote,
    SnapshotDigests,
    WitnessNote,
    change_of,
    digests_of,
    divergence_of,
    error_of,
    model_of,
    text_of,
)
from nightproof.views.steps import StepCount, counts
from nightproof.views.trying import alive, due
from nightproof.views.values import Json, Time, iso, parsed, real

_NAMED = 20

Standing = Literal["running", "parked", "completed", "failed", "cancelled", "interrupted"]
AttemptOutcome = Literal[
    "completed", "failed", "cancelled", "parked", "held", "interrupted", "refused",
    "store failed", "manifest failed", "lost by Temporal", "running", "died", "ended",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunView:
    """One run in a list.

    `status` is what is recorded; a run that is "running" with `alive` False was
    left by its process and goes on with the next resume. `took` is the time from
    its first start to its end, or until now, in seconds.
    """

    run: str
    job: str
    status: RunStatus
    alive: bool
    owner: str | None
    contract: str
    replicate: int
    created: Time | None
    updated: Time | None
    finished: Time | None
    took: float
    attempts: int
    waiting: str
    wake: Time | None
    target: str
    error: str


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One process's try; `outcome` is "died" where it left nothing behind."""

    n: int
    started: Time | None
    ended: Time | None
    outcome: AttemptOutcome
    process: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Everything that is known of one run, but for its single steps."""

    run: RunView
    engine: Literal["embedded", "temporal"]
    """What its last attempt was on: "embedded" or "temporal"."""
    contract: Json
    result: Json
    result_blob: str | None
    error: ErrorView | None
    steps: list[StepCount]
    effects: list[EffectView]
    artifacts: list[DeliveredFile]
    attempts: list[AttemptView]
    children: list[str]
    measures: dict[str, float | None]
    """The last value of each; null for what is no finite number."""
    divergences: list[DivergenceNote]
    code_changes: list[CodeChange]
    environment: SnapshotDigests | None
    """That of the last attempt."""
    workers: dict[str, SnapshotDigests]
    """The same of each worker, where several worked on the last attempt."""
    environment_changes: list[EnvironmentChange]
    models: list[ModelNote]
    """Who was asked and who answered."""
    prompts: list[PromptNote]
    witness: WitnessNote | None
    retries: int
    next: str
    """What to do now, as a command; "" where there is nothing to do."""


async def open_run(reader: Reader, name: str) -> RunRow:
    """The run with this name or unique beginning; NotFound says what to do."""
    found = await reader.find(name)
    if found is None:
        raise NotFound(
            f"there is no run '{name}' in {redacted(reader.url)}",
            "`nightproof runs` lists the runs; old ones are gone once `nightproof gc` removed them.",
        )
    return found


async def runs(reader: Reader, want: RunFilter) -> list[RunView]:
    """The runs that `want` asks for, newest first."""
    return [view(row) for row in await reader.runs(want)]


def view(row: RunRow) -> RunView:
    """A row as it is listed."""
    error = parsed(row.error)
    end = row.finished if row.finished is not None else clock.now_ms()
    return RunView(
        run=row.name,
        job=row.job,
        status=row.status,
        alive=alive(row),
        owner=row.owner.label if row.owner is not None else None,
        contract=row.digest,
        replicate=row.replicate,
        created=iso(row.created),
        updated=iso(row.updated),
        finished=iso(row.finished),
        took=max(0, end - row.created) / 1000,
        attempts=row.attempts,
        waiting=row.waiting,
        wake=iso(row.wake),
        target=row.target,
        error=f"{error['type']}: {error['message']}" if isinstance(error, dict) else "",
    )


async def summary(reader: Reader, row: RunRow) -> RunSummary:
    """Everything about a run."""
    told = _Told()
    events = await reader.entries(row.id, (Kind.EVENT,))
    for entry in events:
        told.add(parsed(entry.output))
    delivered: dict[str, dict[str, Any]] = {}
    for entry in await reader.entries(row.id, (Kind.ARTIFACT,)):
        note = parsed(entry.output)
        if isinstance(note, dict):
            delivered[note["path"]] = note
    ledger = await effects(reader, row)
    attempts = await reader.attempts(row.id)
    last = told.snapshots.last
    shown = view(row)
    children = RunFilter(parent=row.id, limit=-1, brief=True)
    return RunSummary(
        run=shown,
        engine="temporal" if was_distant(attempts) else "embedded",
        contract=parsed(row.contract),
        result=parsed(row.result),
        result_blob=row.result_blob,
        error=error_of(parsed(row.error)),
        steps=await counts(reader, row, events),
        effects=ledger,
        artifacts=[_file(note, told.manifests, set(delivered)) for note in delivered.values()],
        attempts=[attempt(one, row) for one in attempts],
        children=[child.name for child in await reader.runs(children)],
        measures=told.measures,
        divergences=told.divergences,
        code_changes=told.changes,
        environment=None if last is None else digests_of(last),
        workers={name: digests_of(one) for name, one in told.snapshots.several.items()},
        environment_changes=told.environment_changes,
        models=[replace(one, count=count) for one, count in told.models.items()],
        prompts=list(told.prompts),
        witness=told.witness(),
        retries=told.retries,
        next=advice(row, shown, [one.key for one in ledger if one.undecided]),
    )


class _Told:
    """What the events of a run say."""

    def __init__(self) -> None:
        self.measures: dict[str, float | None] = {}
        self.divergences: list[DivergenceNote] = []
        self.changes: list[CodeChange] = []
        self.snapshots = Workers()
        self.environment_changes: list[EnvironmentChange] = []
        self.models: dict[ModelNote, int] = {}
        self.prompts: dict[PromptNote, None] = {}
        self.level: str | None = None
        self.undeclared: dict[str, None] = {}
        self.unnamed = 0
        self.retries = 0
        self.manifests: dict[str, Any] | None = None

    def add(self, event: Any) -> None:
        if not isinstance(event, dict):
            return
        kind = event.pop("kind", "")
        if kind == "measure":
            self.measures[str(event.get("name"))] = real(event.get("value"))
        elif kind == "divergence":
            self.divergences.append(divergence_of(event))
        elif kind == "code-changed":
            names = ("what", "before", "after")
            self.changes.append(CodeChange(*(str(event.get(name, "")) for name in names)))
        elif kind == "snapshot":
            self.snapshots.add(event)
            self.level = event.get("witness", self.level)
        elif kind == "witness":
            self.read(event)
        elif kind == "environment-changed":
            self.environment_changes.append(change_of(event))
        elif kind == "served":
            answer = model_of(event)
            self.models[answer] = self.models.get(answer, 0) + 1
        elif kind == "prompt":
            known = str(event.get("id")), str(event.get("sha256")), bool(event.get("locked"))
            self.prompts[PromptNote(*known)] = None
        elif kind == "retry":
            self.retries += 1
        elif kind == EVENT:
            self.manifests = event

    def read(self, event: dict[str, Any]) -> None:
        self.level = event.get("level")
        known = event.get("undeclared") or {"names": (), "count": 0}
        self.undeclared.update(dict.fromkeys(known["names"]))
        self.unnamed += known["count"] - len(known["names"])

    def witness(self) -> WitnessNote | None:
        if self.level is None:
            return None
        names = list(self.undeclared)
        level = cast("Literal['L0', 'L1', 'L2', 'L3']", self.level)
        return WitnessNote(level, len(names) + self.unnamed, names[:_NAMED])


def _file(note: dict[str, Any], manifests: dict[str, Any] | None, taken: set[str]) -> DeliveredFile:
    path, digest, size = str(note["path"]), str(note["sha256"]), note.get("size")
    return DeliveredFile(
        name=str(note.get("name") or path),
        path=path,
        sha256=digest,
        size=size if isinstance(size, int) else None,
        media_type=text_of(note, "mediaType"),
        blob=text_of(note, "blob"),
        manifest=manifest_of(path, digest, manifests, taken),
    )


def word(run: RunView) -> Standing:
    """The status for people: a run that its process left is not running."""
    left = run.status == "running" and not run.alive
    return "interrupted" if left else cast("Standing", str(run.status))


def attempt(one: AttemptRow, row: RunRow) -> AttemptView:
    """An attempt as it is listed."""
    outcome = one.outcome if one.outcome in get_args(AttemptOutcome) else "ended"
    if not one.outcome and one.ended is None:
        working = one.n == row.attempts and row.owner is not None and alive(row)
        outcome = "running" if working else "died"
    outcome = cast("AttemptOutcome", outcome)
    return AttemptView(one.n, iso(one.started), iso(one.ended), outcome, one.process.label)


def advice(row: RunRow, shown: RunView, undecided: list[str]) -> str:
    """What to do now, as a command; `undecided` are the keys of effects in doubt."""
    name = shell(row.name)
    live = shown.alive and row.status is not RunStatus.PARKED
    if undecided and (live or row.status is RunStatus.PARKED):  # Temporal works on beside it
        key = undecided[0]
        if row.name.startswith("-") or key.startswith("-"):
            return f"nightproof resolve --happened, or --retry, -- {quote(row.name)} {quote(key)}"
        return f"nightproof resolve {name} {_quoted(key)} --happened, or --retry"
    if live:
        return f"nightproof watch {name}"
    signals = awaited(row.waiting) if row.status is RunStatus.PARKED and not due(row) else []
    if len(signals) == 1 and row.waiting == str(signals[0]):
        return f"nightproof signal {name} {_quoted(signals[0].name)}"
    if shown.alive:  # parked on an engine that goes on by itself
        return f"nightproof watch {name}"
    if row.status is RunStatus.COMPLETED:
        return ""
    return f"nightproof resume {name}"


def shell(name: str) -> str:
    """A run's name as a word of a command line, whatever is in it."""
    return f"-- {quote(name)}" if name.startswith("-") else quote(name)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"
