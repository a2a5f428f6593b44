"""What strace saw of an attempt (L3): native readers, other programs, forked children.

Of the attempt's own process only what Python's audit events did not tell of is taken:
those reads are in the witness already, with their step.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from nightproof.model import clock
from nightproof.provenance import acts as heard_acts
from nightproof.provenance.hearing import IMPORT, Sound, absolute

CALLS = (
    "open,openat,openat2,creat,execve,execveat,connect,rename,renameat,renameat2,link,linkat,"
    "clone,clone3,fork,vfork"
)
UNPLACED = "?"

_LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_TEXT = r'"((?:[^"\\]|\\.)*)"'
_OPENED = re.compile(
    rf"(?:openat2?\((?:AT_FDCWD|\d+)<([^\"]*?)>, |(?:open|creat)\(){_TEXT}(?:, \{{flags=|, )?([A-Z_|]*)"
)
_STARTED = re.compile(rf"execve(?:at)?\((?:(?:AT_FDCWD|\d+)<([^\"]*?)>, )?{_TEXT}")
_MOVED = re.compile(
    rf"(?:rename|link)(?:at2?)?\((?:(?:AT_FDCWD|\d+)<[^\"]*?>, )?{_TEXT}, "
    rf"(?:(?:AT_FDCWD|\d+)<([^\"]*?)>, )?{_TEXT}"
)
_ASKED = re.compile(
    r"connect\(\d+<(TCP|TCPv6|UNIX|UNIX-STREAM)\S*, \{sa_family=AF_(?:"
    rf"INET, sin_port=htons\((\d+)\), sin_addr=inet_addr\({_TEXT}\)"
    rf"|INET6, sin6_port=htons\((\d+)\),.*?inet_pton\(AF_INET6, {_TEXT}"
    rf"|UNIX, sun_path={_TEXT})"
)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|x[0-9a-f]{2}|.)")
_PLAIN = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}

_FRESH = {"O_WRONLY", "O_TRUNC", "O_EXCL"}
_LIBRARY = re.compile(r"\.so(\.[\d.]+)?$")
_SYSTEM = ("/usr/lib/locale/", "/usr/share/locale/", "/usr/lib/ssl/", "/proc/", "/sys/", "/dev/")
_INSTALLED = ("/usr/lib", "/usr/share/", "/usr/libexec/", "/lib", "/etc/ld.so.")
"""What belongs to the programs of the system; other programs' reads of it are noise."""


class Act(NamedTuple):
    """One thing that was read: when (seconds since the epoch), by which process, and what."""

    at: float
    pid: int
    what: str
    name: str
    program: str
    """The program that the process ran; empty for a process that runs none of its own."""


class Span(NamedTuple):
    """When and where a step was at work."""

    begin: float
    end: float
    step: str
    fp: bytes
    thread: int
    """The kernel's number of the thread that it worked in."""
    run: int = 0


