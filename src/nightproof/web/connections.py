"""Connections that are slow, or many: the server beside a dashboard needs files of its own too."""

from __future__ import annotations

import asyncio
import sys
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from nightproof.web.api.problems import MEDIA_TYPE, problem

MOST = 300
"""Connections at once; for one more, the oldest that asks nothing is let go."""
HEAD_SECONDS = 15.0
"""How long the head of a request may take."""
WRITE_SECONDS = 60.0
"""How long whoever asked may leave the answer unread."""


DRAIN_SECONDS = 1.0
"""How long a refused head is read on: an end while bytes are unread may take the answer along."""


_REFUSED = (
    b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\n"
    b"X-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'\r\n"
    b"Cache-Control: no-store\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
)


class Connection(H11Protocol):
    """One connection; it ends when nothing comes, or nothing is taken."""

    _patience: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _refused = False
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
        if self._refused:
            return
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
        # Called where the parser's error is being handled; it knows no other way to say which.
        hint = getattr(sys.exception(), "error_status_hint", 400)
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if hint == 431 else HTTPStatus(400)
        if status == 431:
            said = "The address and the headers of a request are too long together."
            answer = problem(status, said, "Shorten the address.")
            kind, body = MEDIA_TYPE.encode(), bytes(answer.body)
        else:
            kind, body = b"text/plain; charset=utf-8", msg.encode()
        self.transport.write(_REFUSED % (status, status.phrase.encode(), kind, len(body), body))
        self._refused = True
        self.transport.write_eof()
        self.loop.call_later(DRAIN_SECONDS, self.transport.close)

    @property
    def answering(self) -> bool:
        """Whether a request has been read whose answer is not complete."""
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete
