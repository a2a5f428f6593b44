"""Runs: the list, and everything about one of them."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote
from typing import Any, Literal

from nightproof.config import redacted
from nightproof.errors import NotFound
from nightproof.journal.lease import Possession, possession
from nightproof.journal.protocol import Reader
from nightproof.journal.records import AttemptRow, RunFilter, RunRow, was_distant
from nightproof.model import clock
from nightproof.model.awaited import awaited
from nightproof.model.states import Kind, RunStatus
from nightproof.provenance.manifest.making import EVENT, manifest_of
from nightproof.provenance.snapshot.workers import Workers
from nightproof.views.effects import EffectView, effects
from nightproof.views.steps import StepCount, counts
from nightproof.views.values import iso, parsed

_LEASE_MS = 30_000
_SERVED = ("provider", "requested", "reported", "fingerprint", "status")
_NAMED = 20
_PROMPTED = ("id", "sha256", "locked")


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
    created: str | None
    updated: str | None
    finished: str | None
    took: float
    attempts: int
    waiting: str
    wake: str | None
    target: str
    error: str


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One process's try; `outcome` is "died" where it left nothing behind."""

    n: int
    started: str | None
    ended: str | None
    outcome: str
    process: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Everything that is known of one run, but for its single steps."""

    run: RunView
    engine: Literal["embedded", "temporal"]
    """What its last attempt was on: "embedded" or "temporal"."""
    contract: Any
    result: Any
    result_blob: str | None
    error: dict[str, Any] | None
    steps: list[StepCount]
    effects: list[EffectView]
    artifacts: list[dict[str, Any]]
    attempts: list[AttemptView]
    children: list[str]
    measures: dict[str, float]
    divergences: list[dict[str, Any]]
    code_changes: list[dict[str, Any]]
    environment: dict[str, Any] | None
    """The digests of the last attempt's environment, and of the blob with its items."""
    workers: dict[str, dict[str, Any]]
    """The same of each worker, where several worked on the last attempt."""
    environment_changes: list[dict[str, Any]]
    models: list[dict[str, Any]]
    """Who was asked and who answered: requested, reported, status, provider and how often."""
    prompts: list[dict[str, Any]]
    """The prompt templates that were used: id, sha256 and whether the version is locked."""
    witness: dict[str, Any] | None
    """At what level reads were witnessed, how many nothing declares, and the first of them."""
    retries: int
    next: str
    """What to do now, as a command; "" where there is nothing to do."""


async def open_run(reader: Reader, name: str) -> RunRow:
    """The run with this name or unique beginning; NotFound says what to do."""
    found = await reader.find(name)
    if found is None:
        raise NotFound(
            f"there is no run '{name}' in {redacted(reader.url)}",
            "`nightproof runs` lists the runs.",
        )
    return found


async def runs(reader: Reader, want: RunFilter) -> list[RunView]:
    """The runs that `want` asks for, newest first."""
    return [view(row) for row in await reader.runs(want)]


def alive(row: RunRow) -> bool:
    """Whether a process may be working on the run."""
    known = possession(row, clock.now_ms(), _LEASE_MS)
    return known in (Possession.LIVE, Possession.DOUBTFUL)


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
    artifacts: dict[str, dict[str, Any]] = {}
    for entry in await reader.entries(row.id, (Kind.ARTIFACT,)):
        note = parsed(entry.output)
        if isinstance(note, dict):
            artifacts[note["path"]] = note
    for path, note in artifacts.items():
        note["manifest"] = manifest_of(path, note["sha256"], told.manifests, set(artifacts))
    ledger = await effects(reader, row, tried=word(view(row)) == "running")
    attempts = await reader.attempts(row.id)
    error = parsed(row.error)
    shown = view(row)
    children = RunFilter(parent=row.id, limit=-1, brief=True)
    return RunSummary(
        run=shown,
        engine="temporal" if was_distant(attempts) else "embedded",
        contract=parsed(row.contract),
        result=parsed(row.result),
        result_blob=row.result_blob,
        error=error if isinstance(error, dict) else None,
        steps=await counts(reader, row, events),
        effects=ledger,
        artifacts=list(artifacts.values()),
        attempts=[attempt(one, row) for one in attempts],
        children=[child.name for child in await reader.runs(children)],
        measures=told.measures,
        divergences=told.divergences,
        code_changes=told.changes,
        environment=told.snapshots.last,
        workers=told.snapshots.several,
        environment_changes=told.environment_changes,
        models=list(told.models.values()),
        prompts=list(told.prompts.values()),
        witness=told.witness(),
        retries=told.retries,
        next=advice(row, shown, [one.key for one in ledger if one.undecided]),
    )


class _Told:
    """What the events of a run say."""

    def __init__(self) -> None:
        self.measures: dict[str, float] = {}
        self.divergences: list[dict[str, Any]] = []
        self.changes: list[dict[str, Any]] = []
        self.snapshots = Workers()
        self.environment_changes: list[dict[str, Any]] = []
        self.models: dict[tuple[Any, ...], dict[str, Any]] = {}
        self.prompts: dict[tuple[Any, ...], dict[str, Any]] = {}
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
            self.measures[event["name"]] = event["value"]
        elif kind == "divergence":
            self.divergences.append(event)
        elif kind == "code-changed":
            self.changes.append(event)
        elif kind == "snapshot":
            self.snapshots.add(event)
            self.level = event.get("witness", self.level)
        elif kind == "witness":
            self.read(event)
        elif kind == "environment-changed":
            self.environment_changes.append(event)
        elif kind == "served":
            told = {name: event.get(name) for name in _SERVED}
            self.models.setdefault(tuple(told.values()), {**told, "count": 0})["count"] += 1
        elif kind == "prompt":
            told = {name: event.get(name) for name in _PROMPTED}
            self.prompts[tuple(told.values())] = told
        elif kind == "retry":
            self.retries += 1
        elif kind == EVENT:
            self.manifests = event

    def read(self, event: dict[str, Any]) -> None:
        self.level = event.get("level")
        known = event.get("undeclared") or {"names": (), "count": 0}
        self.undeclared.update(dict.fromkeys(known["names"]))
        self.unnamed += known["count"] - len(known["names"])

    def witness(self) -> dict[str, Any] | None:
        if self.level is None:
            return None
        names = list(self.undeclared)
        return {
            "level": self.level,
            "undeclared": len(names) + self.unnamed,
            "names": names[:_NAMED],
        }


def word(run: RunView) -> str:
    """The status for people: a run that its process left is not running."""
    return "interrupted" if run.status == "running" and not run.alive else run.status


def attempt(one: AttemptRow, row: RunRow) -> AttemptView:
    """An attempt as it is listed."""
    outcome = one.outcome
    if not outcome and one.ended is None:
        working = one.n == row.attempts and row.owner is not None and alive(row)
        outcome = "running" if working else "died"
    return AttemptView(one.n, iso(one.started), iso(one.ended), outcome, one.process.label)


def advice(row: RunRow, shown: RunView, undecided: list[str]) -> str:
    """What to do now, as a command; `undecided` are the keys of effects in doubt."""
    name = shell(row.name)
    if shown.alive and row.status is not RunStatus.PARKED:
        return f"nightproof watch {name}"
    if row.status is RunStatus.PARKED and undecided:
        key = undecided[0]
        if row.name.startswith("-") or key.startswith("-"):
            return f"nightproof resolve --happened, or --retry, -- {quote(row.name)} {quote(key)}"
        return f"nightproof resolve {name} {_quoted(key)} --happened, or --retry"
    signals = awaited(row.waiting) if row.status is RunStatus.PARKED else []
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
