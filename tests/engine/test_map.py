"""Maps and streams: items are checkpointed on their own and never change places."""

import asyncio
import random
import tracemalloc

import pytest

from nightproof import Retry, StepFailed, job, step
from nightproof.engines.embedded import Engine
from nightproof.errors import CodecError, MisuseError, StoreFull
from nightproof.stores.sqlite import SqliteJournal


def test_results_come_in_the_order_of_the_items(night, night_contract):
    """Whatever order they finish in; bounded by the concurrency."""
    running, most = 0, 0

    @step
    async def work(n: int, plus: int = 0) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001 * (n % 3))
        running -= 1
        return n * n + plus

    @job
    async def main(contract: night_contract) -> list[int]:
        return await work.map(range(50), concurrency=7, plus=1)

    assert night.value(main) == [n * n + 1 for n in range(50)]
    assert most == 7


def test_plain_steps_map_in_threads(night, night_contract):
    """A plain function is mapped beside itself."""

    @step
    def work(n: int) -> int:
        return -n

    @job
    async def main(contract: night_contract) -> list[int]:
        return await work.map((n for n in range(20)), concurrency=4)

    assert night.value(main) == [-n for n in range(20)]


@pytest.mark.parametrize("how", ["option", "settings"])
def test_concurrency_can_be_changed_from_outside(night, night_contract, how):
    """An option of the run, or a setting, wins over the code."""
    running, most = 0, 0

    @step(name="work")
    async def work(n: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return n

    @job
    async def main(contract: night_contract) -> int:
        return len(await work.map(range(30), concurrency=9))

    if how == "settings":
        night.given["concurrency"] = {"work": 2}
    night.run(main, **({"concurrency": {"work": 2}} if how == "option" else {}))
    assert most == 2


def test_items_inserted_removed_and_reordered_keep_their_results(night, killed, night_contract):
    """Many attempts, each killed somewhere, over lists that change: no result shifts."""
    rng = random.Random(7)
    calls, budget = [], [0]

    @step
    async def work(name: str) -> str:
        budget[0] -= 1
        if budget[0] < 0:
            raise killed
        calls.append(name)
        await asyncio.sleep(0)
        return f"result of {name}"

    names = [f"item {n}" for n in range(40)]

    @job
    async def main(contract: night_contract) -> list[str]:
        return await work.map(list(names), concurrency=rng.choice([1, 3, 8]))

    for attempt in range(8):
        budget[0] = 4
        night.die(main)
        names.insert(0, f"new {attempt}")
        names.remove(rng.choice(names))
        rng.shuffle(names)
    budget[0] = 10**6
    outcome = night.run(main)
    assert outcome.value == [f"result of {name}" for name in names]
    # Killed attempts may lose what had not been committed, never what had.
    assert outcome.executed + outcome.replayed == len(names)


def test_a_finished_item_is_not_repeated(night, killed, night_contract):
    """After a crash only missing items run."""
    calls, alive = [], []

    @step
    async def work(n: int) -> int:
        if n == 30 and not alive:
            raise killed
        calls.append(n)
        return n

    @job
    async def main(contract: night_contract) -> int:
        return sum(await work.map(range(40), concurrency=1))

    night.die(main)
    alive.append(1)
    outcome = night.run(main)
    assert (outcome.value, outcome.replayed) == (780, 30)
    assert calls == list(range(40))


def test_keys_name_items_and_must_differ(night, night_contract):
    """The key is in the ledger; a key twice is an error that names it."""

    @step
    async def work(item: dict[str, int]) -> int:
        return item["n"]

    @job
    async def main(contract: night_contract) -> list[int]:
        items = [{"n": n} for n in (1, 2, contract.n)]
        return await work.map(items, key=lambda item: f"no {item['n']}")

    name = night.run(main, night_contract(n=3)).name
    inputs = sorted(entry.inputs for entry in night.entries(name, 1))
    assert inputs[0] == b'{"key":"no 1","args":[{"n":1}]}'
    with pytest.raises(MisuseError, match="'no 2'"):
        night.value(main, night_contract(n=2))


def test_a_key_does_not_hide_a_changed_item(night, killed, night_contract):
    """The same key with other contents is another call: the old result is not returned."""
    rate, alive = [1], []

    @step
    async def work(item: dict[str, int]) -> int:
        return item["rate"]

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 0

    @job
    async def main(contract: night_contract) -> list[int]:
        got = await work.map([{"rate": rate[0]}], key=lambda item: "JP")
        await after()
        return got

    night.die(main)
    alive.append(1)
    rate[0] = 2
    assert night.value(main) == [2]


def test_the_first_failure_ends_the_map(night, night_contract):
    """Items in flight finish and are kept; the error is that of the first failed item."""
    done = []

    @step(retry=Retry(attempts=1))
    async def work(n: int) -> int:
        await asyncio.sleep(0.01 if n == 2 else 0.03)
        if n in (2, 5):
            raise ValueError(f"bad {n}")
        done.append(n)
        return n

    @job
    async def main(contract: night_contract) -> list[int]:
        return await work.map(range(100), concurrency=6, key=str)

    with pytest.raises(StepFailed) as caught:
        night.value(main)
    assert (caught.value.key, caught.value.reason) == ("2", "bad 2")
    assert set(done) >= {0, 1, 3, 4}
    assert len(done) < 50


def test_collect_puts_failures_in_their_places(night, killed, night_contract):
    """Live and on replay alike, with the item's key."""
    seen, alive = [], []

    @step(retry=Retry(attempts=1))
    async def work(n: int) -> int:
        if n % 2:
            raise ValueError(f"odd {n}")
        return n

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 0

    @job
    async def main(contract: night_contract) -> int:
        got = await work.map(range(4), on_error="collect", key=str)
        seen.append([x if isinstance(x, int) else (str(x), x.key) for x in got])
        await after()
        return sum(isinstance(x, StepFailed) for x in got)

    night.die(main)
    alive.append(1)
    outcome = night.run(main)
    assert (outcome.value, outcome.failed) == (2, 2)
    assert seen[0] == seen[1]
    assert seen[0][0] == 0
    assert seen[0][1][1] == "1"


def test_an_item_that_cannot_be_encoded_is_named(night, night_contract):
    """Step and argument are in the message."""

    @step(name="work")
    async def work(item: int) -> int:
        return item

    @job
    async def main(contract: night_contract) -> list[int]:
        return await work.map([1, "two"])

    with pytest.raises(CodecError, match=r"argument 'item' of step 'work'.*two"):
        night.value(main)


def test_empty_and_repeated_maps(night, night_contract):
    """No items give no results; two maps over the same items are two sets of calls."""
    calls = []

    @step
    async def work(n: int) -> int:
        calls.append(n)
        return n

    @job
    async def main(contract: night_contract) -> list[list[int]]:
        return [await work.map([]), await work.map([1, 2]), await work.map([2, 1])]

    assert night.value(main) == [[], [1, 2], [2, 1]]
    assert len(calls) == 4


def test_stream_is_ordered_and_bounded(night, night_contract):
    """Results come in order; not more than the concurrency is ahead of the consumer."""
    begun = []

    @step
    async def work(n: int) -> int:
        begun.append(n)
        await asyncio.sleep(0.002 * (n % 2))
        return n

    @job
    async def main(contract: night_contract) -> int:
        total = 0
        async for n in work.stream(range(40), concurrency=4):
            assert n == total
            assert len(begun) <= total + 5
            total += 1
        return total

    assert night.value(main) == 40


def test_a_stream_can_be_left_and_resumed(night, killed, night_contract):
    """A break ends the items in flight; a crash inside replays what was recorded."""
    calls, alive = [], []

    @step
    async def work(n: int) -> int:
        calls.append(n)
        return n

    @job
    async def main(contract: night_contract) -> list[int]:
        got = []
        async for n in work.stream(range(10), concurrency=2):
            got.append(n)
            if n == 5 and not alive:
                raise killed
            if n == 7:
                break
        return got

    night.die(main)
    alive.append(1)
    outcome = night.run(main)
    assert outcome.value == list(range(8))
    assert outcome.replayed >= 6


def test_memory_of_a_large_map_is_bounded(night, night_contract):
    """A stream over many items of 2 kB holds only a few of them."""
    filler = "x" * 2000

    @step(pure=True)
    async def work(n: int) -> str:
        return filler + str(n)

    @job
    async def main(contract: night_contract) -> int:
        total = 0
        async for text in work.stream((n for n in range(5000)), concurrency=16):
            total += len(text) > 2000
        return total

    tracemalloc.start()
    try:
        assert night.value(main) == 5000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6_000_000


def test_expiring_steps_cannot_be_mapped(night, night_contract):
    """A token is made on demand; a map of tokens makes no sense and is refused."""

    @step(expires=60)
    async def token(n: int) -> str:
        return "t"

    @job
    async def main(contract: night_contract) -> list[str]:
        return await token.map([1])

    with pytest.raises(MisuseError, match="cannot be mapped"):
        night.value(main)


@pytest.mark.sqlite_only
def test_no_result_leaves_a_map_before_its_commit(night, night_contract, monkeypatch):
    """Items overlap with the commits before them; the map itself waits for all of them."""
    full, returned = [], []
    commit = SqliteJournal.commit

    def refuse(journal, batches):
        if full:
            raise StoreFull("no space left")
        return commit(journal, batches)

    monkeypatch.setattr(SqliteJournal, "commit", refuse)
    # As beside another run: commits are shared, and made in the next turn of the loop.
    monkeypatch.setattr(Engine, "alone", False)

    @step
    async def double(n: int) -> int:
        await asyncio.sleep(0.001)
        return 2 * n

    @job
    async def main(contract: night_contract) -> int:
        await double.map(range(4), concurrency=4)
        full.append(1)
        returned.append(await double.map(range(10, 14), concurrency=4))
        return 0

    with pytest.raises(StoreFull):
        night.value(main)
    assert returned == []
