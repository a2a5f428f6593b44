"""Connections that are slow, or many: the server beside a dashboard needs files of its own too."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 300
"""Connections at once; of what comes beyond, nothing is read."""
HEAD_SECONDS = 15.0
"""How long the head of a request may take."""
WRITE_SECONDS = 60.0
"""How long whoever asked may leave the answer unread."""


class Connection(H11Protocol):
    """One connection; it ends when nothing comes, or nothing is taken."""

    _patience: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > MOST:
            transport.abort()
        else:
            self._patience = self.loop.call_later(HEAD_SECONDS, self._lost_patience)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        for timer in (self._patience, self._unread):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Begin to wait where this is the beginning of a further request."""
        super().data_received(data)
        answering = self._answering()
        if answering and self._patience is not None:
            self._patience.cancel()
            self._patience = None
        elif not answering and self._patience is None:
            self._patience = self.loop.call_later(HEAD_SECONDS, self._lost_patience)

    def on_response_complete(self) -> None:
        """The server's own patience with a line that is idle applies from here."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Begin to wait for the other side to read."""
        super().pause_writing()
        self._unread = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _lost_patience(self) -> None:
        if not self._answering():
            self.transport.abort()

    def _answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete
