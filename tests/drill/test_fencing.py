"""An owner that was only asleep: what it writes after another took over is refused."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest

LEASE = 0.6


def plain_items(count: int) -> list[str]:
    """Items without effects: an act cannot be fenced, only its record can."""
    numbers = (f"p{n}" for n in range(10 * count))
    return [name for name in numbers if sum(map(ord, name)) % 4 != 0][:count]


def overtaken(place: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """One process is stopped at work, another takes the run over; then the first wakes up."""
    monkeypatch.setenv("NIGHTPROOF_LEASE", str(LEASE))
    place.items_path.write_text("\n".join(plain_items(200)))
    ready, reads = place.listen()
    first = place.start(ready)
    os.read(reads, 64)
    os.close(reads)
    time.sleep(0.1)
    _stop_between_commits(place, first.process.pid)
    time.sleep(LEASE + 0.1)
    second = place.start()
    try:
        while not any(line["pid"] == second.process.pid for line in place.diary()):
            assert second.process.poll() is None, second.said
            time.sleep(0.01)
        time.sleep(0.1)
    finally:
        os.kill(first.process.pid, signal.SIGCONT)
        _wait(first, second, seconds=2 if place.broken else 30)
    return first, second


def _stop_between_commits(place: Any, pid: int) -> None:
    """Stop a process where it does not hold the file's write lock, which would stop everybody."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        probe = sqlite3.connect(place.folder / "journal.db", timeout=0.05, isolation_level=None)
        try:
            probe.execute("BEGIN IMMEDIATE")
            probe.execute("ROLLBACK")
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.01)
        else:
            return
        finally:
            probe.close()


def _wait(*children: Any, seconds: float) -> None:
    until = time.monotonic() + seconds
    while any(child.process.poll() is None for child in children) and time.monotonic() < until:
        time.sleep(0.01)
    for child in children:
        child.process.kill()
        child.process.wait()


def test_an_owner_that_slept_is_fenced_off(
    scene: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    """The second finishes the run; the first says that it was taken over, and spoils nothing."""
    place = scene()
    first, second = overtaken(place, monkeypatch)
    assert second.process.returncode == 0, second.said
    assert first.process.returncode != -signal.SIGKILL
    assert "took it over" in first.said or "taken over" in first.said
    assert set(place.recorded().values()) == {1}
    assert len(place.result()["answers"]) == 200


def test_without_fencing_both_write(scene: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    """The same with the token unchecked: results are recorded twice, so the test above notices."""
    place = scene(broken="no-token")
    overtaken(place, monkeypatch)
    assert max(place.recorded().values()) > 1
