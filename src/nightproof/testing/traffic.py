"""The connections of a :class:`nightproof.testing.proxy.Proxy` and the bytes on them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from typing import Final, Literal

from nightproof.model import clock

Direction = Literal["up", "down"]
"""`up` is from the client to the server."""
Directions = Literal["up", "down", "both"]
When = Literal["before", "sent", "answered"]
How = Literal["reset", "close", "drop"]

BOTH: Final[tuple[Direction, ...]] = ("up", "down")
_CHUNK: Final = 64 * 1024
_LINGER: Final = struct.pack("ii", 1, 0)  # a close that sends RST, and nothing more


@dataclass(eq=False)
class Cut:
    """A connection is ended at a point of its traffic. Made by `Proxy.cut`."""

    match: bytes
    after: int
    direction: Direction
    when: When
    answer: bytes
    how: How
    times: int | None
    hits: int = 0
    """Connections that it ended so far."""
    pending: int = 0
    """Connections at their point, whose answer it waits for."""
    _seen: int = 0

    @property
    def live(self) -> bool:
        """Whether it looks for another connection."""
        return self.times is None or self.hits + self.pending < self.times

    def position(self, tail: bytes, data: bytes) -> int | None:
        """Bytes of `data` up to the end of the point; None where it does not end here."""
        if self.match:
            start = max(0, len(tail) - len(self.match) + 1)
            at = (tail + data).find(self.match, start)
            return None if at < 0 else at + len(self.match) - len(tail)
        seen, self._seen = self._seen, self._seen + len(data)
        return self.after - seen if seen < self.after <= self._seen else None


@dataclass(eq=False)
class Link:
    """One client's connection and its counterpart to the server."""

    writers: dict[Direction, asyncio.StreamWriter]
    """Where bytes of a direction are written to: `up` is the server's end."""
    tails: dict[Direction, bytes] = field(default_factory=lambda: {"up": b"", "down": b""})
    waiting: Cut | None = None
    """A cut that has seen its point and waits for the answer, which the client won't get."""
    heard: bytes = b""
    silent: bool = False

    def reset(self) -> None:
        """RST to both sides."""
        for writer in self.writers.values():
            raw = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
            writer.transport.abort()


class Traffic:
    """Connections to `target`, forwarded as the faults in force allow.

    Everything here belongs to the event loop of the proxy's thread.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.accepted = 0
        self.carried: dict[Direction, int] = {"up": 0, "down": 0}
        self.links: set[Link] = set()
        self.cuts: list[Cut] = []
        self.delay = (0.0, 0.0)
        """Seconds by which bytes are late: at least, and how much more at random."""
        self.open = {way: asyncio.Event() for way in BOTH}
        for event in self.open.values():
            event.set()

    def reset_all(self) -> int:
        """RST on every open connection; how many there were."""
        links = list(self.links)
        for link in links:
            self.end(link, "reset")
        return len(links)

    def end(self, link: Link, how: How) -> None:
        """End one connection."""
        if how == "drop":
            link.silent = True
            return
        self.links.discard(link)
        if how == "reset":
            link.reset()
        else:
            for writer in link.writers.values():
                writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = Link({"down": writer})
        self.links.add(link)
        try:
            await self.open["up"].wait()
            try:
                far, near = await asyncio.open_connection(*self.target)
            except OSError:
                self.end(link, "reset")  # nobody there
                return
            link.writers["up"] = near
            if link not in self.links:  # reset meanwhile
                link.reset()
                return
            await asyncio.gather(self._carry(link, "up", reader), self._carry(link, "down", far))
        except asyncio.CancelledError:  # the proxy ends
            return
        finally:
            for one in link.writers.values():
                one.close()
            self.links.discard(link)
            if link.waiting is not None:
                link.waiting.pending -= 1

    async def _carry(self, link: Link, way: Direction, reader: asyncio.StreamReader) -> None:
        """Read one direction and hand its pieces on in order, each when it is due."""
        queue: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue(256)

        async def receive() -> None:
            data = b"-"
            while data:
                try:
                    data = await reader.read(_CHUNK)
                except OSError:
                    await queue.put(None)
                    return
                least, jitter = self.delay
                wait = least + jitter * clock.random() if least or jitter else 0.0
                await queue.put((asyncio.get_running_loop().time() + wait, data))

        with contextlib.suppress(OSError):
            receiver = asyncio.ensure_future(receive())
            try:
                await self._deliver(link, way, queue)
                return
            finally:
                receiver.cancel()
        self.end(link, "reset")

    async def _deliver(
        self, link: Link, way: Direction, queue: asyncio.Queue[tuple[float, bytes] | None]
    ) -> None:
        writer = link.writers[way]
        while True:
            if (piece := await queue.get()) is None:
                raise ConnectionResetError
            due, data = piece
            if (wait := due - asyncio.get_running_loop().time()) > 0:
                await rest(wait)
            await self.open[way].wait()
            if not data:
                if not link.silent and writer.can_write_eof():
                    writer.write_eof()
                return
            part, ending = self._judge(link, way, data)
            if part and not link.silent:
                writer.write(part)
                self.carried[way] += len(part)
                await writer.drain()
            if ending is not None:
                self.end(link, ending.how)

    def _judge(self, link: Link, way: Direction, data: bytes) -> tuple[bytes, Cut | None]:
        """What of `data` goes on, and the cut that comes after it."""
        if link.waiting is not None and way != link.waiting.direction:
            link.heard += data
            if link.waiting.answer in link.heard:
                ending, link.waiting = link.waiting, None
                ending.pending -= 1
                ending.hits += 1
                return b"", ending
            return b"", None
        tail = link.tails[way]
        for rule in self.cuts:
            if rule.direction != way or not rule.live or link.waiting is not None:
                continue
            if (end := rule.position(tail, data)) is None:
                continue
            if rule.when == "answered":
                link.waiting = rule
                rule.pending += 1
                break
            rule.hits += 1
            return (data[: max(0, end - 1)] if rule.when == "before" else data[:end]), rule
        longest = max((len(rule.match) for rule in self.cuts), default=1)
        link.tails[way] = (tail + data)[-max(1, longest - 1) :] if longest > 1 else b""
        return data, None


async def rest(seconds: float) -> None:
    """Wait by the event loop's clock, which no test's clock replaces."""
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, done.set)
    await done.wait()
