"""The environment and the witness of a run in one worker: each worker has its own on record."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from nightproof.engines.attempt.environment import Environment, Environments, Kept, snapshots
from nightproof.engines.attempt.state import Attempt
from nightproof.engines.attempt.witnessing import PATIENCE_SECONDS, Witness, Witnesses
from nightproof.model import clock, identity
from nightproof.provenance import audit
from nightproof.provenance.hearing import IMPORT, Heard

if TYPE_CHECKING:
    from nightproof.provenance.snapshot import Difference, Snapshot

SHORT_SECONDS = 1.0
"""So long a run's first activity in a worker waits for its environment to be on record."""


def worker() -> str:
    """How events name this worker process."""
    return identity.here().label


class WorkerEnvironment(Environment):
    """Records this worker's environment, and what is different in it from the others' of the run."""

    def __init__(self, run: Attempt, environments: Environments) -> None:
        super().__init__(run, environments)
        self._seen: set[Any] = set()
        self._settled = False

    def begin(self) -> None:
        """See to it that the snapshot is recorded."""
        if self._wanted:
            self._task = self._run.loop.create_task(self._record())

    async def settle(self) -> bool:
        """Wait until it is handed in, but not for long; whether there was anything to wait for."""
        if self._settled or self._task is None:
            return False
        self._settled = True
        self._breath.hurry()
        await asyncio.wait({self._task}, timeout=SHORT_SECONDS)
        return True

    def _compares(self) -> bool:
        return True

    def _since(self) -> str:
        return f"{worker()} works in another environment than the run was worked on in before"

    async def _before(self) -> dict[str, Any] | None:
        found = None
        async for note in snapshots(self._run.ledger.journal, self._run.row.id):
            self._seen.add(note.get("strict"))
            found = note
        return found

    async def _changed(self, before: dict[str, Any], now: Snapshot) -> list[Difference] | None:
        if now.digests["strict"] in self._seen:
            return None
        return await super()._changed(before, now)

    def _note(self, kept: Kept) -> None:
        event = {**json.loads(kept.event), "attempt": self._run.row.attempts, "worker": worker()}
        super()._note(kept._replace(event=json.dumps(event).encode()))


class WorkerWitness(Witness):
    """Hears what the steps of a run read in this worker."""

    def __init__(self, run: Attempt, contract: Any, shared: Witnesses) -> None:
        super().__init__(run, contract, shared)
        self._turn = asyncio.Lock()

    def open(self, strict: bool) -> None:
        """Hear from now on; what its modules read when they were imported counts too."""
        run = self._run
        if not run.settings.witness:
            return
        process = audit.process()
        self._heard = Heard(process)
        if process is not None and run.row.parent is None:
            process.sort()
            # A worker's own doings are no part of a run: it hears only the import.
            self._before = [sound for sound in process.fresh if sound.step == IMPORT]
        if strict:
            self.judge_now(self._heard)

    async def settle(self) -> bool:
        """Hand in what is new, before anybody hears of the result; whether there was anything."""
        if self._heard is None:
            return False
        async with self._turn:
            noted = False
            if self._task is not None and not self._task.done():
                await asyncio.wait({self._task}, timeout=PATIENCE_SECONDS)
                noted = True
            if self._something():
                await self._note(clock.monotonic() + PATIENCE_SECONDS, polite=False)
                noted = True
            return noted

    def _looked_at(self, until: float, polite: bool) -> dict[str, Any] | None:
        note = super()._looked_at(until, polite)
        return note and {**note, "worker": worker()}
