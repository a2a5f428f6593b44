"""What a store keeps of schedules and of what ran for them."""

import asyncio
import shutil
from pathlib import Path

from nightproof import job
from nightproof.app import open_reader
from nightproof.config import Settings
from nightproof.journal.records import RunFilter, run_name
from nightproof.journal.schedules import FireRow, ScheduleRow

GOLDEN = Path(__file__).parents[1] / "golden"
JOB = "main"
ROW = ScheduleRow("main/tonight", "main", "jobs.py:main", '{"at": "04:30"}', 1000, 1000)


def test_since_stays_until_the_spec_changes(night):
    """Serving again only moves `seen`; another time of night starts a new count."""

    async def ask(app):
        keep = app.journal.keep_schedule
        assert await keep(ROW) == ROW
        assert (await keep(ROW._replace(since=5000, seen=5000)))[4:] == (1000, 5000)
        changed = ROW._replace(spec='{"at": "05:30"}', since=6000, seen=6000)
        assert (await keep(changed))[3:] == ('{"at": "05:30"}', 6000, 6000)
        assert [row.name for row in await app.journal.schedules()] == ["main/tonight"]

    night.ask(ask)


def test_whoever_comes_first_fixes_the_contract(night):
    """A second contract for the same time is not taken; times are found by range."""

    async def ask(app):
        first = FireRow("main/tonight", 1000, "main-1", b"{}")
        assert await app.journal.fire(first) == (first, True)
        second = FireRow("main/tonight", 1000, "main-2", b"[]")
        assert await app.journal.fire(second) == (first, False)
        other, _ = await app.journal.fire(FireRow("main/tonight", 3000, "main-2", b"[]"))
        assert await app.journal.fires("main/tonight", 1000, 3000) == [first, other]
        assert await app.journal.fires("main/tonight", 1001, 2999) == []
        assert await app.journal.fires("other", 0, 9999) == []

    night.ask(ask)


def test_a_night_has_run_even_when_its_run_was_collected(night, night_contract):
    """`ran` follows the run; collection takes the contract and leaves the night."""
    contract = night_contract(n=7)
    name = run_name(JOB, contract.digest)

    @job(name=JOB)
    async def main(contract: night_contract) -> int:
        return contract.n

    async def ask(app):
        row = FireRow("main/tonight", 1000, name, contract.canonical())
        assert not (await app.journal.fire(row))[0].ran
        outcome = await app.run(main, contract)
        assert outcome.name == name
        [found] = await app.journal.fires("main/tonight", 1000, 1000)
        assert (found.ran, found.contract) == (True, contract.canonical())
        await app.journal.retain(2**60, 0, None, False)
        assert await app.journal.runs(RunFilter()) == []
        [found] = await app.journal.fires("main/tonight", 1000, 1000)
        assert (found.ran, found.contract) == (True, None)

    night.ask(ask)


def test_an_older_journal_that_is_only_read_has_no_schedules(tmp_path):
    """Reading brings nothing forward, and does not stumble over tables that are not there."""
    shutil.copytree(GOLDEN / "v2", tmp_path, dirs_exist_ok=True)
    reader = open_reader(Settings(store=f"sqlite:///{tmp_path / 'journal.db'}"))
    assert asyncio.run(reader.schedules()) == []
    assert asyncio.run(reader.fires("main/tonight", 0, 2**60)) == []
