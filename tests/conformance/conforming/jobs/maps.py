"""Maps and streams."""

from __future__ import annotations

import asyncio
from typing import Any

from conforming.world import Case, last, note, tell
from nightproof import Retry, StepFailed, effect, idempotency_key, job, step


@step
async def work(n: int, case: str, plus: int = 0) -> int:
    """An item that takes a moment."""
    tell(case, f"begun {n}")
    await asyncio.sleep(0.002 * (n % 3))
    tell(case, f"done {n}")
    return n * n + plus


@step
def plain(n: int) -> int:
    """An item in a thread."""
    return -n


@job
async def squares(contract: Case) -> list[list[int]]:
    """In the order of the items, from lists and generators, none, and again."""
    case = contract.case
    return [
        await work.map(range(contract.n), case=case, plus=1, concurrency=7),
        await plain.map((n for n in range(20)), concurrency=4),
        await work.map([], case=case),
        await work.map([2, 1], case=case, plus=1),
    ]


@job
async def bounded(contract: Case) -> int:
    """One map, whose width is what counts."""
    return len(await work.map(range(contract.n), case=contract.case, concurrency=9))


@step
async def keyed(item: dict[str, Any], case: str) -> int:
    """An item with a key."""
    tell(case, f"keyed {item['n']}")
    return int(item["n"]) * 10


@job
async def with_keys(contract: Case) -> list[int]:
    """The contract's names are the keys."""
    items = [{"n": n, "name": name} for n, name in enumerate(contract.names)]
    return await keyed.map(items, key=lambda item: item["name"], case=contract.case)


@step(retry=Retry(attempts=1))
async def odd_fails(n: int, case: str) -> int:
    """Every second item fails."""
    tell(case, f"item {n}")
    if n % 2:
        raise ValueError(f"odd {n}")
    return n


@job
async def collected(contract: Case) -> int:
    """Failures in their places, live and on replay."""
    got = await odd_fails.map(
        range(contract.n), on_error="collect", key=lambda n: f"no {n}", case=contract.case
    )
    told = [f"{x} {x.key}" if isinstance(x, StepFailed) else str(x) for x in got]
    await note(contract.case, "; ".join(told))
    await last(contract.case)
    return sum(isinstance(x, StepFailed) for x in got)


@step(retry=Retry(attempts=1))
async def fails_at(n: int, bad: int, case: str) -> int:
    """One item fails, the later ones take a while."""
    await asyncio.sleep(0.02 if n <= bad else 0.1)
    if n == bad:
        raise ValueError(f"bad {n}")
    tell(case, f"done {n}")
    return n


@job
async def raised(contract: Case) -> list[int]:
    """The first failure ends the map."""
    return await fails_at.map(
        range(400), bad=contract.n, case=contract.case, concurrency=4, key=str
    )


@job
async def streamed(contract: Case) -> list[int]:
    """In order, as they come; a break ends it."""
    got = []
    async for square in work.stream(range(contract.n), case=contract.case, concurrency=3):
        got.append(square)
        if len(got) == 30:
            break
    await last(contract.case)
    return got


@effect(key="map/{case}/{n}", unknown="retry")
async def posted(case: str, n: int) -> str:
    """An act for an item."""
    tell(case, f"posted {n} {idempotency_key()}")
    return f"posted {n}"


@step
async def posting(n: int, case: str) -> str:
    """An item with an effect in it."""
    tell(case, f"begun {n}")
    sent = await posted(case, n)
    await asyncio.sleep(0.002)
    tell(case, f"done {n}")
    return sent


@job
async def posts_all(contract: Case) -> list[str]:
    """A map with an effect in every item."""
    return await posting.map(range(contract.n), case=contract.case, concurrency=4)


@job
async def twice(contract: Case) -> list[list[int]]:
    """Two maps at once over the same items: told apart."""
    maps = (work.map(range(6), case=contract.case, concurrency=2) for _ in range(2))
    got = await asyncio.gather(*maps)
    await last(contract.case)
    return list(got)
