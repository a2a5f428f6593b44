"""What a run has left behind: its result, its files and what it did to the world."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from nightproof import app, config
from nightproof.journal.protocol import Journal
from nightproof.journal.records import EffectRow, RunFilter
from nightproof.model.states import EffectState, Kind
from nightproof.testing.children import Ended, Place

EFFECT_KEYS = "effect keys"
HERE = "<case>"
"""Stands for a case's own folder, which is the only thing that may differ."""


@dataclass(frozen=True, slots=True)
class Act:
    """One real act of an effect."""

    effect: str
    policy: str
    idempotency_key: str
    digest: str
    output: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that two runs of one contract must agree on."""

    result: str
    """JSON with sorted keys."""
    artifacts: Mapping[str, str]
    """Name in the artifacts folder to sha256."""
    acts: Mapping[str, Sequence[Act]]
    """Effect key to its acts, oldest first."""
    states: Mapping[str, str] = field(default_factory=dict)
    """Effect key to its state in the ledger."""
    outside: Mapping[str, Any] = field(default_factory=dict)
    """What arrived at what the job acts on, counted there."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "result": json.loads(self.result),
            "artifacts": dict(self.artifacts),
            "effects": {key: len(acts) for key, acts in self.acts.items()},
            **({"outside": dict(self.outside)} if self.outside else {}),
        }


def acts_of(place: Place) -> dict[str, list[Act]]:
    """The acts that the case's processes performed, by effect key."""
    found: dict[str, list[Act]] = defaultdict(list)
    if place.ledger.exists():
        for text in place.ledger.read_text("utf-8").splitlines():
            line = json.loads(text)
            found[line["key"]].append(
                Act(
                    line["effect"], line["policy"], line["idempotencyKey"], line["digest"],
                    line["output"],
                )
            )  # fmt: skip
    return dict(found)


def collect(place: Place, ended: Ended) -> Evidence:
    """The evidence of a completed run."""
    artifacts, states = asyncio.run(_journalled(place))
    # Not RFC 8785: it has no integers beyond 2^53, and a null is not the same as nothing here.
    result = json.dumps(ended.answer.get("result"), sort_keys=True, ensure_ascii=False)
    result = _neutral(place, result.encode()).decode()
    return Evidence(result, artifacts, acts_of(place), states, place.world.counted())


def held(place: Place) -> list[EffectRow]:
    """The effects that wait for a person's decision."""
    return asyncio.run(_held(place))


def resolve(place: Place, key: str, acts: Sequence[Act]) -> str:
    """Decide about an effect as a person would who knows the truth; what was decided."""
    asyncio.run(_resolve(place, key, acts))
    return "--happened" if acts else "--retry"


def _open(place: Place) -> Journal:
    return app.open_journal(config.load(store=place.store))


async def _held(place: Place) -> list[EffectRow]:
    journal = _open(place)
    try:
        return [row for row in await journal.effects() if row.state is EffectState.FAILED]
    finally:
        await journal.close()


async def _resolve(place: Place, key: str, acts: Sequence[Act]) -> None:
    journal = _open(place)
    try:
        output = acts[-1].output if acts else None
        await journal.resolve(key, bool(acts), output.encode() if output is not None else None)
    finally:
        await journal.close()


async def _journalled(place: Place) -> tuple[dict[str, str], dict[str, str]]:
    journal = _open(place)
    try:
        artifacts = {}
        for run in await journal.runs(RunFilter(limit=-1)):
            for entry in await journal.entries(run.id, kinds=(Kind.ARTIFACT,)):
                note = json.loads(entry.output or b"{}")
                artifacts[f"{run.name}/{note['name']}"] = _file_digest(place, note)
        states = {row.key: str(row.state) for row in await journal.effects()}
        return artifacts, states
    finally:
        await journal.close()


def _file_digest(place: Place, note: Mapping[str, Any]) -> str:
    try:
        data = Path(note["path"]).read_bytes()
    except OSError as error:
        return f"missing ({error.strerror})"
    if sha256(data).hexdigest() != note["sha256"]:
        return "not what the journal says"
    return sha256(_neutral(place, data)).hexdigest()


def _neutral(place: Place, data: bytes) -> bytes:
    return data.replace(str(place.folder).encode(), HERE.encode())


def differences(a: Evidence, b: Evidence) -> dict[str, str]:
    """What differs between the undisturbed `a` and `b`: the aspect, and how it does.

    How often effects were performed is for :func:`judge_acts`.
    """
    found = {}
    if a.result != b.result:
        found["result"] = _first_difference(a.result, b.result)
    for name in sorted({*a.artifacts, *b.artifacts}):
        one, other = a.artifacts.get(name), b.artifacts.get(name)
        if one != other:
            found[f"artifact {name}"] = f"{_short(other)} instead of {_short(one)}"
    for name in sorted({*a.outside, *b.outside}):
        one, other = (json.dumps(x.outside.get(name), sort_keys=True, default=str) for x in (a, b))
        if one != other:
            found[f"outside, {name}"] = _first_difference(one, other)
    if set(a.acts) != set(b.acts):
        found[EFFECT_KEYS] = ", ".join(sorted(set(a.acts) ^ set(b.acts)))
    return found


def _short(digest: str | None) -> str:
    if digest is None:
        return "none"
    return digest if " " in digest else digest[:12]


def _first_difference(a: str, b: str, around: int = 24) -> str:
    at = next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    start = max(0, at - around)
    return f"…{b[start : at + around]}… instead of …{a[start : at + around]}…"


def judge_acts(a: Evidence, b: Evidence, keys: bool = True) -> tuple[list[str], list[str]]:
    """Problems and remarks about the acts of `b`, compared with the undisturbed `a`.

    Without `keys`, keys may differ and only repeated acts are looked for.
    """
    problems, remarks = [], []
    for key in sorted({*a.acts, *b.acts} if keys else b.acts):
        acts = b.acts.get(key, ())
        if not acts:
            state = b.states.get(key)
            if state == EffectState.SKIPPED:
                remarks.append(f"effect {key}: skipped, as its policy says")
            else:
                found = f" (the ledger says {state})" if state else ""
                problems.append(f"effect {key}: never performed{found}")
        elif keys and key not in a.acts:
            problems.append(f"effect {key}: performed, though not by the undisturbed run")
        elif len(acts) > 1:
            identities = {(act.idempotency_key, act.digest) for act in acts}
            if acts[0].policy == "retry" and len(identities) == 1:
                remarks.append(f"effect {key}: tried {len(acts)} times, deduplicated by provider")
            else:
                problems.append(f"effect {key}: performed {len(acts)} times")
    return problems, remarks
