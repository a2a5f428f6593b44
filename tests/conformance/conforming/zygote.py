"""Processes that start at once: one that has loaded everything forks them.

Run as a program it reads requests from stdin, a line of JSON each (``environ``,
``arguments`` of the command, ``log``), and says on stdout which process it has made and
which has ended. It ends with its stdin, and takes all that are left with it.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
RUNS = (
    "nightproof.app", "nightproof.cli.commands", "nightproof.cli.running",
    "nightproof.stores.sqlite", "nightproof.stores.postgres", "nightproof.stores.files",
    "nightproof.engines.embedded", "nightproof.provenance.snapshot",
)  # fmt: skip
WORKS = (*RUNS, "nightproof.cli.working", "nightproof.engines.temporal.worker")
"""What costs time to import, and starts no thread: for runs, and for workers."""


class Zygote:
    """The process that makes others; `loaded` are the modules that they find loaded."""

    def __init__(self, environ: Mapping[str, str], log: Path, loaded: Sequence[str]) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "conforming.zygote", *loaded],
                env=dict(environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._made: list[int] = []
        self._ended: dict[int, int] = {}
        self._news = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told: dict[str, int] = json.loads(line)
            with self._news:
                if "made" in told:
                    self._made.append(told["made"])
                else:
                    self._ended[told["ended"]] = told["code"]
                self._news.notify_all()

    def start(self, arguments: Sequence[str], environ: Mapping[str, str], log: Path) -> int:
        """A process that carries out the command; its pid."""
        assert self._process.stdin is not None
        asked = {"arguments": [*arguments], "environ": dict(environ), "log": str(log)}
        with self._news:
            before = len(self._made)
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            assert self._news.wait_for(lambda: len(self._made) > before, 30)
            return self._made[-1]

    def wait(self, pid: int, seconds: float) -> int | None:
        """How it ended (negative: by which signal); None where it goes on after `seconds`."""
        with self._news:
            self._news.wait_for(lambda: pid in self._ended, seconds)
            return self._ended.get(pid)

    def close(self) -> None:
        """End it, with all that it has made."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()


def _serve() -> None:
    import importlib

    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what a collection does not look at is not copied into every fork either
    children: set[int] = set()
    waiting = b""
    while True:
        if select.select([0], [], [], 0.02)[0]:
            data = os.read(0, 65536)
            if not data:
                break
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                pid = _fork(json.loads(line))
                children.add(pid)
                _say(made=pid)
        for pid in [*children]:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                children.discard(pid)
                _say(ended=pid, code=os.waitstatus_to_exitcode(status))
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _say(**told: int) -> None:
    os.write(1, (json.dumps(told) + "\n").encode())


def _fork(asked: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, to in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(number, to)
    os.environ.clear()
    os.environ.update(asked["environ"])
    from nightproof.cli.main import main

    code = 1
    try:
        code = main(asked["arguments"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise AssertionError


if __name__ == "__main__":
    _serve()
