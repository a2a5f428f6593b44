"""The point in which two runs part, as an experiment looks for it, and what it found there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nightproof.blobs.protocol import Blobs
from nightproof.drift.compare import Divergence
from nightproof.drift.normalise import Normaliser, digest, normalised
from nightproof.drift.record import MISSING, Point, inputs, output, record
from nightproof.journal.protocol import Reader
from nightproof.journal.records import Entry, RunRow
from nightproof.model.states import Kind, RunStatus

_OUTCOMES = (Kind.RESULT, Kind.FAILURE, Kind.EFFECT, Kind.CHILD)
_CALLED = ("step", "effect", "child run")


class Goal(NamedTuple):
    """A divergence in the terms of fingerprints; a side is None where it has no such point."""

    what: str
    kind: str
    name: str
    key: str
    a: bytes | None
    b: bytes | None

    @classmethod
    def of(cls, found: Divergence) -> Goal:
        """The goal of experiments about a divergence."""
        a, b = (None if point is None else point.fp for point in found.points)
        return cls(found.what, found.kind, found.step, found.key, a, b)

    def document(self) -> dict[str, Any]:
        """The goal as JSON data."""
        a, b = (None if fp is None else fp.hex() for fp in (self.a, self.b))
        return {**self._asdict(), "a": a, "b": b}

    @classmethod
    def read(cls, document: dict[str, Any]) -> Goal:
        """A goal from its JSON data."""
        a, b = (None if one is None else bytes.fromhex(one) for one in map(document.get, "ab"))
        return cls(**{**document, "a": a, "b": b})

    @property
    def ends_when_asked(self) -> bool:
        """Whether the runs part in which calls the body makes: then none need be carried out."""
        return self.what != "output" and self.kind in _CALLED

    def side(self, fp: bytes) -> str:
        """The side ("a", "b") that alone made a call of this fingerprint, or ""."""
        if not self.ends_when_asked or fp not in (self.a, self.b):
            return ""
        return "a" if fp == self.a else "b"

    def met(self, entry: Entry, name: str) -> bool:
        """Whether an entry that is written says how the run went on at this point."""
        if entry.kind not in _OUTCOMES:
            return False
        if self.what == "output":
            return self.kind in _CALLED and entry.fp == self.a
        if self.what != "inputs" or name != self.name:
            return False
        return _key(entry) == self.key

    def at(self, points: list[Point]) -> list[Point]:
        """The points of a run that can be this one."""
        if self.what == "output" and self.kind in _CALLED:
            return [point for point in points if point.fp == self.a]
        return [p for p in points if (p.what, p.name, p.key) == (self.kind, self.name, self.key)]


def _key(entry: Entry) -> str:
    if entry.inputs and entry.inputs.startswith(b'{"key"'):
        return str(json.loads(entry.inputs).get("key", ""))
    return ""


@dataclass
class Reached:
    """What a run came to at a goal.

    `asked` are the sides whose call it made; `outputs` and `inputs` are normalised
    digests of the points that can be the goal's.
    """

    asked: set[str] = field(default_factory=set)
    outputs: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    failed: str = ""

    async def read(
        self, reader: Reader, blobs: Blobs, row: RunRow, goal: Goal, rules: list[Normaliser]
    ) -> Reached:
        """Add what the run has on record."""
        found = await record(reader, row)
        if row.status is RunStatus.FAILED and row.error:
            told = json.loads(row.error)
            self.failed = f"{told.get('type')}: {told.get('message')}"
        for point in goal.at(found.points):
            if point.what == "result" and row.status not in (
                RunStatus.COMPLETED,
                RunStatus.FAILED,
            ):
                continue
            value = await output(reader, blobs, row, point)
            self.outputs.append(_digest(value, point.raw, rules))
            if goal.what == "inputs":
                value = await inputs(reader, row, point)
                raw = digest(None if value is MISSING else value)
                self.inputs.append(_digest(value, raw, rules))
        return self

    def document(self) -> dict[str, Any]:
        """This as JSON data."""
        return {
            "asked": sorted(self.asked),
            "outputs": self.outputs,
            "inputs": self.inputs,
            "failed": self.failed,
        }


def _digest(value: Any, raw: str, rules: list[Normaliser]) -> str:
    return raw if not rules or value is MISSING else digest(normalised(value, rules))


class Outcome(NamedTuple):
    """How one experiment ended: "A", "B" or "other", with what tells two others apart.

    `error` says why a run came to no end that counts; such a run is nobody's likeness.
    """

    like: str
    value: str
    error: str = ""


def judged(found: Divergence, told: dict[str, Any]) -> Outcome:
    """What the document of an experiment's run amounts to."""
    if "error" in told:
        return Outcome("other", "error", str(told["error"]))
    asked, failed = told["asked"], str(told["failed"])
    if found.what == "output":
        sides = (found.a, found.b)
        a, b = (None if side is None else side.normalised for side in sides)
        values = told["outputs"]
        if not values:
            return Outcome("other", "nothing", failed or "it did not come to this point")
        like = "A" if values[-1] == a else "B" if values[-1] == b else "other"
        return Outcome(like, values[-1])
    if found.what == "inputs":
        if len(asked) == 1:
            return Outcome(asked[0].upper(), asked[0])
        for side, name in ((found.a, "A"), (found.b, "B")):
            if side is not None and side.normalised in told["inputs"]:
                return Outcome(name, side.normalised)
        value = ",".join(told["inputs"]) or "nothing"
        return Outcome("other", value, "" if told["inputs"] else failed)
    there = bool(asked or told["outputs"])
    if not there and failed:
        return Outcome("other", failed, failed)
    in_a = found.what == "only in A"
    return Outcome("A" if there == in_a else "B", str(there))
