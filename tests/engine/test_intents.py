"""An intent names who tries the effect; as long as that goes on, nobody else decides about it."""

import asyncio
import signal
import subprocess
import sys
import threading
import time

import pytest

from nightproof import effect, job
from nightproof.engines.attempt import vouching
from nightproof.errors import LeaseLost
from nightproof.journal.records import EffectRow
from nightproof.journal.trying import Trying, trying
from nightproof.model import identity
from nightproof.model.identity import ProcessIdentity
from nightproof.model.states import EffectState

ELSEWHERE = Trying(ProcessIdentity("another-machine/boot/pid", 7, 7), 1)


class World:
    """What the acts of a test do, and what there is to see of it."""

    def __init__(self, contract, plain=False):
        self.acts = 0
        self.probes = 0
        self.gate = asyncio.Event()
        self.open = threading.Event()

        async def found():
            self.probes += 1
            return await self.asked()

        @effect(key="report", unknown=found, name="post")
        async def post() -> int:
            self.acts += 1
            mine = self.acts
            if mine == 1:
                await self.gate.wait()
            return mine

        @effect(key="report", unknown=found, name="post")
        def post_plainly() -> int:
            self.acts += 1
            mine = self.acts
            if mine == 1:
                self.open.wait(20)
            return mine

        act = post_plainly if plain else post

        @job(name="posts")
        async def main(contract: contract) -> int:
            return await act()

        self.job = main

    async def asked(self):
        """What the probe answers: "not yet"."""

    async def until(self, what):
        async with asyncio.timeout(20):
            while not what():  # noqa: ASYNC110 - what is awaited has no event
                await asyncio.sleep(0.01)


async def row_of(night):
    app = night.app(alive=True)
    try:
        return await app.journal.effect("report")
    finally:
        await app.close()


def test_an_act_under_way_is_waited_for_by_who_took_the_run_over(night, night_contract):
    """It asks no probe; what the first does is confirmed though its run has another owner."""

    async def both():
        world = World(night_contract)
        first = asyncio.create_task(night.attempt(world.job))
        await world.until(lambda: world.acts)
        second = asyncio.create_task(night.attempt(world.job))
        await asyncio.sleep(0.7)
        assert not second.done()
        assert (world.acts, world.probes) == (1, 0)
        assert (await row_of(night)).output is None
        world.gate.set()
        assert isinstance((await first).error, LeaseLost)
        outcome = await second
        assert (outcome.value, outcome.executed, outcome.replayed) == (1, 0, 1)
        assert (world.acts, world.probes) == (1, 0)

    asyncio.run(both())


def test_an_act_that_was_stopped_is_given_up(night, night_contract):
    """Its intent names nobody any more, and the policy decides: also while the process lives."""

    async def main():
        world = World(night_contract)
        first = asyncio.create_task(night.attempt(world.job))
        await world.until(lambda: world.acts)
        assert trying((await row_of(night)).trying).process == identity.here()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        row = await row_of(night)
        assert (row.state, row.trying) == (EffectState.INTENDED, None)
        assert (await night.attempt(world.job)).value == 2
        assert world.probes == 1

    asyncio.run(main())


def test_a_thread_that_goes_on_is_an_act_under_way(night, night_contract):
    """A plain function cannot be stopped: who comes next waits until it is over, then asks."""

    async def main():
        world = World(night_contract, plain=True)
        first = asyncio.create_task(night.attempt(world.job))
        await world.until(lambda: world.acts)
        first.cancel()
        await asyncio.sleep(0.1)
        second = asyncio.create_task(night.attempt(world.job))
        await asyncio.sleep(0.7)
        assert (world.acts, world.probes) == (1, 0)
        world.open.set()
        assert (await second).value == 2
        assert world.probes == 1

    asyncio.run(main())


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_a_thread_that_its_timeout_finds_at_work_is_waited_for(night, night_contract, ends):
    """A probe would not see yet what it still does; what it returns, or raises, is what counts."""
    acts, probes = [], []

    def found() -> None:
        probes.append(len(acts))

    @effect(key="report", unknown=found, timeout=0.1, name="post")
    def post() -> int:
        acts.append(ends)
        if len(acts) == 1:
            time.sleep(0.6)
            if ends == "badly":
                raise ConnectionResetError("the line was cut")
        return len(acts)

    @job(name="posts")
    async def main(contract: night_contract) -> int:
        return await post()

    outcome = night.run(main)
    said = {"well": (1, ["well"], []), "badly": (2, ["badly"] * 2, [1])}[ends]
    assert (outcome.value, acts, probes) == said
    (late,) = night.notes(outcome.name, "effect-late")
    assert "longer than its timeout of 0.1 s" in late["message"]


