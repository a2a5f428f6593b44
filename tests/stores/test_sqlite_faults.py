"""Disks fill up, files are damaged, locks are held: nothing acknowledged is lost, and it is said."""

import asyncio
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from nightproof import job, step
from nightproof.app import App
from nightproof.config import Settings
from nightproof.errors import StoreBusy, StoreError, StoreFull, StoreReadOnly
from nightproof.stores.sqlite import SqliteJournal, connection, open_reader


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def filling(contract, calls, size=20_000):
    """A job of 200 steps that need more than the small disk has."""

    @step(name="fill")
    async def fill(n: int) -> str:
        calls.append(n)
        return os.urandom(size // 2).hex()

    @job(name="filling")
    async def main(contract: contract) -> int:
        return sum([len(await fill(n)) for n in range(200)])

    return main


def use_disk(night, folder, name="journal.db"):
    night.url = f"sqlite:///{folder / name}"
    return night


@pytest.mark.sqlite_only
@pytest.mark.parametrize("size", [20_000, 200_000], ids=["in the journal", "in the blobs"])
def test_a_full_disk(night, night_contract, small_disk, size):
    """StoreFull says what to do; with space again the run goes on behind what was acknowledged."""
    use_disk(night, small_disk)
    calls = []
    main = filling(night_contract, calls, size)
    outcome = night.run(main)
    assert isinstance(outcome.error, StoreFull), outcome.error
    assert "no space left" in str(outcome.error)
    assert "resume" in outcome.error.hint
    acknowledged = len(calls) - 1
    assert acknowledged > 0
    remount(small_disk, "size=100m")
    again = night.run(main)
    assert again.value == 200 * size
    assert again.replayed >= acknowledged
    assert len(calls) <= 202


@pytest.mark.sqlite_only
def test_a_disk_that_fills_between_two_effects(night, night_contract, small_disk):
    """The act happened and could not be confirmed: its policy decides after the resume."""
    from nightproof import effect

    use_disk(night, small_disk)
    acts = []

    @effect(key="k", unknown="skip")
    async def act() -> str:
        acts.append(1)
        (small_disk / "other").write_bytes(bytes(3_000_000)) if len(acts) == 1 else None
        return "x" * 60_000

    @job
    async def main(contract: night_contract) -> str:
        try:
            return await act() or "skipped"
        except OSError:
            return "full"

    outcome = night.run(main)
    assert outcome.status in ("running", "completed")
    (small_disk / "other").unlink(missing_ok=True)
    remount(small_disk, "size=20m")
    assert night.value(main) == "skipped"
    assert acts == [1]


@pytest.mark.sqlite_only
def test_a_store_that_may_not_be_written(night, night_contract, small_disk):
    """StoreReadOnly names the file; reading still works."""
    use_disk(night, small_disk)
    main = filling(night_contract, [], 10)
    night.value(main)
    path = str(small_disk / "journal.db")
    remount(small_disk, "ro")
    try:
        with pytest.raises(StoreReadOnly) as caught:
            night.value(main, night_contract(n=1))
        assert path in caught.value.message
        assert caught.value.exit_code == 2

        async def read():
            reader = open_reader(path, "x")
            return (await reader.find("filling")).status

        assert asyncio.run(read()) == "completed"
    finally:
        remount(small_disk, "rw")


def test_a_folder_that_cannot_be_made(tmp_path):
    """The store's folder is below a file."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError) as caught:
        SqliteJournal(str(tmp_path / "file" / "journal.db"), "x")
    assert caught.value.hint


@pytest.mark.sqlite_only
def test_a_held_lock_never_reaches_the_user(night, night_contract, tmp_path, monkeypatch):
    """Another program holds the write lock for a while: steps wait, and nothing fails."""
    monkeypatch.setattr(connection, "BUSY_MS", 20)

    @step
    async def work(n: int) -> int:
        if n == 1:
            holder = apsw.Connection(str(tmp_path / "journal.db"))
            holder.execute("BEGIN IMMEDIATE")
            threading.Timer(0.3, lambda: holder.execute("ROLLBACK")).start()
        return n

    @job
    async def main(contract: night_contract) -> list[int]:
        return await work.map(range(5), concurrency=2)

    assert night.value(main) == [0, 1, 2, 3, 4]


def test_a_lock_that_is_never_given_back_is_explained(tmp_path, monkeypatch):
    """After minutes (here much less) StoreBusy names the command that tells who holds it."""
    monkeypatch.setattr(connection, "BUSY_MS", 1)
    monkeypatch.setattr(connection, "BUSY_ROUNDS", 3)
    path = str(tmp_path / "journal.db")
    journal = SqliteJournal(path, "x")
    holder = apsw.Connection(path)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match="doctor"):
        asyncio.run(journal.request_cancel(1))
    holder.execute("ROLLBACK")
    asyncio.run(journal.close())


def test_many_processes_open_a_new_store_at_once(program, log):
    """All of them make the same new file; each has its own run; no lock is ever told of."""
    run = program(
        """
CONTRACT = Night(n=int(ARGS[0]))

@step
async def work(n: int) -> int:
    return n

@job
async def main(contract: Night) -> int:
    return len(await work.map(range(40)))
"""
    )
    processes = [run.start(str(n)) for n in range(8)]
    outs = ["".join(process.communicate(timeout=60)) for process in processes]
    assert outs == ["result 40 40 0\n"] * 8


def test_a_store_in_memory(night_contract):
    """sqlite://:memory: works, for tests."""

    @step
    async def work(n: int) -> int:
        return n

    @job
    async def main(contract: night_contract) -> int:
        return sum(await work.map(range(5)))

    async def run():
        app = App(Settings(store="sqlite://:memory:"))
        try:
            first = await app.run(main, night_contract())
            return first.value, (await app.run(main, night_contract())).from_record
        finally:
            await app.close()

    assert asyncio.run(run()) == (10, True)
