"""A result is returned only to the same step with the same inputs, whatever happened between."""

import asyncio

import pytest

from nightproof import StepFailed, job, step


def test_steps_run_once_and_a_complete_run_returns_its_record(night, night_contract):
    """Async and plain steps; the second run of one contract executes nothing."""
    calls = []

    @step
    async def double(n: int) -> int:
        calls.append(n)
        return 2 * n

    @step
    def plus(n: int, m: int = 1) -> int:
        calls.append((n, m))
        return n + m

    @job
    async def main(contract: night_contract) -> int:
        return await plus(await double(contract.n), m=5)

    first = night.run(main, night_contract(n=3))
    assert (first.value, first.executed, first.replayed, first.from_record) == (11, 2, 0, False)
    second = night.run(main, night_contract(n=3))
    assert (second.value, second.executed, second.replayed, second.from_record) == (11, 0, 2, True)
    assert night.run(main, night_contract(n=4)).value == 13
    assert calls == [3, (6, 5), 4, (8, 5)]


def test_a_crash_keeps_what_was_recorded(night, killed, night_contract):
    """After a crash the recorded steps are replayed, and the rest runs."""
    calls = []
    alive = False

    @step
    async def work(n: int) -> int:
        if n == 3 and not alive:
            raise killed
        calls.append(n)
        return n * n

    @job
    async def main(contract: night_contract) -> list[int]:
        return [await work(n) for n in range(5)]

    night.die(main)
    alive = True
    outcome = night.run(main)
    assert outcome.value == [0, 1, 4, 9, 16]
    assert (outcome.executed, outcome.replayed) == (2, 3)
    assert calls == [0, 1, 2, 3, 4]


def test_the_history_continues_behind_log_lines(night, killed, night_contract):
    """A crash right after log entries: the next attempt's entries do not collide with them."""
    from nightproof import decide, measure

    alive = False

    @step
    async def work(n: int) -> int:
        if n == 1 and not alive:
            await asyncio.sleep(0.06)  # the lazily written lines reach the disk
            raise killed
        return n

    @job
    async def main(contract: night_contract) -> int:
        await work(0)
        for n in range(5):
            measure("n", n)
        decide("go on", because="it is a test")
        return await work(1)

    night.die(main)
    alive = True
    outcome = night.run(main)
    assert outcome.value == 1
    seqs = [entry.seq for entry in night.entries(outcome.name)]
    assert seqs == sorted(set(seqs))
    assert len(night.notes(outcome.name, "measure")) == 10


def test_a_failed_run_tries_again_and_keeps_the_rest(night, night_contract):
    """Resume of a failed run: only the failed step runs again."""
    calls = []
    well = False

    @step
    async def work(n: int) -> int:
        calls.append(n)
        if n == 2 and not well:
            raise ValueError("bad two")
        return n

    @job
    async def main(contract: night_contract) -> list[int]:
        return [await work(n) for n in range(4)]

    first = night.run(main)
    assert first.status == "failed"
    assert isinstance(first.error, StepFailed)
    again = night.run(main)
    assert again.status == "failed"
    assert calls == [0, 1, 2, 2]
    well = True
    assert night.value(main) == [0, 1, 2, 3]
    assert calls == [0, 1, 2, 2, 2, 3]
    assert night.run(main).from_record
