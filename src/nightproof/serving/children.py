"""Work in child processes: ``nightproof`` commands, so that one that hangs blocks nobody."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from nightproof.config import ACTOR
from nightproof.model import clock

_CHUNK = 65536
_SAID = 2000


class How(NamedTuple):
    """How a child is started: what it reads, where, and its environment's further variables."""

    given: bytes | None = None
    folder: str | None = None
    environ: Mapping[str, str] = {}


class Ended(NamedTuple):
    """A child that has ended: `code` is negative for a signal."""

    key: str
    label: str
    code: int
    document: dict[str, Any]
    """The JSON document on its stdout, empty where there is none."""
    seconds: float
    said: str = ""
    """The last that it wrote to stderr."""

    @property
    def run(self) -> str:
        """The run that it worked on, where it got to one."""
        return str(self.document.get("run") or "")

    @property
    def how(self) -> str:
        """How it ended, in a word or two."""
        error = self.document.get("error") or {}
        if self.code < 0 and not self.document:
            return f"died by {signal.Signals(-self.code).name}"
        if error.get("type") == "AlreadyRunning":
            return "another process is at it"
        status = str(self.document.get("status") or f"exit {self.code}")
        if error and self.code:
            return f"{status}: {error.get('message', '')}"
        return status


class Children:
    """Child processes by key; each is a session of its own, out of reach of Ctrl-C.

    `say` is told what they write to stderr, line by line behind their label.
    """

    def __init__(self, say: Callable[[str], None], ended: Callable[[Ended], None]) -> None:
        self._say = say
        self._ended = ended
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, Process] = {}
        self._draining = False
        self.changed = asyncio.Event()
        """Set when one has ended."""

    def __contains__(self, key: str) -> bool:
        return key in self._tasks

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[str]:
        """The keys of those that run."""
        return iter(list(self._tasks))

    def start(self, key: str, label: str, words: Sequence[str], how: How | None = None) -> None:
        """Start the command with these words; at most one for a key."""
        self._tasks[key] = asyncio.ensure_future(self._follow(key, label, words, how or How()))

    async def _follow(self, key: str, label: str, words: Sequence[str], how: How) -> None:
        begun = clock.monotonic()
        out, said = b"", ""
        code = 1
        try:
            process = await asyncio.create_subprocess_exec(
                *command(), *words, stdin=DEVNULL if how.given is None else PIPE, stdout=PIPE,
                stderr=PIPE, start_new_session=True, cwd=how.folder,
                env={ACTOR: "nightproof serve", **os.environ, **how.environ},
            )  # fmt: skip
            self._processes[key] = process
            if self._draining:
                process.terminate()
            assert process.stdout is not None
            assert process.stderr is not None
            out, said, _ = await asyncio.gather(
                process.stdout.read(), self._relay(process.stderr, label), _give(process, how)
            )
            code = await process.wait()
        except (OSError, ValueError) as error:  # ValueError: NUL in a word
            said = f"no process could be started: {getattr(error, 'strerror', None) or error}"
            self._say(f"{label}: {said}")
        finally:
            self._tasks.pop(key, None)
            self._processes.pop(key, None)
            took = clock.monotonic() - begun
            self._ended(Ended(key, label, code, _document(out), took, said))
            self.changed.set()

    async def _relay(self, stream: asyncio.StreamReader, label: str) -> str:
        """Pass on what a child writes, line by line; the last of it."""
        rest, last = b"", ""
        while chunk := await stream.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _CHUNK:  # a line without an end is passed on in pieces
                lines, rest = [*lines, rest], b""
            for line in lines:
                text = line.decode("utf-8", "replace")
                last = f"{last}\n{text}"[-_SAID:]
                self._say(f"{label}: {text}")
        if rest:
            text = rest.decode("utf-8", "replace")
            last = f"{last}\n{text}"[-_SAID:]
            self._say(f"{label}: {text}")
        return last.strip()

    async def wait(self) -> None:
        """Wait until one has ended since the last call; not at all where none runs."""
        if self._tasks:
            await self.changed.wait()
        self.changed.clear()

    def ask(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send all of them a signal; on SIGTERM a run finishes what is under way."""
        self._draining = True  # some may have no process yet
        for process in list(self._processes.values()):
            with suppress(ProcessLookupError):
                if number is signal.SIGKILL:
                    os.killpg(process.pid, number)  # with what it has started
                else:
                    process.send_signal(number)

    async def drain(self, grace: float) -> None:
        """Ask all to stop, and kill after `grace` seconds those that have not."""
        tasks = list(self._tasks.values())
        if not tasks:
            return
        self.ask()
        _, late = await asyncio.wait(tasks, timeout=grace)
        if late:
            self.ask(signal.SIGKILL)
            await asyncio.wait(late)


async def _give(process: Process, how: How) -> None:
    """Hand a child its input."""
    if process.stdin is not None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it has left without reading
            process.stdin.write(how.given or b"")
            await process.stdin.drain()
        process.stdin.close()


def command() -> list[str]:
    """This very program."""
    switches = ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []
    return [sys.executable, *switches, "-m", "nightproof"]


def _document(out: bytes) -> dict[str, Any]:
    try:
        found = json.loads(out or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
