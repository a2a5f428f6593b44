"""Commits that wait for a store that is away for a while, while their activity goes on beating."""

from __future__ import annotations

from collections.abc import Awaitable

from nightproof.errors import StoreDamaged, StoreError, StoreReadOnly, StoreTooNew
from nightproof.journal.protocol import Journal
from nightproof.journal.records import LaneBatch
from nightproof.model import clock

PATIENCE_SECONDS = 300.0
"""So long; then the activity fails, and Temporal tries it again later."""
FIRST_SECONDS = 0.05
LONGEST_SECONDS = 2.0

_HOPELESS = (StoreReadOnly, StoreDamaged, StoreTooNew)


class Patient:
    """The part of a journal that commits, tried again while the store is away.

    What an act has led to is worth the wait: given up, an effect would be of unknown
    outcome, and a step would run again. Entries that are written twice after all have
    one outcome (LaneBatch.shared).
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @property
    def commits_inline(self) -> bool:
        """Never, for there may be a wait."""
        return False

    def commit(self, batches: list[LaneBatch]) -> Awaitable[frozenset[int]]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        return self._commit(batches)

    async def _commit(self, batches: list[LaneBatch]) -> frozenset[int]:
        began = clock.monotonic()
        pause = FIRST_SECONDS
        while True:
            try:
                answer = self._journal.commit(batches)
                return answer if isinstance(answer, frozenset) else await answer
            except StoreError as error:
                if isinstance(error, _HOPELESS) or clock.monotonic() - began > PATIENCE_SECONDS:
                    raise
            await clock.sleep(pause * (0.5 + clock.random()))
            pause = min(pause * 2, LONGEST_SECONDS)