def test_on_another_machine_beats_say_that_it_goes_on(night, night_contract):
    """Only silence over a whole lease lets anybody else decide."""

    async def main():
        world = World(night_contract)
        first = asyncio.create_task(night.attempt(world.job))
        await world.until(lambda: world.acts)
        own = trying((await row_of(night)).trying)
        app = night.app(alive=True)
        renamed = [("report", own.mark, ELSEWHERE.encode())]
        await asyncio.to_thread(app.journal.vouch, renamed)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        second = asyncio.create_task(night.attempt(world.job, lease=0.8))
        for beat in range(1, 8):
            await asyncio.sleep(0.2)
            now = ELSEWHERE._replace(beat=beat).encode()
            await asyncio.to_thread(app.journal.vouch, [("report", ELSEWHERE.mark, now)])
            assert world.probes == 0
        assert (await second).value == 2
        assert world.probes == 1
        await app.close()

    asyncio.run(main())


def test_this_process_says_that_its_acts_go_on(night, night_contract):
    """From a thread: also while the act holds up the event loop."""

    async def main():
        world = World(night_contract)
        first = asyncio.create_task(night.attempt(world.job, lease=0.6))
        await world.until(lambda: world.acts)
        time.sleep(0.5)  # noqa: ASYNC251 - nothing of the event loop runs now
        assert trying((await row_of(night)).trying).beat > 0
        world.gate.set()
        assert (await first).value == 1

    asyncio.run(main())


def test_what_happened_meanwhile_is_not_decided_away(night, night_contract, monkeypatch):
    """The act is confirmed while another asks its probe, which saw nothing: it is not done again."""
    monkeypatch.setattr(vouching.Watch, "goes_on", lambda *_: False)

    async def main():
        world = World(night_contract)
        first = asyncio.create_task(night.attempt(world.job))

        async def asked():
            world.gate.set()
            await asyncio.wait((first,))

        world.asked = asked
        await world.until(lambda: world.acts)
        outcome = await night.attempt(world.job)
        assert (outcome.value, world.acts, world.probes) == (1, 1, 1)

    asyncio.run(main())


def test_what_may_have_happened_twice_is_said(night, night_contract, monkeypatch):
    """A machine that was away and comes back finds that another one has acted."""
    monkeypatch.setattr(vouching.Watch, "goes_on", lambda *_: False)

    async def main():
        world = World(night_contract)
        first = asyncio.create_task(night.attempt(world.job))
        await world.until(lambda: world.acts)
        assert (await night.attempt(world.job)).value == 2
        world.gate.set()
        error = (await first).error
        assert isinstance(error, LeaseLost)
        assert "may have happened twice" in error.message
        assert "'report'" in error.message
        assert (await row_of(night)).output == b"2"

    asyncio.run(main())


def test_a_process_that_is_stopped_will_go_on_where_it_was():
    """It gives no sign, but it is not over; once it is dead, it is."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        here = identity.here()
        there = ProcessIdentity(here.host, process.pid, identity._started(process.pid))
        row = EffectRow(
            "k", "post", 1, EffectState.INTENDED, b"", b"[]", 1, 1, None, None, "", "r",
            Trying(there, 1).encode(),
        )  # fmt: skip
        watch = vouching.Watch(0.0)
        assert not watch.goes_on(row), "alive, and silent"
        process.send_signal(signal.SIGSTOP)
        while not identity.is_stopped(there):
            time.sleep(0.01)
        assert watch.goes_on(row)
        assert "stopped" in watch.told(row)
    finally:
        process.kill()
        process.communicate()
    assert not watch.goes_on(row)


@pytest.mark.parametrize("data", [None, b"", b"null", b"{}", b'{"by":[1,2]}', b"\xff", b"[1]"])
def test_what_names_nobody(data):
    """Rows of older versions, results, rubbish."""
    assert trying(data) is None
