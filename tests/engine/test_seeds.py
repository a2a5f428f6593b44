"""Generators are seeded from run and fingerprint: the same numbers in whatever order."""

import asyncio
import random
import sys
from importlib import import_module
from random import random as drawn
from random import shuffle

import pytest

from nightproof import job, step


def seeded(contract):
    """A job whose steps draw from the global generator in every way."""

    @step
    async def draws(n: int) -> list[float]:
        first = [random.random(), drawn(), random.gauss(0, 1), float(random.randint(0, 10**9))]
        await asyncio.sleep(0.001 * (5 - n))
        cards = list(range(20))
        shuffle(cards)
        random.shuffle(cards)
        return [*first, *cards, random.uniform(0, 1), *random.choices(range(99), k=3)]

    @step
    def draws_in_thread(n: int) -> list[float]:
        return [random.random(), drawn(), random.random()]

    @job
    async def main(contract: contract) -> list[list[float]]:
        mixed = await asyncio.gather(
            draws.map(range(5), concurrency=main.width), draws_in_thread.map(range(5))
        )
        return [*mixed[0], *mixed[1]]

    main.width = 5
    return main


def test_seeds_do_not_depend_on_order_or_interruption(night, killed, night_contract):
    """The same numbers at any concurrency, in replicates and in other stores."""
    main = seeded(night_contract)
    first = night.value(main)
    assert len({row[0] for row in first}) == 10
    main.width = 1
    random.seed(99)
    assert night.value(main, replicate=-1) == first
    assert night.value(main, night_contract(n=1)) != first


def test_seeds_do_not_leak(night, night_contract):
    """Outside a step the global generator goes on as the user seeded it."""
    main = seeded(night_contract)
    night.value(main)
    random.seed(5)
    expected = [random.random() for _ in range(3)]
    random.seed(5)
    got = [random.random()]
    night.value(main, night_contract(n=1))
    got += [random.random(), random.random()]
    assert got == expected
    assert random.Random(1).random() == random.Random(1).random()
    state = random.getstate()
    value = random.random()
    random.setstate(state)
    assert random.random() == value


def test_names_imported_before_are_seeded_in_other_modules(night, night_contract, tmp_path):
    """`from random import random` in a module that has only steps."""
    (tmp_path / "np_drawing.py").write_text(
        "from random import random, getrandbits, choice\n"
        "from nightproof import step\n"
        "@step\n"
        "async def draw(n: int) -> list[float]:\n"
        "    return [random(), getrandbits(32), choice(range(1000))]\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        draw = import_module("np_drawing").draw
    finally:
        sys.path.remove(str(tmp_path))

    @job
    async def main(contract: night_contract) -> list[list[float]]:
        return await draw.map([1, 2])

    assert night.value(main) == night.value(main, replicate=-1)


def test_a_step_may_seed_for_itself(night, night_contract):
    """random.seed inside a step stays inside it."""

    @step
    async def own(n: int) -> float:
        random.seed(n)
        await asyncio.sleep(0.001)
        return random.random()

    @job
    async def main(contract: night_contract) -> list[float]:
        return await own.map([1, 2])

    assert night.value(main) == [random.Random(1).random(), random.Random(2).random()]


def test_numpy_is_seeded_for_steps_that_do_not_overlap(night, night_contract):
    """Its generator is global to the process, so a sequence of steps is what can be promised."""
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")

    @step
    async def draw(n: int) -> float:
        return float(numpy.random.random())

    @job
    async def main(contract: night_contract) -> list[float]:
        return [await draw(n) for n in range(3)]

    assert night.value(main) == night.value(main, replicate=-1)
