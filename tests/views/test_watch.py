"""How a run is doing: heartbeat, progress, output beside its history, decisions."""

import asyncio

import pytest

from nightproof import decide, job, measure, step, views
from nightproof.journal.records import RunFilter
from nightproof.views import watch as watching
from nightproof.views.usual import usual
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


def test_many_events_are_read_a_little_at_a_time(night, night_contract, monkeypatch):
    """A run that said very much does not hold up a page: the next look goes on where it stopped."""

    @job(name="main")
    async def main(contract: night_contract) -> int:
        for n in range(2 * watching.EVENTS + 50):
            measure("rows", n)
        return contract.n

    names = [night.run(main, night_contract(n=n)).name for n in range(2)]

    async def look(app):
        history, read, looks = watching.History(), [], []
        plain = app.journal.entries

        async def entries(*args, **more):
            found = await plain(*args, **more)
            read.append(len(found))
            return found

        monkeypatch.setattr(app.journal, "entries", entries)
        row = await views.open_run(app.journal, names[1])
        while not looks or not looks[-1].complete:
            seconds = iter(range(1_000))
            with monkeypatch.context() as patch:
                patch.setattr(watching.clock, "perf", lambda ticks=seconds: float(next(ticks)))
                looks.append(await usual(app.journal, row, history, 1.0))
            assert sum(read) <= 2 * watching.EVENTS
            assert len(looks) < 20
            read.clear()
        await usual(app.journal, row, history, 1.0)
        return looks, read

    looks, read = night.ask(look)
    assert len(looks) > 2
    assert not looks[0].outputs
    last = 2 * watching.EVENTS + 49
    assert [(one.name, one.values) for one in looks[-1].outputs] == [("rows", [last, last])]
    assert read == []
