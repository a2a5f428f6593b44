"""What a run records besides results: times, chance, files, large values, notes, reads."""

from __future__ import annotations

import asyncio
import random as chance
from random import random as drawn
from typing import Any

from conforming.world import Case, last, note, on, tell
from nightproof import Ref, artifact, decide, job, measure, now, random, step, uuid


@job
async def recorded(contract: Case) -> list[str]:
    """Times and chance, drawn in the body."""
    first, second = now(), now()
    assert first <= second
    values = [str(first), str(second), str(uuid()), str(uuid()), str(random())]
    await note(contract.case, " ".join(values))
    await last(contract.case)
    return values


@step
async def asks_the_time() -> str:
    """The clock of the run belongs to its body."""
    return str(now())


@job
async def misplaced(contract: Case) -> str:
    """now() inside a step."""
    return await asks_the_time()


@step
async def draws(n: int, case: str) -> list[float]:
    """Draws from the global generator in many ways, with others in between."""
    tell(case, f"draws {n}")
    found = [chance.random(), drawn(), chance.gauss(0, 1), float(chance.randint(0, 10**9))]
    await asyncio.sleep(0.001 * (5 - n))
    cards = list(range(20))
    chance.shuffle(cards)
    return [*found, *cards, chance.uniform(0, 1)]


@step
def draws_in_thread(n: int) -> list[float]:
    """The same in a thread."""
    return [chance.random(), drawn()]


@job
async def seeded(contract: Case) -> list[list[float]]:
    """The same numbers in whatever order the items ran."""
    mixed = await asyncio.gather(
        draws.map(range(5), case=contract.case, concurrency=4), draws_in_thread.map(range(3))
    )
    await last(contract.case)
    return [*mixed[0], *mixed[1]]


@step
async def load(case: str) -> Ref[dict[str, int]]:
    """A large value, by digest."""
    tell(case, "load")
    return Ref({"a": 1})


@step
async def use(case: str, table: Ref[dict[str, int]]) -> int:
    """Reads it where it is needed."""
    tell(case, "use")
    return table.get()["a"]


@job
async def referred(contract: Case) -> int:
    """Read in a step and in the body."""
    table = await load(contract.case)
    got = await use(contract.case, table)
    await last(contract.case)
    return got + table.get()["a"]


@step
async def text(n: int, case: str) -> str:
    """A large text."""
    tell(case, f"large {n}")
    return f"{n}" + "ü" * 100_000


@step
async def data(n: int, case: str) -> bytes:
    """Many bytes."""
    tell(case, f"large {n}")
    return bytes(range(256)) * 1000 + bytes([n])


@step
async def numbers(n: int, case: str) -> list[int]:
    """A long list."""
    tell(case, f"large {n}")
    return list(range(n, n + 40_000))


@step
async def text_size(value: str) -> int:
    """Takes a large argument."""
    return len(value)


@step
async def data_size(value: bytes) -> int:
    """Takes a large argument."""
    return len(value)


@step
async def numbers_size(value: list[int]) -> int:
    """Takes a large argument."""
    return len(value)


LARGE: dict[str, tuple[Any, Any]] = {
    "text": (text, text_size),
    "data": (data, data_size),
    "numbers": (numbers, numbers_size),
}


@job
async def spilled(contract: Case) -> str:
    """Alone, in a map, as an argument, and as the run's own result."""
    case = contract.case
    large, size = LARGE[contract.names[0]]
    got = [await large(0, case), *await large.map([1, 2], case=case)]
    sizes = [await size(value) for value in got]
    await last(case)
    return f"{sizes} " + "x" * 100_000


@step
def counted(n: int, case: str) -> int:
    """Measures from a thread."""
    measure("rows", n)
    return n


@job
async def noted(contract: Case) -> int:
    """measure and decide, anywhere."""
    decide("take the mirror", because="the API is down")
    return sum(await counted.map([1, 2, 3], case=contract.case))


@step
async def text_of(case: str) -> str:
    """What the report says today."""
    tell(case, "text")
    return "later\n" if on(case, "later") else "grün\n"


@job
async def delivers(contract: Case) -> str:
    """Two files, stamped."""
    text = await text_of(contract.case)
    made = await artifact("out/report.md", text, media_type="text/markdown")
    await artifact("data.bin", b"\x00\xff")
    await note(contract.case, made.sha256)
    await last(contract.case)
    return made.sha256


@job
async def climbs(contract: Case) -> str:
    """A path that leaves the run's folder."""
    return (await artifact("../../out.md", "x")).path
