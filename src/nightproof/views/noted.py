"""What the events of a run say of its surroundings, its models and its cost, read once.

A run may have a hundred thousand of them. Who keeps a :class:`Noted` reads only what is new.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.model import clock
from nightproof.model.states import Kind
from nightproof.provenance import prompted, served
from nightproof.provenance.prompted import Prompted
from nightproof.provenance.served import Served
from nightproof.views.values import real

BUDGET_SECONDS = 0.2
_PAGE = 1000
_KINDS = (
    "spend", "measure", "snapshot", "snapshot-failed", "environment-changed",
    served.KIND, prompted.KIND,
)  # fmt: skip
_MARKS = tuple(f'"{kind}"'.encode() for kind in _KINDS)


@dataclass(slots=True)
class Spent:
    """What a step has reported with ``spend``; None for what it never did."""

    reports: int = 0
    tokens: float | None = None
    money: float | None = None

    def add(self, note: dict[str, Any]) -> None:
        """Take one report."""
        self.reports += 1
        if isinstance(amount := note.get("tokens"), (int, float)):
            self.tokens = (self.tokens or 0) + amount
        if isinstance(amount := note.get("money"), (int, float)):
            self.money = (self.money or 0) + amount


@dataclass(slots=True)
class Noted:
    """What has been read so far: up to sequence number `after`, written at `at` (ms)."""

    after: int = -1
    at: int | None = None
    complete: bool = False
    spent: dict[str, Spent] = field(default_factory=dict)
    answers: dict[Served, int] = field(default_factory=dict)
    """Answers of models that are alike but for ids and fingerprints, with their number."""
    prompts: dict[Prompted, int] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    snapshots: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    changes: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def advance(self, reader: Reader, row: RunRow, seconds: float | None = None) -> None:
        """Read what is new, for about so many seconds where they are given."""
        end = None if seconds is None else clock.perf() + seconds
        self.complete = False
        while not self.complete:
            entries = await reader.entries(row.id, (Kind.EVENT,), self.after, _PAGE)
            for entry in entries:
                # Most events are something else; they need not be parsed to see that.
                if entry.output and any(mark in entry.output for mark in _MARKS):
                    self._take(entry.at, entry.output)
            if entries:
                self.after, self.at = entries[-1].seq, entries[-1].at
            self.complete = len(entries) < _PAGE
            if end is not None and clock.perf() > end:
                return
            await clock.turn()

    def _take(self, at: int, data: bytes) -> None:
        try:
            note = json.loads(data)
        except ValueError:
            return
        kind = note.pop("kind", "") if isinstance(note, dict) else ""
        if kind == "spend":
            self.spent.setdefault(str(note.get("step", "")), Spent()).add(note)
        elif kind == "measure":
            self.measures[str(note.get("name"))] = real(note.get("value"))
        elif kind == "snapshot":
            self.snapshots.append((at, note))
        elif kind == "snapshot-failed":
            self.failures.append(str(note.get("message", "")))
        elif kind == "environment-changed":
            self.changes.append((at, note))
        elif kind == served.KIND:
            self._answer(served.decoded(note))
        elif kind == prompted.KIND:
            one = prompted.decoded(note)._replace(fp="")
            self.prompts[one] = self.prompts.get(one, 0) + 1

    def _answer(self, one: Served) -> None:
        accepted = one.accepted if isinstance(one.accepted, str | None) else None
        alike = one._replace(
            fp="", accepted=accepted, response_id=None, request_digest=None, response_digest=None
        )
        self.answers[alike] = self.answers.get(alike, 0) + 1
