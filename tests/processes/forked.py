"""``python -m nightproof …`` in half of a test's time: forks of a process that has imported it.

A command that begins here is a real process: its own pid, signals, files, environment and
folder, an end by ``kill -9`` or by an exit code. Only its first 0.3 s of imports are not
done again. ``NIGHTPROOF_UNFORKED=1`` starts every one from nothing; what depends on a
beginning from nothing (imports, ``PYTHON…`` variables) does so anyway; a hash seed that is
given is that of a host of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

HOST = Path(__file__).with_name("forkhost.py")
UNFORKED = "NIGHTPROOF_UNFORKED"
SEED = "PYTHONHASHSEED"


class Fork:
    """What :class:`subprocess.Popen` is, as far as tests use it, for text."""

    def __init__(self, told: int, files: list[IO[str] | None]) -> None:
        self._told = told
        self.stdin, self.stdout, self.stderr = files
        self.pid = self._number()
        assert self.pid is not None, "the host of the forks has ended"
        self.returncode: int | None = None

    def _number(self) -> int | None:
        found = os.read(self._told, 4)
        return struct.unpack("!i", found)[0] if found else None

    def poll(self) -> int | None:
        """Its exit code, minus the signal that ended it, or None while it is there."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code at its end; raises TimeoutExpired."""
        if self.returncode is None:
            news = select.poll()  # select.select knows no file above 1,023
            news.register(self._told, select.POLLIN)
            if not news.poll(None if timeout is None else 1000 * timeout):
                raise subprocess.TimeoutExpired("nightproof", timeout or 0)
            self.returncode = self._number()
            os.close(self._told)
            assert self.returncode is not None, "the host of the forks has ended"
        return self.returncode

    def communicate(self, given: str | None = None, timeout: float | None = None) -> tuple:
        """What it wrote, to its end; raises TimeoutExpired."""
        found: dict[int, str] = {}

        def read(number: int, file: IO[str]) -> None:
            found[number] = file.read()
            file.close()

        readers = [
            threading.Thread(target=read, args=(number, file), daemon=True)
            for number, file in enumerate((self.stdout, self.stderr))
            if file is not None and not file.closed
        ]
        for one in readers:
            one.start()
        if self.stdin is not None and not self.stdin.closed:
            try:
                self.stdin.write(given or "")
                self.stdin.close()
            except BrokenPipeError:
                pass
        for one in readers:
            one.join(timeout)
            if one.is_alive():
                raise subprocess.TimeoutExpired("nightproof", timeout or 0)
        self.wait(timeout)
        return found.get(0), found.get(1)

    def send_signal(self, number: int) -> None:
        """A signal, if it is still there."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(15)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(9)


class Host:
    """The process that forks, and has `loaded` more; it ends with the tests' own.

    Its forks share `seed`, the ``PYTHONHASHSEED`` that it begins with, if one is given.
    """

    def __init__(self, loaded: Sequence[str] = (), seed: str | None = None) -> None:
        self._line, theirs = socket.socketpair()
        kept = {name: text for name, text in os.environ.items() if name[:10] != "NIGHTPROOF"}
        self._process = subprocess.Popen(
            [sys.executable, str(HOST), str(theirs.fileno()), *loaded],
            env={**kept, "NO_COLOR": "1", "TERM": "dumb", **({SEED: seed} if seed else {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self._lock = threading.Lock()
        atexit.register(self._end)

    def _end(self) -> None:
        self._line.close()
        self._process.wait()

    def start(
        self,
        words: Sequence[str],
        cwd: Path | str,
        env: Mapping[str, str],
        files: tuple[int, int, int],
        program: str | None = None,
    ) -> Fork:
        """A command; each of `files` is an open file, or one of subprocess's words."""
        ours: list[IO[str] | None] = []
        theirs: list[int] = []
        for number, file in enumerate(files):
            if file == subprocess.PIPE:
                reads, writes = os.pipe()
                mine, other, mode = (reads, writes, "r") if number else (writes, reads, "w")
                ours.append(os.fdopen(mine, mode, encoding="utf-8"))
                theirs.append(other)
                continue
            ours.append(None)
            if file == subprocess.DEVNULL:
                theirs.append(os.open(os.devnull, os.O_RDWR))
            else:
                theirs.append(os.dup(theirs[1] if file == subprocess.STDOUT else file))
        ends, tells = os.pipe()
        command = {
            "words": list(words), "cwd": str(cwd), "env": dict(env), "program": program,
        }  # fmt: skip
        text = json.dumps(command).encode("utf-8", "surrogateescape")
        with self._lock:
            socket.send_fds(self._line, [struct.pack("!I", len(text))], [*theirs, tells])
            self._line.sendall(text)
        for one in (*theirs, tells):
            os.close(one)
        return Fork(ends, ours)


_hosts: dict[tuple[tuple[str, ...], str | None], Host] = {}


def _interpreter(env: Mapping[str, str]) -> dict[str, str]:
    """What an interpreter takes from its environment at its beginning, and only then."""
    return {name: text for name, text in env.items() if name.startswith("PYTHON") and name != SEED}


def start(
    words: Sequence[str],
    cwd: Path | str,
    env: Mapping[str, str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    program: Path | str | None = None,
    loaded: tuple[str, ...] = (),
) -> Fork | subprocess.Popen[str]:
    """``python -m nightproof`` with these words, or ``python PROGRAM`` with them.

    `loaded` are modules that the process finds imported, besides those of most commands.
    """
    if _interpreter(env) != _interpreter(os.environ) or os.environ.get(UNFORKED):
        what = ["-m", "nightproof"] if program is None else [str(program)]
        return subprocess.Popen(
            [sys.executable, *what, *words],
            cwd=cwd, env=dict(env), stdin=stdin, stdout=stdout, stderr=stderr, text=True,
        )  # fmt: skip
    host = (loaded, env.get(SEED))
    if host not in _hosts:
        _hosts[host] = Host(*host)
    file = None if program is None else str(program)
    return _hosts[host].start(words, cwd, env, (stdin, stdout, stderr), file)


def run(
    words: Sequence[str],
    cwd: Path | str,
    env: Mapping[str, str],
    given: str | None = None,
    timeout: float = 100,
) -> subprocess.CompletedProcess[str]:
    """A command to its end, with what it wrote."""
    child = start(words, cwd, env, stdin=subprocess.PIPE)
    try:
        out, err = child.communicate(given or "", timeout)
    except BaseException:
        child.kill()
        child.wait()
        raise
    return subprocess.CompletedProcess(list(words), child.returncode, out, err)
