"""What the rules look at: a store at one moment, and what is known from earlier looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nightproof.config import Settings
from nightproof.errors import NotFound
from nightproof.journal.incidents import IncidentRow
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.views.watch import History, OutputView, outputs

RECENT_MS = 86_400_000
"""What ended longer ago opens no incident: a watcher that starts must not tell old stories."""


@dataclass(slots=True)
class Memory:
    """What a watcher need not read twice."""

    history: History = field(default_factory=History)
    canaries: dict[int, bool | None] = field(default_factory=dict)
    _outputs: dict[str, tuple[tuple[int, int | None], list[OutputView]]] = field(
        default_factory=dict
    )

    async def outputs(self, reader: Reader, row: RunRow) -> list[OutputView]:
        """What a job's last completed run measured, beside the nights before."""
        which = (row.id, row.finished)
        known = self._outputs.get(row.job)
        if known is None or known[0] != which:
            known = which, await outputs(reader, row, self.history)
            self._outputs[row.job] = known
        return known[1]


@dataclass(frozen=True, slots=True)
class Scene:
    """A store at `now` (milliseconds); `open` are the incidents that last, by key."""

    reader: Reader
    settings: Settings
    now: int
    open: Mapping[str, IncidentRow]
    memory: Memory

    def lasting(self, kind: str) -> list[IncidentRow]:
        """The incidents of a kind that last."""
        return [row for row in self.open.values() if row.kind == kind]

    async def run(self, name: str) -> RunRow | None:
        """The run of exactly this name."""
        try:
            found = await self.reader.find(name)
        except NotFound:
            return None
        return found if found is not None and found.name == name else None
