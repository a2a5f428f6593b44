"""Processes and ports of this machine."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nightproof.model import clock

LOWEST_PORT, HIGHEST_PORT = 10_000, 32_000
"""Below the ports that the kernel gives to outgoing connections (from 32,768 on Linux)."""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 on which nobody listens now."""
    found: list[int] = []
    while len(found) < count:
        port = LOWEST_PORT + int(clock.random() * (HIGHEST_PORT - LOWEST_PORT))
        if port not in found and is_free(port):
            found.append(port)
    return found


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        # As servers do: connections that linger after an earlier one are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_alive(pid: int) -> bool:
    """Whether the process exists and is not just waiting to be collected."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _state(pid) != "Z"


def kill_tree(pid: int, patience: float = 20.0) -> None:
    """SIGKILL a process and all that descend from it, and wait until they are gone.

    Without /proc (macOS) only the process itself is found.

    Raises:
        TimeoutError: One of them is still there after `patience` seconds.
    """
    _send(pid, signal.SIGSTOP)  # so that it starts nothing new meanwhile
    doomed = [*_descendants(pid), pid]
    for each in doomed:
        _send(each, signal.SIGKILL)
    until = clock.monotonic() + patience
    while any(map(is_alive, doomed)):
        if clock.monotonic() > until:
            left = [each for each in doomed if is_alive(each)]
            raise TimeoutError(f"processes {left} are still there {patience:g} s after SIGKILL")
        clock.block(0.01)


def die_with_parent() -> None:
    """Ask the kernel to SIGKILL this process when its parent ends; for a new child, on Linux."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for each, parent in _parents():
        children.setdefault(parent, []).append(each)
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            yield int(path.name), int(_after_name(path)[1])
        except (OSError, IndexError):  # it has ended meanwhile
            continue


def _state(pid: int) -> str:
    try:
        return _after_name(Path(f"/proc/{pid}"))[0]
    except (OSError, IndexError):
        return ""


def _after_name(path: Path) -> list[str]:
    # The name is in parentheses and may hold anything; state and parent follow it.
    return (path / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
