"""Disks fill up, files are damaged, locks are held: nothing acknowledged is lost, and it is said."""

import asyncio
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from nightproof import effect, job, step
from nightproof.app import App
from nightproof.config import Settings
from nightproof.errors import (
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreTooNew,
)
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


def crashed_copy(program, tmp_path: Path, log) -> Path:
    """A journal with its -wal, as a kill -9 leaves it, of at least 20 acknowledged steps."""
    run = program(
        """
@step
async def work(n: int) -> int:
    if n == 30:
        os.kill(os.getpid(), signal.SIGKILL)
    return n

@step
async def told(n: int) -> int:
    log(f"acknowledged {n}")
    return n

@job
async def main(contract: Night) -> int:
    for n in range(31):
        await work(n)
        await told(n)
    return 31
"""
    )
    code, out = run.run()
    assert code == -signal.SIGKILL, out
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tmp_path.glob("journal.db*"):
        shutil.copy(path, copy / path.name)
    assert (copy / "journal.db-wal").stat().st_size > 50_000
    return copy


def prefix(path: Path) -> list[bytes]:
    """The recorded outputs, in order."""

    async def read():
        journal = SqliteJournal(str(path), "x")
        try:
            row = await journal.find("main")
            return [] if row is None else await journal.entries(row.id, (1,))
        finally:
            await journal.close()

    return [entry.output for entry in asyncio.run(read())]


