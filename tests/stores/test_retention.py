"""Old runs are removed whole."""

import time

import apsw
import pytest

from nightproof import effect, job
from nightproof.stores.sqlite import SqliteJournal


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
