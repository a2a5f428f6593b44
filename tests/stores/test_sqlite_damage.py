"""Files of a journal that were torn, damaged, or are somebody else's: said, and nothing acknowledged is lost."""

import asyncio
import os
import shutil
import signal
from pathlib import Path

import apsw
import pytest

from nightproof import job, step
from nightproof.errors import StoreDamaged, StoreTooNew
from nightproof.stores.sqlite import SqliteJournal


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
