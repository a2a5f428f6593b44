"""One server in the foreground, from its start to its end."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from nightproof.errors import NightproofError
from nightproof.model import clock
from nightproof.testing.servers.processes import die_with_parent, kill_tree
from nightproof.testing.servers.recipes import Recipe

PATIENCE = 60.0
"""Seconds until a server that does not answer counts as failed."""
GRACE = 10.0
"""Seconds that a server has to stop before it is killed."""
_LOOK = 0.5  # seconds between two looks at whether the parent is still there


def host(recipe: Recipe, parent: int, out: TextIO = sys.stdout) -> int:
    """Run a server until SIGTERM, SIGINT, SIGHUP, its own end or that of the process `parent`.

    Returns the exit code: 0 where it was asked to stop, 1 where it ended by itself.

    Raises:
        NightproofError: It does not start; the end of its log is in the hint.
    """
    with _signals() as woken:
        recipe.prepare()
        with recipe.log.open("ab") as log:
            child = subprocess.Popen(
                recipe.words(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=recipe.folder,
                **recipe.identity(),
                # Ctrl-C is for this process, which then stops the server in its own way.
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - no threads here
            )
        recipe.pid = child.pid
        try:
            if _answers(recipe, child, woken, parent):
                out.write(_said(recipe) + "\n")
                out.flush()
                while _lives(child, parent) and not woken(_LOOK):
                    pass
            return 1 if child.poll() is not None else 0
        finally:
            _stop(recipe, child)


def _answers(recipe: Recipe, child: subprocess.Popen[bytes], woken: Woken, parent: int) -> bool:
    until = clock.monotonic() + PATIENCE
    while not recipe.ready():
        late = clock.monotonic() > until
        if child.poll() is not None or late:
            why = f"does not answer after {PATIENCE:g} s" if late else f"ended ({child.returncode})"
            end = recipe.log.read_text("utf-8", "replace").strip().splitlines()[-8:]
            raise NightproofError(f"{recipe.kind} in {recipe.folder} {why}", "\n  ".join(end))
        if woken(0.02) or os.getppid() != parent:
            return False
    return True


def _lives(child: subprocess.Popen[bytes], parent: int) -> bool:
    return child.poll() is None and os.getppid() == parent


def _stop(recipe: Recipe, child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None and recipe.farewell != signal.SIGKILL:
        child.send_signal(recipe.farewell)
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE)
    if child.poll() is None:
        kill_tree(child.pid)
        child.wait()
    recipe.after()


def _said(recipe: Recipe) -> str:
    facts = recipe.facts()
    if not recipe.readable:
        place = {"port": recipe.port, "folder": str(recipe.folder)}
        return json.dumps({"kind": recipe.kind, **facts, "pid": recipe.pid, **place})
    pages = f", its pages are at {facts['pages']}" if "pages" in facts else ""
    lines = [f"{recipe.kind} answers at {facts['url']}{pages} (Ctrl-C stops it). To use it:"]
    lines += [f"  export {name}={value}" for name, value in recipe.exports().items()]
    return "\n".join(lines)


class Woken:
    """Waits for signals."""

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._asked = False

    def __call__(self, seconds: float) -> bool:
        """Wait until something happens; whether it was a signal to stop, now or before."""
        if not self._asked and select.select([self._pipe], [], [], seconds)[0]:
            self._asked = bool(set(self._pipe.recv(64)) - {signal.SIGCHLD})
        return self._asked


@contextmanager
def _signals() -> Iterator[Woken]:
    # Signals as bytes in a pipe: none is lost between a look and the wait after it.
    pipe, end = socket.socketpair()
    end.setblocking(False)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    fd = signal.set_wakeup_fd(end.fileno())
    try:
        yield Woken(pipe)
    finally:
        signal.set_wakeup_fd(fd)
        for number, handler in before.items():
            signal.signal(number, handler)
        pipe.close()
        end.close()
