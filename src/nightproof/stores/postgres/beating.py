"""Heartbeats: a connection of its own, used from the heartbeat's thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Final

from nightproof.errors import StoreError
from nightproof.stores.postgres.claims import PULSE
from nightproof.stores.postgres.effects import VOUCH
from nightproof.stores.postgres.link import Answer, Statement
from nightproof.stores.postgres.session import Session
from nightproof.stores.postgres.target import Target
from nightproof.stores.postgres.trouble import Lost, Refused

PULSE_SECONDS: Final = 5.0
"""A beat that takes longer is given up; the next one tries again, within the lease."""


class Beats:
    """Extends leases; each call blocks, for a bounded time."""

    def __init__(self, target: Target) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session = Session(target, "normal", writes=True)

    def __del__(self) -> None:
        # A journal whose event loop is gone is not closed.
        if self._loop is not None and not self._loop.is_running():
            self._loop.close()

    def pulse(self, owned: Mapping[int, int], lease_ms: int) -> frozenset[int]:
        """See :class:`nightproof.journal.protocol.Journal`. Raises StoreError."""
        [answer] = self._tell([(PULSE, (list(owned), list(owned.values()), lease_ms))])
        return frozenset(owned) - {row[0] for row in answer.rows}

    def vouch(self, tries: Sequence[tuple[str, bytes, bytes | None]]) -> None:
        """See :class:`nightproof.journal.protocol.Journal`. Raises StoreError."""
        self._tell([(VOUCH, (now, key, mark)) for key, mark, now in tries])

    def _tell(self, statements: list[Statement]) -> list[Answer]:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
            try:
                return self._loop.run_until_complete(self._told(statements))
            except (Lost, TimeoutError) as error:
                # Whatever it is, the next beat begins with a new connection.
                if self._session.link is not None:
                    self._session.link.close()
                raise StoreError(f"a heartbeat did not reach {self._session.target.url}") from error

    async def _told(self, statements: list[Statement]) -> list[Answer]:
        session = self._session
        session.check_process()
        async with asyncio.timeout(PULSE_SECONDS):
            try:
                return await session.attempt(*statements)
            except Refused as refused:
                raise session.explained(refused) from refused

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._session.close()
            if self._loop is not None:
                self._loop.close()
                self._loop = None
