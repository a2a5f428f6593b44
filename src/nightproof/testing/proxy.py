"""A TCP proxy that breaks the network on command, for tests of stores and servers.

It stands between a client and a server and forwards every byte until it is told to
drop, delay, reset, refuse or cut::

    with Proxy("127.0.0.1", 5432) as wire:
        url = wire.url("postgresql://me@127.0.0.1:5432/nights")
        wire.delay(0.05, jitter=0.02)      # every byte comes 50 to 70 ms late, both ways
        wire.drop(3)                       # three seconds in which nothing arrives
        wire.reset()                       # RST on every open connection, now
        wire.refuse(2)                     # ECONNREFUSED, open ones are reset
        lost = wire.cut(b"COMMIT", when="answered", answer=b"COMMIT")
        ...                                # the server committed, the client never heard
        assert lost.hits == 1
        wire.heal()

The same as a program: ``python -m nightproof.testing.proxy 127.0.0.1:5432`` prints one
JSON line with the port and takes such commands from its standard input, one a line.

Bytes held up by `drop` are delivered when it is over, as TCP sends again what was lost;
call `reset` before that for an outage that connections do not survive. A new connection
is accepted while dropping (the kernel does that) and answered only afterwards.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

from nightproof.testing.traffic import BOTH, Cut, Direction, Directions, How, Traffic, When, rest

T = TypeVar("T")
_COMMANDS: Final = "drop [SECONDS] [up|down], delay SECONDS [JITTER], reset, refuse [SECONDS], heal"


class Proxy:
    """A TCP proxy to `host`:`port` in a thread of its own; a context manager.

    Every method that breaks something returns when it is in force, and may be called
    from any thread. Durations are seconds; without one, a fault lasts until `heal`.

    Args:
        host: Where the server listens.
        port: The server's port.
        listen: The port to listen on, on 127.0.0.1; 0 takes a free one.
    """

    def __init__(self, host: str, port: int, *, listen: int = 0) -> None:
        self.port = listen
        """The port that clients connect to."""
        self._target = (host, port)
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._traffic.links)

    @property
    def accepted(self) -> int:
        """Connections that clients have opened so far."""
        return self._traffic.accepted

    @property
    def carried(self) -> dict[Direction, int]:
        """Bytes forwarded so far, each way."""
        return dict(self._traffic.carried)

    def url(self, url: str) -> str:
        """The server's URL with the proxy's host and port in it."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}{self.address}"))

    # what can be broken

    def drop(self, seconds: float | None = None, direction: Directions = "both") -> None:
        """Let nothing through; connections stay open, and their bytes come afterwards."""

        async def begin() -> None:
            for one in _ways(direction):
                self._traffic.open[one].clear()
            self._later(f"drop-{direction}", seconds, lambda: self._let(direction))

        self._do(begin())

    def delay(self, seconds: float, jitter: float = 0.0, *, lasting: float | None = None) -> None:
        """Let bytes arrive `seconds` late and up to `jitter` more, each way, in order."""

        async def begin() -> None:
            self._traffic.delay = (seconds, jitter)
            self._later("delay", lasting, self._undelay)

        self._do(begin())

    def reset(self) -> int:
        """End every open connection with RST on both sides; returns how many there were."""

        async def now() -> int:
            return self._traffic.reset_all()

        return self._do(now())

    def refuse(self, seconds: float | None = None) -> None:
        """Reset open connections and refuse new ones (ECONNREFUSED)."""

        async def begin() -> None:
            await self._unlisten()
            self._traffic.reset_all()
            self._later("refuse", seconds, self._relisten)

        self._do(begin())

    def cut(
        self,
        match: bytes = b"",
        *,
        after: int = 0,
        direction: Direction = "up",
        when: When = "sent",
        answer: bytes = b"",
        how: How = "reset",
        times: int | None = 1,
    ) -> Cut:
        """End connections at a point of their traffic: `match`, or `after` bytes from now on.

        Args:
            match: Bytes that mark the point, wherever they are in the traffic (not in TLS).
            after: Or the number of bytes in that direction, over all connections together.
            direction: Whose bytes are looked at.
            when: `before`: the last byte of the point is not forwarded any more. `sent`:
                it is forwarded, whether it takes effect is open. `answered`: the cut comes
                when the other side has answered; the answer is lost. So the server has
                done what was asked, and the client cannot know.
            answer: What the answer must contain to count (`answered` only).
            how: `reset` (RST), `close` (FIN) or `drop` (the connection stays, in silence).
            times: How many connections; None for every one until `heal`.

        Raises:
            ValueError: Neither `match` nor `after` was given, or both.
        """
        if bool(match) == bool(after):
            raise ValueError("a cut needs either bytes to look for (match=) or a count (after=)")
        rule = Cut(match, after, direction, when, answer, how, times)

        async def begin() -> Cut:
            self._traffic.cuts.append(rule)
            return rule

        return self._do(begin())

    def heal(self) -> None:
        """End every fault; what `drop` held up is delivered now."""

        async def end() -> None:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()
            self._traffic.cuts.clear()
            self._undelay()
            self._let("both")
            for link in [one for one in self._traffic.links if one.silent]:
                self._traffic.end(link, "reset")  # its bytes are gone: it cannot go on
            await self._listen()

        self._do(end())

    # the thread

    def __enter__(self) -> Self:
        started = threading.Event()
        failed: list[BaseException] = []

        def main() -> None:
            self._loop = asyncio.new_event_loop()
            try:
                self._loop.run_until_complete(self._begin())
            except OSError as error:
                failed.append(error)
                self._loop.close()
                return
            finally:
                started.set()
            self._loop.run_forever()
            self._loop.run_until_complete(self._finish())
            self._loop.close()

        self._thread = threading.Thread(target=main, name="proxy", daemon=True)
        self._thread.start()
        started.wait()
        if failed:
            raise failed[0]
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _begin(self) -> None:
        self._traffic = Traffic(self._target)
        await self._listen()

    async def _finish(self) -> None:
        await self._unlisten()
        self._traffic.reset_all()
        await rest(0)  # connections accepted in this very turn get their tasks
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._traffic.serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _unlisten(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _relisten(self) -> None:
        async def again() -> None:
            while True:
                try:
                    return await self._listen()
                except OSError:  # the port is in use for a moment
                    await rest(0.1)

        task = self._loop.create_task(again())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _let(self, direction: Directions) -> None:
        for one in _ways(direction):
            self._traffic.open[one].set()

    def _undelay(self) -> None:
        self._traffic.delay = (0.0, 0.0)

    def _later(self, name: str, seconds: float | None, end: Callable[[], None]) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()
        if seconds is not None:
            self._timers[name] = self._loop.call_later(seconds, end)


def _ways(direction: Directions) -> tuple[Direction, ...]:
    return BOTH if direction == "both" else (direction,)


def _command(wire: Proxy, line: str) -> None:
    """One line of the standard input: a method's name and its arguments."""
    name, *words = line.split()
    numbers = [float(word) for word in words if word not in ("up", "down", "both")]
    ways = [word for word in words if word in ("up", "down", "both")]
    if name not in ("drop", "delay", "reset", "refuse", "heal") or (ways and name != "drop"):
        raise ValueError(name)
    if name == "drop":
        seconds = numbers[0] if numbers else None
        wire.drop(seconds, "up" if "up" in ways else "down" if "down" in ways else "both")
    else:
        getattr(wire, name)(*numbers)


def main(arguments: list[str]) -> int:
    """The program: `HOST:PORT` of the server, and optionally the port to listen on."""
    host, colon, port = (arguments or [""])[0].rpartition(":")
    listen = arguments[1] if len(arguments) > 1 else "0"
    if not colon or not port.isdecimal() or not listen.isdecimal():
        what = "python -m nightproof.testing.proxy HOST:PORT [PORT-TO-LISTEN-ON]"
        sys.stderr.write(f"usage: {what}\nCommands on stdin: {_COMMANDS}\n")
        return 2
    with Proxy(host, int(port), listen=int(listen)) as wire:
        sys.stdout.write(json.dumps({"kind": "proxy", "port": wire.port, "url": wire.address}))
        sys.stdout.write("\n")
        sys.stdout.flush()
        for line in sys.stdin:  # ends with its standard input
            try:
                _command(wire, line)
            except (ValueError, TypeError, AttributeError):
                sys.stderr.write(f"not understood: {line.strip()!r}; commands: {_COMMANDS}\n")
            else:
                sys.stdout.write(f"{line.strip()}\n")
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
