"""Runs that do not come on are told once, and once more when they do."""

import asyncio

from nightproof import effect, job, observe, sleep, step
from nightproof.journal.records import RunFilter

OPEN, CLEARED = "opened", "cleared"


def test_a_hung_step_is_told_once_and_again_when_it_goes_on(
    night, told, fake_clock, night_contract
):
    """Nothing before the limit; then one alert however often one looks; then its end."""
    go = asyncio.Event()

    @step
    async def first() -> int:
        return 1

    @step
    async def second() -> int:
        await go.wait()
        return 2

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return await first() + await second()

    async def ask(app):
        watcher = observe.Watcher(night.settings(stall=900), [told])
        other = observe.Watcher(night.settings(stall=900), [told])
        working = asyncio.ensure_future(night.attempt(main, alive=True))
        rows = await night.until(lambda: app.journal.runs(RunFilter()))
        await night.until(lambda: app.journal.checkpoint(rows[0].id))
        fake_clock.at += 899
        await watcher(app.journal)
        assert told.news == []
        fake_clock.at += 2
        for one in (watcher, other, watcher):
            await one(app.journal)
        assert told.news == [("stalled", OPEN)]
        assert "15 min" in told.texts[0]
        assert ".first' at" in told.texts[0]
        assert f"nightproof watch {rows[0].name}" in told.texts[0]
        go.set()
        await working
        for one in (watcher, other, watcher):
            await one(app.journal)

    night.ask(ask)
    assert told.news == [("stalled", OPEN), ("stalled", CLEARED)]
    assert "over after 0.0 s" in told.texts[1]


def test_a_run_that_its_process_left_is_told(
    night, watch, told, fake_clock, killed, night_contract
):
    """A dead owner, and nobody who resumes it."""

    @step
    async def dies() -> int:
        raise killed

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return await dies()

    night.die(main)
    fake_clock.at += 10
    assert watch(stall=20) == []
    fake_clock.at += 10
    assert watch(stall=20) == [("stalled", OPEN)]
    assert "is gone, and nobody has resumed it" in told.texts[0]


def test_a_parked_run_that_nobody_wakes_is_told(night, watch, told, fake_clock, night_contract):
    """Parked is no stall; parked long after its time is."""

    @job(name="main")
    async def main(contract: night_contract) -> int:
        await sleep(3600)
        return 1

    assert night.run(main).status == "parked"
    fake_clock.at += 3000
    assert watch() == []
    fake_clock.at += 2000
    assert watch() == [("stalled", OPEN)]
    assert "nobody has resumed it" in told.texts[0]
    night.run(main)
    assert watch() == [("stalled", OPEN), ("stalled", CLEARED)]


def test_an_effect_that_waits_for_a_decision_is_told(night, watch, told, killed, night_contract):
    """The run stops until a person has decided; that is told, and its end."""
    broken = True

    @effect(key="k")
    async def act() -> int:
        if broken:
            raise killed
        return 1

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return await act()

    night.die(main)
    night.run(main)
    assert watch() == [("held", OPEN)]
    assert "nightproof resolve" in told.texts[0]
    night.resolve("k", True, b"1")
    assert night.run(main).status == "completed"
    assert watch() == [("held", OPEN), ("held", CLEARED)]


def test_a_failed_night_is_told_and_clears_when_it_completes(
    night, watch, told, fake_clock, night_contract
):
    """Resumed and failed again it is still the same incident; old failures are no news."""
    broken = True

    @step(retry=None)
    async def work() -> int:
        if broken:
            raise KeyError("gone")
        return 1

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return await work()

    night.run(main, night_contract(n=1))
    fake_clock.at += 90_000
    assert watch() == []
    night.run(main)
    assert watch() == [("failed", OPEN)]
    assert "KeyError" in told.texts[0]
    night.run(main)
    fake_clock.at += 90_000
    assert len(watch()) == 1
    broken = False
    night.run(main)
    assert watch() == [("failed", OPEN), ("failed", CLEARED)]


def test_a_job_has_its_own_limit(night, watch, fake_clock, killed, night_contract):
    """`@job(stall=...)` wins over the setting."""

    @step
    async def dies() -> int:
        raise killed

    @job(name="main", stall=50)
    async def main(contract: night_contract) -> int:
        return await dies()

    night.die(main)
    fake_clock.at += 49
    assert watch(stall=10) == []
    fake_clock.at += 1
    assert watch(stall=10) == [("stalled", OPEN)]


def test_a_child_that_comes_on_keeps_its_parent_alive(night, told, fake_clock, night_contract):
    """The parent records nothing while it waits; its child does."""
    go = [asyncio.Event(), asyncio.Event()]

    @step
    async def turn(i: int) -> int:
        await go[i].wait()
        return i

    @job(name="inner")
    async def inner(contract: night_contract) -> int:
        return await turn(0) + await turn(1)

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return await inner(contract)

    async def ask(app):
        watcher = observe.Watcher(night.settings(stall=100), [told])
        working = asyncio.ensure_future(night.attempt(main, alive=True))
        await night.until(lambda: _two(app.journal))
        fake_clock.at += 90
        go[0].set()
        [child] = [row for row in await app.journal.runs(RunFilter()) if row.parent]
        await night.until(lambda: app.journal.checkpoint(child.id))
        fake_clock.at += 90
        await watcher(app.journal)
        assert told.news == []
        fake_clock.at += 20
        await watcher(app.journal)
        assert told.news == [("stalled", OPEN)]
        go[1].set()
        await working

    night.ask(ask)


async def _two(journal):
    return len(await journal.runs(RunFilter())) == 2