class Trace:
    """The file that strace writes to, and what Python told of by itself."""

    def __init__(self, file: str, ours: Iterable[str] = ()) -> None:
        self.began = clock.now().timestamp()
        self._file = file
        self._ours = tuple(one.rstrip("/") for one in ours if one)
        self.spans: list[Span] = []
        """When and where the steps of this process were at work."""
        self._offset = 0
        self._acts: list[Act] = []
        self._open: dict[int, str] = {}
        self._threads = {os.getpid()}
        self._programs: dict[int, str] = {}
        self._births: dict[int, tuple[float, int]] = {}
        self._written: set[str] = set()
        self._heard: set[str] = set()
        self._hosts: set[tuple[str, int]] = set()
        self._asked_by_us: set[str] = set()

    def listen(self) -> None:
        """Hear from now on what Python tells of by itself."""
        sys.addaudithook(self._hear)

    def own(self, folders: Iterable[str], hosts: Iterable[tuple[str, int]] = ()) -> None:
        """Files in `folders` are nightproof's own, and so is what it asks `hosts` (and ports).

        Clients that are no Python connect to addresses: those of the hosts as they are now.
        """
        self._ours += tuple(one.rstrip("/") for one in folders if one)
        self._hosts.update(hosts)

    def sounds(self, since: float, begun: float, run: int = 0) -> list[Sound]:
        """What was read between `since` and now, for the steps that `spans` place it in; blocks.

        `begun` is when the body of `run` was about to run. A process counts for the step
        whose thread started it. What a step of another run read is left to that run.
        """
        self._read_on()
        while self._hosts:
            self._asked_by_us.update(_names_of(*self._hosts.pop()))
        found = []
        for act in self._acts:
            if act.at >= since and not self._is_noise(act):
                place = self._placed(act.at, act.pid, begun)
                if place.run not in (0, run):
                    continue
                by = f"program {act.program.rpartition('/')[2]}" if act.program else ""
                found.append(Sound(act.what, act.name, place.step, place.fp, by))
        return found

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event in ("open", "sqlite3.connect", "ctypes.dlopen"):
            if path := absolute(args[0]):
                self._heard.add(os.path.normpath(path))
        elif event in ("os.listdir", "os.scandir"):
            if path := absolute("." if args[0] in (None, "") else args[0]):
                self._heard.add(os.path.normpath(path) + "/")
        elif event == "socket.connect":
            if isinstance(args[1], tuple):
                self._heard.add(f"{args[1][0]} {args[1][1]}")
            elif isinstance(args[1], (str, bytes)):
                self._heard.add("unix:" + os.fsdecode(args[1]))
        elif event in ("subprocess.Popen", "os.exec", "os.posix_spawn"):
            program = args[0]
            if program is None and len(args) > 1 and args[1]:
                program = args[1] if isinstance(args[1], (str, bytes)) else args[1][0]
            found = shutil.which(os.fsdecode(program or ""))
            if found is not None:
                self._heard.add(absolute(found))
        elif event == "os.system":
            self._heard.add("/bin/sh")

    def _read_on(self) -> None:
        """Take in the lines that have come since the last time."""
        with open(self._file, "rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data.rpartition(b"\n")[0] + b"\n"
        if len(whole) > 1:
            self._offset += len(whole)
        for line in whole.decode("utf-8", "surrogateescape").splitlines():
            match = _LINE.match(line)
            if match is not None:
                self._take(int(match[1]), float(match[2]), match[3])

    def _placed(self, at: float, pid: int, begun: float) -> Span:
        """The step, or what stands for one, that a process worked for at a time."""
        while pid not in self._threads and pid in self._births:
            at, pid = self._births[pid]
        if at < begun:
            return Span(at, at, IMPORT, b"", pid)
        working = [one for one in self.spans if one.begin <= at < one.end]
        here = [one for one in working if one.thread == pid]
        if not here and pid == os.getpid():
            return Span(at, at, "", b"", pid)
        # In a thread that a library has started it is certain only where one step is at work.
        found = here or working
        same = {(one.step, one.fp, one.run) for one in found}
        return found[0] if len(same) == 1 else Span(at, at, UNPLACED, b"", pid)

    def _take(self, pid: int, at: float, call: str) -> None:
        if call.endswith("<unfinished ...>"):
            self._open[pid] = call.removesuffix("<unfinished ...>")
            return
        if (resumed := _RESUMED.match(call)) is not None:
            call = self._open.pop(pid, "") + call[resumed.end() :]
        failed = call.rpartition(" = ")[2].startswith(("-", "?"))
        if call.startswith(("clone", "fork", "vfork")):
            self._born(pid, at, call, failed)
        elif call.startswith("connect("):
            self._acts.extend(self._asked(pid, at, call))
        elif not failed:
            self._acts.extend(self._done(pid, at, call))

    def _born(self, pid: int, at: float, call: str, failed: bool) -> None:
        child = re.search(r" = (\d+)", call)
        if child is None or failed:
            return
        number = int(child[1])
        if "CLONE_THREAD" in call and pid in self._threads:
            self._threads.add(number)
            return
        self._births[number] = at, pid
        if pid in self._programs:
            self._programs.setdefault(number, self._programs[pid])

    def _asked(self, pid: int, at: float, call: str) -> Iterator[Act]:
        match = _ASKED.match(call)
        if match is None:
            return
        port, address = match[2] or match[4], match[3] or match[5]
        program = self._programs.get(pid, "")
        if match[6]:
            path = _text(match[6])
            if "nscd" not in path:
                yield Act(at, pid, "host", f"unix:{path}", program)
        elif pid not in self._threads or f"{address} {port}" not in self._heard:
            host = heard_acts.names.get(address, address)
            name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            yield Act(at, pid, "host", name, program)

    def _done(self, pid: int, at: float, call: str) -> Iterator[Act]:
        """What a call that succeeded has read."""
        if (match := _OPENED.match(call)) is not None:
            path = _joined(match[1], match[2])
            flags = match[3].split("|")
            if call.startswith("creat(") or not _FRESH.isdisjoint(flags):
                self._written.add(path)
            elif "O_DIRECTORY" in flags:
                yield Act(at, pid, "folder", path, self._programs.get(pid, ""))
            elif "O_PATH" not in flags and path not in self._written:
                if "O_RDWR" in flags and _changed(path, at):
                    self._written.add(path)
                else:
                    yield Act(at, pid, "file", path, self._programs.get(pid, ""))
        elif (match := _STARTED.match(call)) is not None:
            path = _joined(match[1], match[2])
            if pid not in self._threads:
                self._programs[pid] = path
            yield Act(at, pid, "program", path, path)
        elif (match := _MOVED.match(call)) is not None:
            self._written.add(_joined(match[2], match[3]))

    def _is_noise(self, act: Act) -> bool:
        own = act.pid in self._threads
        if act.what == "host":
            return own and (act.name in self._heard or act.name in self._asked_by_us)
        path = os.path.normpath(act.name)
        if any(path == one or path.startswith(one + "/") for one in self._ours):
            return True
        if act.what == "program":
            return path in self._heard or path == sys.executable
        if act.what == "file" and Path(path).is_dir():
            return True  # opened to be synced; what is listed is opened as a folder
        if not path.startswith("/") or path in self._written or _LIBRARY.search(path):
            return True
        if path.startswith((*_SYSTEM, sys.base_prefix + "/")):
            return True
        if act.program:
            return path.startswith(_INSTALLED)
        if own and act.what == "folder":
            return path + "/" in self._heard or path in sys.path_importer_cache
        return own and path in self._heard


def _names_of(host: str, port: int) -> Iterator[str]:
    """How the trace may name a host: by its name, or by any of its addresses."""
    names = {host}
    with suppress(OSError, UnicodeError):
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        names |= {str(address[4][0]) for address in found}
    for name in names:
        yield f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _joined(folder: str | None, path: str) -> str:
    text = _text(path)
    return os.path.normpath(os.path.join(_text(folder or ""), text))  # noqa: PTH118 - texts


def _text(quoted: str) -> str:
    """A name as strace writes it, as text; bytes that are no text as Python holds them."""
    if "\\" not in quoted:
        return quoted
    data = _ESCAPE.sub(_byte, quoted.encode("utf-8", "surrogateescape"))
    return data.decode("utf-8", "surrogateescape")


def _byte(match: re.Match[bytes]) -> bytes:
    found = match[1]
    if found[:1] in b"01234567":
        return bytes([int(found, 8) & 255])
    if found[:1] == b"x" and len(found) == 3:
        return bytes([int(found[1:], 16)])
    return _PLAIN.get(found, found)


def _changed(path: str, since: float) -> bool:
    """Whether a file was written to after a time."""
    try:
        return Path(path).stat().st_mtime >= since
    except OSError:
        return True


trace: Trace | None = None
"""The trace of this process, where it was started under strace."""
