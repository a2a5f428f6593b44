"""Cancellations that are on record and that no workflow was told of: Temporal was away then."""

from __future__ import annotations

from contextlib import suppress
from typing import NoReturn

from nightproof.engines.temporal import control
from nightproof.engines.temporal.connection import Connection
from nightproof.errors import NightproofError
from nightproof.journal.protocol import Journal
from nightproof.journal.records import RunFilter
from nightproof.model import clock
from nightproof.model.states import RunStatus

HEED_SECONDS = 15.0
"""How often a worker looks for them."""
_OPEN = RunFilter(status=(RunStatus.RUNNING, RunStatus.PARKED), limit=-1, brief=True)


class Heeding:
    """Tells workflows that they are to be cancelled; each execution once."""

    def __init__(self, journal: Journal, connection: Connection) -> None:
        self._journal = journal
        self._connection = connection
        self._told: set[tuple[int, int]] = set()

    async def keep(self) -> NoReturn:
        """Look again and again; a store or server that is away comes back."""
        while True:
            with suppress(NightproofError):
                await self.once()
            await clock.sleep(HEED_SECONDS)

    async def once(self) -> None:
        """Look, and tell those that were not told. Raises StoreError and EngineError."""
        asked = {
            (row.id, row.token): row.name
            for row in await self._journal.runs(_OPEN)
            if row.cancel and row.owner is not None and row.owner.is_workflow
        }
        self._told &= asked.keys()
        for execution in asked.keys() - self._told:
            await control.cancel(self._connection, asked[execution])
            self._told.add(execution)
