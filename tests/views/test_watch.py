"""How a run is doing: heartbeat, progress, output beside its history, decisions."""

import asyncio

import pytest

from nightproof import decide, job, measure, step, views
from nightproof.journal.records import RunFilter
from nightproof.views.watch import watch


def doing(night, name):
    """What the view says of a run."""

    async def ask(app):
        row = await views.open_run(app.journal, name)
        return await watch(app.journal, row, stall=60, lease=30)

    return night.ask(ask)


def test_output_is_shown_beside_the_nights_before(night, fake_clock, night_contract):
    """Only completed nights that ended before count; a replicate is no night."""

    @job(name="main")
    async def main(contract: night_contract) -> int:
        measure("rows", contract.n)
        if contract.n == 50:
            raise KeyError("fifty")
        decide("kept the old rate", because="the ECB has no new one")
        return contract.n

    names = []
    for n in (10, 30, 20, 50, 0, 99):
        names.append(night.run(main, night_contract(n=n)).name)
        fake_clock.at += 100
    night.run(main, night_contract(n=10), replicate=-1)
    found = doing(night, names[4])
    [rows] = found.outputs
    assert (rows.value, rows.median, rows.nights, rows.zeros, rows.silent) == (0, 20, 3, 0, True)
    assert [(one.what, one.because) for one in found.decisions] == [
        ("kept the old rate", "the ECB has no new one")
    ]
    [first] = doing(night, names[0]).outputs
    assert (first.median, first.nights, first.silent) == (None, 0, False)


@pytest.mark.sqlite_only
def test_a_run_that_works_has_a_heartbeat_and_a_last_checkpoint(night, fake_clock, night_contract):
    """Seconds since it came on, and after how many it has stalled."""
    go = asyncio.Event()

    @step(name="first")
    async def first() -> int:
        return 1

    @step(name="second")
    async def second() -> int:
        await go.wait()
        return 2

    @job(name="main", stall=50)
    async def main(contract: night_contract) -> int:
        return await first() + await second()

    async def ask(app):
        working = asyncio.ensure_future(night.attempt(main, alive=True))
        rows = await night.until(lambda: app.journal.runs(RunFilter()))
        await night.until(lambda: app.journal.checkpoint(rows[0].id))
        fake_clock.at += 7
        found = await watch(app.journal, rows[0], stall=60, lease=30)
        go.set()
        await working
        return found

    found = night.ask(ask)
    assert (found.alive, found.step, found.silent, found.limit) == (True, "first", 7.0, 50.0)
    assert found.heartbeat == found.checkpoint
