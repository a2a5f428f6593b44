"""Journals of every released schema are replayed for ever."""

import asyncio
import re
import shutil
from importlib import import_module
from pathlib import Path

import apsw
import pytest

from nightproof.journal.records import RunFilter
from nightproof.stores.sqlite import open_reader
from nightproof.stores.sqlite.schema import MIGRATIONS, VERSION

pytestmark = pytest.mark.sqlite_only

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def golden_jobs(monkeypatch):
    """The kept jobs, freshly imported."""
    monkeypatch.syspath_prepend(str(GOLDEN.parents[1]))
    return import_module("tests.golden.jobs")


@pytest.mark.parametrize("version", [f"v{n}" for n in range(1, VERSION + 1)])
def test_a_journal_of_every_schema_is_replayed(night, golden_jobs, tmp_path, version):
    """Opened by the present code, the run goes on where it died, and repeats nothing."""
    shutil.copytree(GOLDEN / version, tmp_path, dirs_exist_ok=True)
    golden_jobs.PERFORMED.clear()
    golden_jobs.ALIVE.append(1)
    try:
        outcome = night.run(golden_jobs.golden, golden_jobs.Night())
    finally:
        golden_jobs.ALIVE.clear()
    assert outcome.error is None
    assert golden_jobs.PERFORMED == []
    assert (outcome.executed, outcome.divergences) == (1, [])
    said = outcome.value
    assert said[0] == "{'JP': 3.3, 'DE': 3.3, 'US': 2.2}"
    assert said[1] == "True"
    assert said[2] == "step 'fail' failed: ValueError: bad 1"
    assert re.match(r"2026-11-22 ", said[3])
    assert said[6:9] == ["7", "8", "49"]
    assert said[9:12] == ["yes", "sent mon", "42"]
    assert said[13] == "done"
    assert night.run(golden_jobs.golden, golden_jobs.Night()).from_record
    db = apsw.Connection(str(tmp_path / "journal.db"))
    assert db.execute("PRAGMA user_version").get == VERSION
    db.close()


@pytest.mark.parametrize("version", [f"v{n}" for n in range(1, VERSION + 1)])
def test_a_journal_of_every_schema_can_be_read_as_it_is(tmp_path, version):
    """Whoever only looks changes nothing, and finds what was there."""
    shutil.copy(GOLDEN / version / "journal.db", tmp_path)
    before = (tmp_path / "journal.db").read_bytes()
    reader = open_reader(str(tmp_path / "journal.db"), "")

    async def look():
        rows = await reader.runs(RunFilter())
        assert rows
        for row in rows:
            assert await reader.find(row.name) == row
            assert await reader.attempts(row.id)
            await reader.recorded(row.id, [b"x"])
            await reader.effects(row.id)
            await reader.checkpoint(row.id)
        assert await reader.quotas(1) == []
        assert await reader.incidents() == []
        assert await reader.schedules() == []

    asyncio.run(look())
    assert (tmp_path / "journal.db").read_bytes() == before


def test_there_is_a_golden_journal_for_every_schema():
    """A new schema version is not released without one: ``python -m tests.golden.make``."""
    assert {path.name for path in GOLDEN.glob("v*")} == {f"v{n}" for n in range(1, VERSION + 1)}
    assert len(MIGRATIONS) == VERSION


def test_a_migration_that_is_cut_off_leaves_the_old_version(night, tmp_path, monkeypatch):
    """One script, one transaction: a failure inside leaves a journal of the version before."""
    from nightproof.errors import StoreError
    from nightproof.stores.sqlite import SqliteJournal, connection

    asyncio.run(SqliteJournal(str(tmp_path / "journal.db"), "x").close())
    monkeypatch.setattr(connection, "VERSION", VERSION + 1)
    monkeypatch.setattr(
        connection, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE extra (x); CREATE TABLE run (x);")
    )
    with pytest.raises(StoreError):
        SqliteJournal(str(tmp_path / "journal.db"), "x")
    monkeypatch.undo()
    db = apsw.Connection(str(tmp_path / "journal.db"))
    assert db.execute("PRAGMA user_version").get == VERSION
    assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'extra'").get == 0
    db.close()
