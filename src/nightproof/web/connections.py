"""Connections that are slow, or many: the server beside a dashboard needs files of its own too."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 300
"""Connections at once; for one more, the oldest that asks nothing is let go."""
HEAD_SECONDS = 15.0
"""How long the head of a request may take."""
WRITE_SECONDS = 60.0
"""How long whoever asked may leave the answer unread."""


_NOT_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"X-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%b"
)


class Connection(H11Protocol):
    """One connection; it ends when nothing comes, or nothing is taken."""

    _patience: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    born = 0.0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.born = self.loop.time()
        self._patience = self.loop.call_later(HEAD_SECONDS, self._lost_patience)
        if len(self.connections) > MOST:
            others = (one for one in self.connections if isinstance(one, Connection))
            idle = (one for one in others if one is not self and not one.answering)
            oldest = min(idle, key=lambda one: one.born, default=self)
            # Its end is noted in a later turn, and more may come in this one.
            self.connections.discard(oldest)
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        for timer in (self._patience, self._unread):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Begin to wait where this is the beginning of a further request."""
        super().data_received(data)
        answering = self.answering
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
        if not self.answering:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Say that this is no HTTP, unless an answer is being written: then nothing fits."""
        if self.answering:
            self.transport.abort()
            return
        self.transport.write(_NOT_HTTP % (len(msg), msg.encode()))
        self.transport.close()

    @property
    def answering(self) -> bool:
        """Whether a request has been read whose answer is not complete."""
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete
