"""What reaches the disk, seen from outside: the calls that ask the kernel to sync."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from nightproof.stores.sqlite import SqliteJournal

pytestmark = pytest.mark.sqlite_only

JOB = """
SETTINGS = {"durability": ARGS[0]}

@step
async def work(n: int) -> int:
    return n

@step(pure=True)
async def cheap(n: int) -> int:
    return n

@job
async def main(contract: Night) -> int:
    for n in range(20):
        await work(n)
    log("durable")
    for n in range(200):
        await cheap(n)
    log("pure")
    await work.map(range(100, 228), concurrency=64)
    log("map")
    return 1
"""


def traced(program, tmp_path: Path, durability: str) -> list[int]:
    """Syncs of the -wal: of 20 steps, of 200 pure ones, of a map of 128 items."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    run = program(JOB)
    out = tmp_path / "trace"
    ran = subprocess.run(
        [strace, "-f", "-y", "-o", str(out), "-e", "trace=fsync,fdatasync,write",
         sys.executable, str(run.path), run.url, durability],
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    if ran.returncode and "ptrace" in ran.stderr:
        pytest.skip("this machine does not let strace trace")
    assert ran.returncode == 0, ran.stderr
    counts = [0]
    for line in out.read_text().splitlines():
        if re.search(r"(fsync|fdatasync)\(\d+<[^>]*-wal>", line):
            counts[-1] += 1
        elif re.search(r"write\(\d+<[^>]*/log>", line):
            counts.append(0)
    return counts


def test_an_acknowledged_checkpoint_is_synced(program, tmp_path):
    """FULL: a sync for each durable step, few for pure ones and for a map."""
    steps, pure, items, _ = traced(program, tmp_path, "full")
    assert steps >= 20
    assert pure < 20
    assert items < 64


def test_the_pragmas_that_power_loss_is_about(tmp_path):
    """WAL with synchronous=FULL by default; NORMAL only where it was asked for."""
    for durability, level in (("full", 2), ("normal", 1)):
        journal = SqliteJournal(str(tmp_path / f"{durability}.db"), "x", durability)
        db = journal._db.raw
        assert db.execute("PRAGMA journal_mode").get == "wal"
        assert db.execute("PRAGMA synchronous").get == level
        with journal._db.transaction(full=False):
            assert db.execute("PRAGMA synchronous").get == 1
        assert db.execute("PRAGMA synchronous").get == level
        assert isinstance(db, apsw.Connection)
        journal._db.close()