@pytest.mark.sqlite_only
def test_what_was_acknowledged_survives_kill_nine(program, tmp_path, log):
    """Every step that returned before the kill is there."""
    copy = crashed_copy(program, tmp_path, log)
    outputs = prefix(copy / "journal.db")
    assert outputs == [str(n // 2).encode() for n in range(60)]


@pytest.mark.sqlite_only
@pytest.mark.parametrize("keep", [0.25, 0.5, 0.9])
@pytest.mark.parametrize("how", ["torn", "garbage"])
def test_a_torn_wal_tail(program, tmp_path, log, keep, how):
    """The history before the tear is whole, in order and usable; nothing behind it appears."""
    copy = crashed_copy(program, tmp_path, log)
    wal = copy / "journal.db-wal"
    data = wal.read_bytes()
    cut = int(len(data) * keep) + 77
    rest = b"" if how == "torn" else bytes(len(data) - cut)
    wal.write_bytes(data[:cut] + rest)
    outputs = prefix(copy / "journal.db")
    assert outputs == [str(n // 2).encode() for n in range(len(outputs))]
    assert len(outputs) < 60
    # The tables themselves lie in front of the steps.
    assert len(outputs) > 60 * keep - 25


def page_of(path: Path, needle: bytes) -> int:
    """Where in the file a value lies."""
    at = path.read_bytes().find(needle)
    assert at > 0
    return at


@pytest.mark.sqlite_only
def test_a_flipped_byte_in_a_result_is_noticed(night, killed, night_contract, tmp_path):
    """The entry's checksum does not fit: its step runs again, and it is said."""
    calls, alive = [], []

    @step
    async def work(name: str) -> str:
        calls.append(name)
        return f"precious {name}"

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 1

    @job(name="flipped")
    async def main(contract: night_contract) -> list[str]:
        got = [await work("one"), await work("two")]
        await after()
        return got

    night.die(main)
    path = tmp_path / "journal.db"
    apsw.Connection(str(path)).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    data = bytearray(path.read_bytes())
    data[page_of(path, b"precious two")] ^= 0x01
    path.write_bytes(data)
    alive.append(1)
    outcome = night.run(main)
    assert outcome.value == ["precious one", "precious two"]
    assert calls == ["one", "two", "two"]
    (note,) = night.notes(outcome.name, "damaged")
    assert note["count"] == 1


@pytest.mark.sqlite_only
def test_a_flipped_byte_in_the_result_of_a_run_is_noticed(night, night_contract, tmp_path):
    """A complete run does not return a result that is not what was written."""

    @job(name="flipped")
    async def main(contract: night_contract) -> str:
        return "the precious result"

    night.value(main)
    path = tmp_path / "journal.db"
    apsw.Connection(str(path)).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    data = bytearray(path.read_bytes())
    data[page_of(path, b"precious result")] ^= 0x01
    path.write_bytes(data)
    outcome = night.run(main)
    assert outcome.value == "the precious result"


@pytest.mark.sqlite_only
def test_a_destroyed_page_says_what_to_do(night, night_contract, tmp_path):
    """StoreDamaged, never a wrong result; `check` tells of it too."""
    main = filling(night_contract, [], 2000)
    night.value(main)
    path = tmp_path / "journal.db"
    apsw.Connection(str(path)).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    data = bytearray(path.read_bytes())
    for page in range(4096 * 32, len(data) - 4096, 4096):
        data[page : page + 64] = b"\xff" * 64
    path.write_bytes(data)

    async def check(app):
        return await app.journal.check()

    assert night.ask(check) != []
    with pytest.raises(StoreDamaged, match="doctor"):
        night.entries("filling")


@pytest.mark.parametrize(
    "text", [b"not a database at all" * 500, b"SQLite format 3\x00" + b"\xff" * 5000]
)
def test_a_file_that_is_no_database(tmp_path, text):
    """It is not touched, and the message says so."""
    path = tmp_path / "journal.db"
    path.write_bytes(text)
    with pytest.raises(StoreDamaged):
        SqliteJournal(str(path), "x")
    assert path.read_bytes() == text


@pytest.mark.parametrize("version", [0, 1, 99])
def test_somebody_elses_database_is_left_alone(tmp_path, version):
    """Whatever its user_version: refused, with its journal mode as it was."""
    path = tmp_path / "theirs.db"
    theirs = apsw.Connection(str(path))
    theirs.execute(f"CREATE TABLE t (x); PRAGMA user_version={version}")
    theirs.close()
    with pytest.raises(StoreDamaged, match="not a nightproof journal"):
        SqliteJournal(str(path), "x")
    assert apsw.Connection(str(path)).execute("PRAGMA journal_mode").get == "delete"


def test_a_newer_schema_is_refused(tmp_path):
    """With both versions, and what to install."""
    path = tmp_path / "journal.db"
    asyncio.run(SqliteJournal(str(path), "x").close())
    apsw.Connection(str(path)).execute("PRAGMA user_version=99")
    with pytest.raises(StoreTooNew, match="99") as caught:
        SqliteJournal(str(path), "x")
    assert caught.value.exit_code == 2


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


@pytest.mark.sqlite_only
def test_retention_never_leaves_half_a_run(program, tmp_path, log):
    """kill -9 at any moment of it: a run is there with all of its history, or not at all."""
    run = program(
        """
async def fill(app):
    for n in range(30):
        await app.run(job_, Night(n=n))

@step(pure=True)
async def work(n: int) -> int:
    return n

@job(name="kept")
async def job_(contract: Night) -> int:
    return sum(await work.map(range(100)))

@job
async def main(contract: Night) -> int:
    return 0

async def _retain():
    app = App(Settings(store=STORE))
    if ARGS[0] == "fill":
        await fill(app)
    else:
        log("begun")
        await app.journal.retain(2**62, 0, None, False)
    await app.close()
asyncio.run(_retain())
sys.exit()
"""
    )
    assert run.run("fill")[0] == 0
    half = 0
    for attempt in range(6):
        process = run.start("retain")
        while len(log()) <= attempt:
            time.sleep(0.001)
        time.sleep(0.002 * attempt)
        process.kill()
        process.communicate()
        db = apsw.Connection(str(tmp_path / "journal.db"))
        runs = db.execute("SELECT id FROM run").fetchall()
        half += 0 < len(runs) < 30
        for (number,) in runs:
            assert (
                db.execute("SELECT count(*) FROM entry WHERE run=? AND kind=1", (number,)).get
                == 100
            )
        for table in ("entry", "attempt", "blob_use", "signal"):
            assert (
                db.execute(
                    f"SELECT count(*) FROM {table} WHERE run NOT IN (SELECT id FROM run)"
                ).get
                == 0
            )
        db.close()


def test_retention_keeps_the_newest_and_what_is_open(night, night_contract):
    """`keep` newest finished runs of each job stay, parked ones too, and the effect ledger."""
    from nightproof import effect, sleep

    acts = []

    @effect(key="k/{n}")
    async def act(n: int) -> int:
        acts.append(n)
        return n

    @job(name="kept")
    async def main(contract: night_contract) -> int:
        if contract.n == 9:
            await sleep(3600)
        return await act(contract.n)

    for n in (9, 1, 2, 3):
        night.run(main, night_contract(n=n))

    async def retain(app):
        dry = await app.journal.retain(2**62, 1, None, True)
        real = await app.journal.retain(2**62, 1, None, False)
        return dry, real

    dry, real = night.ask(retain)
    assert dry.names == real.names
    assert (dry.runs, real.runs) == (2, 2)
    assert night.run(main, night_contract(n=3)).from_record
    again = night.run(main, night_contract(n=1))
    assert (again.from_record, again.value) == (False, 1)
    assert acts == [1, 2, 3]


@pytest.mark.sqlite_only
def test_retention_leaves_a_run_alone_that_somebody_begins_to_work_on(night, night_contract):
    """Between choosing and deleting a failed run another process resumes it."""

    @job(name="kept")
    async def main(contract: night_contract) -> int:
        raise ValueError("no")

    name = night.run(main).name

    async def retain(app):
        other = SqliteJournal(app.journal._db.path, "x")
        chosen = await app.journal.runs(_everything())
        other._db.execute("UPDATE run SET status = 'running'")

        async def stale(want):
            return chosen

        app.journal.runs = stale
        found = await app.journal.retain(2**62, 0, None, False)
        await other.close()
        return found

    assert night.ask(retain).names == ()
    assert night.row(name).name == name


def test_a_new_run_does_not_get_the_effects_of_one_that_was_removed(night, night_contract):
    """The ledger outlives the newest run; the next one is another, whatever it did."""

    @effect(key="told/{n}")
    def told(n: int) -> int:
        return n

    @job(name="tells")
    async def main(contract: night_contract) -> int:
        return await told(contract.n)

    assert night.value(main, night_contract(n=1)) == 1
    night.ask(lambda app: app.journal.retain(2**62, 0, None, False))

    @job(name="quiet")
    async def other(contract: night_contract) -> int:
        return contract.n

    row = night.row(night.run(other, night_contract(n=2)).name)
    assert night.ask(lambda app: app.journal.effects(row.id)) == []
    assert night.value(main, night_contract(n=1)) == 1, "and the ledger still knows it"


def _everything():
    from nightproof.journal.records import RunFilter

    return RunFilter(limit=-1)


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
