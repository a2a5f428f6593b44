"""A few pages over HTTP, for probes and scrapers: GET and HEAD, one request a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from nightproof.errors import ConfigError

PATIENCE_SECONDS = 5.0
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
TEXT = "text/plain; charset=utf-8"


class Page(NamedTuple):
    """An answer."""

    status: int
    body: str
    type: str = TEXT


Routes = Mapping[str, Callable[[], Awaitable[Page]]]


class Listener:
    """Answers on one port of the loopback interface."""

    def __init__(self, routes: Routes, say: Callable[[str], None]) -> None:
        self._routes = routes
        self._say = say
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the port in use. Raises ConfigError where that is not possible."""
        try:
            self._server = await asyncio.start_server(self._answer, host, port)
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"cannot listen on {host}:{port}: {error}",
                "Give another --port; --port 0 takes a free one.",
            ) from None
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    def close(self) -> None:
        """Listen no longer."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                method, page = await self._page(head)
                writer.write(_response(page, method != "HEAD"))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has left, or never asked
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _page(self, head: bytes) -> tuple[str, Page]:
        parts = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            return "GET", Page(400, "this is not HTTP\n")
        method, path = parts[0], parts[1].partition("?")[0]
        if method not in ("GET", "HEAD"):
            return method, Page(405, "only GET and HEAD\n")
        make = self._routes.get(path)
        if make is None:
            return method, Page(404, f"there is {', '.join(self._routes)}\n")
        try:
            return method, await make()
        except Exception as error:  # noqa: BLE001 - a page that fails must not end the server
            self._say(f"{path} failed: {type(error).__name__}: {error}")
            return method, Page(500, "this page failed; the server's log says why\n")


def _response(page: Page, with_body: bool) -> bytes:
    body = page.body.encode()
    allow = "Allow: GET, HEAD\r\n" if page.status == 405 else ""
    head = (
        f"HTTP/1.1 {page.status} {_REASONS[page.status]}\r\nContent-Type: {page.type}\r\n"
        f"Content-Length: {len(body)}\r\n{allow}Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (body if with_body else b"")
