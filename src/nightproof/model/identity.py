"""Who this process is, and whether another one still lives."""

from __future__ import annotations

import os
from functools import cache
from typing import NamedTuple

WORKFLOW = "temporal:"
"""How the host of an owner begins that is no process but a workflow; its id follows."""


class ProcessIdentity(NamedTuple):
    """A process that cannot be mistaken for a later one with the same pid.

    `host` names machine, boot and pid namespace; `started` is the kernel's start
    tick of the process (0 where the platform does not tell). Of a workflow, `started`
    is when its execution began, in milliseconds.
    """

    host: str
    pid: int
    started: int

    @property
    def is_workflow(self) -> bool:
        """Whether this is a workflow: its engine, not a heartbeat, says whether it lives."""
        return self.host.startswith(WORKFLOW)

    @property
    def label(self) -> str:
        """How messages name the process."""
        if self.is_workflow:
            return f"Temporal (workflow {self.host.removeprefix(WORKFLOW)})"
        return f"{self.host.partition('/')[0]} (pid {self.pid})"


@cache
def _host() -> str:
    parts = [os.uname().nodename]
    for path, read in (("/proc/sys/kernel/random/boot_id", _text), ("/proc/self/ns/pid", _link)):
        parts.append(read(path))
    return "/".join(parts)


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "-"


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return "-"


def _started(pid: int) -> int:
    """The start tick of `pid`, 0 if it is gone or unknown."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    if fields[0] in (b"Z", b"X"):
        return 0
    return int(fields[19])


def here() -> ProcessIdentity:
    """The identity of the calling process."""
    pid = os.getpid()
    return ProcessIdentity(_host(), pid, _started(pid))


def is_stopped(process: ProcessIdentity) -> bool:
    """True only where it is certain that `process` runs no more until somebody lets it go on."""
    if process.host != _host() or is_dead(process):
        return False
    try:
        with open(f"/proc/{process.pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except (OSError, IndexError):
        return False


def is_dead(process: ProcessIdentity) -> bool:
    """True only where it is certain that `process` no longer runs."""
    if process.host != _host():
        return False
    if os.path.exists("/proc/self/stat"):
        return _started(process.pid) != process.started
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
