"""A result is returned only to the same step with the same inputs, whatever happened between."""

import asyncio

import pytest

from nightproof import Ambient, NightproofError, StepFailed, job, step


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
            await asyncio.sleep(0.3)  # the lazily written lines reach the disk
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


def test_order_and_concurrency_do_not_matter(night, killed, night_contract):
    """gather and TaskGroup in another order after a crash: each call gets its own result."""
    calls, order, alive = [], [3, 1, 2], []

    @step
    async def work(n: int) -> int:
        calls.append(n)
        await asyncio.sleep(0.01 * n)
        return n * 10

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 0

    @job
    async def main(contract: night_contract) -> list[int]:
        first = await asyncio.gather(*(work(n) for n in order))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work(n + 10)) for n in order]
        await after()
        return [*first, *(task.result() for task in tasks)]

    night.die(main)
    order.sort()
    alive.append(1)
    outcome = night.run(main)
    assert outcome.value == [10, 20, 30, 110, 120, 130]
    assert len(calls) == 6
    assert outcome.divergences == []


def test_equal_calls_are_told_apart_by_their_occurrence(night, killed, night_contract):
    """The same step with the same inputs three times: three results, replayed in order."""
    calls, alive = [], []

    @step
    async def draw(name: str) -> int:
        calls.append(name)
        return len(calls)

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 0

    @job
    async def main(contract: night_contract) -> list[int]:
        drawn = [await draw("a") for _ in range(2)]
        drawn += await draw.map(["a", "b", "a"], concurrency=1)
        await after()
        return drawn

    night.die(main)
    alive.append(1)
    assert night.value(main) == [1, 2, 3, 4, 5]


def test_nested_steps_are_ordinary_calls(night, night_contract):
    """A step inside a step is not recorded on its own; outside a run nothing is."""

    @step
    def half(n: int) -> int:
        return n // 2

    @step
    async def quarter(n: int) -> int:
        assert await half.map([2, 4]) == [1, 2]
        return await half(await half(n))

    @job
    async def main(contract: night_contract) -> int:
        return await quarter(8)

    outcome = night.run(main)
    assert (outcome.value, outcome.executed) == (2, 1)
    assert asyncio.run(quarter(8)) == 2
    assert half.fn(8) == 4


def test_defaults_and_keywords_are_one_identity(night, killed, night_contract):
    """f(1), f(n=1) and f(1, m=2) with the default m=2 are the same call."""
    calls, alive = [], []

    @step
    async def work(n: int, m: int = 2) -> int:
        calls.append((n, m))
        return n + m

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 0

    @job
    async def main(contract: night_contract) -> int:
        got = await (work(1, m=2) if alive else work(n=1))
        await after()
        return got

    night.die(main)
    alive.append(1)
    outcome = night.run(main)
    assert (outcome.value, calls, outcome.divergences) == (3, [(1, 2)], [])


def test_ambient_parameters_are_no_part_of_the_identity(night, killed, night_contract):
    """A client differs in every attempt, and is neither stored nor compared."""
    calls, alive = [], []

    class Client:
        pass

    @step
    async def fetch(client: Ambient[Client], n: int) -> int:
        assert isinstance(client, Client)
        calls.append(n)
        return n

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 0

    @job
    async def main(contract: night_contract) -> int:
        got = await fetch(Client(), 1)
        await after()
        return got

    night.die(main)
    alive.append(1)
    outcome = night.run(main)
    assert (outcome.value, calls) == (1, [1])
    (entry, _) = night.entries(outcome.name, 1)
    assert entry.inputs == b"[1]"


def test_two_functions_of_one_name_are_refused(night, night_contract):
    """Their results could not be told apart."""

    def make(factor: int):
        @step(name="scale")
        async def scale(n: int) -> int:
            return n * factor

        return scale

    one, other = make(1), make(2)

    @job
    async def main(contract: night_contract) -> int:
        return await one(1) + await other(1)

    with pytest.raises(NightproofError, match="two different functions"):
        night.value(main)
