"""Steps as users write them: async, plain, nested, typed, side by side."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

from pydantic import BaseModel
from typing_extensions import TypedDict

from conforming.world import Case, last, note, tell
from nightproof import Ambient, ambient, job, step


@step
async def double(case: str, n: int) -> int:
    """An async step."""
    tell(case, f"double {n}")
    return 2 * n


@step
def plus(case: str, n: int, m: int = 1) -> int:
    """A plain one: it runs in a thread."""
    tell(case, f"plus {n} {m}")
    return n + m


@step(pure=True)
def half(n: int) -> int:
    """A pure one."""
    return n // 2


@job
async def chain(contract: Case) -> int:
    """One step after another."""
    doubled = await double(contract.case, contract.n)
    return await half(await plus(contract.case, doubled, m=6))


@step
async def slowly(case: str, n: int) -> int:
    """The smaller the later: results come in another order than the calls."""
    tell(case, f"begun {n}")
    await asyncio.sleep(0.01 * (4 - n))
    tell(case, f"done {n}")
    return n * 10


@step
async def fails(case: str, n: int) -> int:
    """A permanent failure."""
    tell(case, f"fails {n}")
    raise ValueError(f"bad {n}")


@job
async def side_by_side(contract: Case) -> list[int]:
    """gather, TaskGroup, if, for and try are plain Python."""
    case = contract.case
    got = list(await asyncio.gather(*(slowly(case, n) for n in (3, 1, 2))))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(slowly(case, n + 10)) for n in (1, 2)]
    got += [task.result() for task in tasks]
    for n in range(contract.n):
        if n % 2:
            got.append(await double(case, n))
    try:
        await fails(case, 1)
    except Exception as error:
        await note(case, f"{type(error).__name__}: {error}")
    await last(case)
    return got


@job
async def equal_calls(contract: Case) -> list[int]:
    """The same call again and again is as many calls."""
    got = [await counted(contract.case) for _ in range(2)]
    got += await counted.map([contract.case] * 2, concurrency=1)
    await last(contract.case)
    return got


@step
async def counted(case: str) -> int:
    """Counts its executions."""
    from conforming.world import diary

    tell(case, "counted")
    return diary(case).count("counted")


@step
async def inner(n: int) -> int:
    """Called by a step."""
    return n // 2


@step
async def outer(case: str, n: int) -> int:
    """A step that calls steps: ordinary calls."""
    tell(case, "outer")
    assert await inner.map([2, 4]) == [1, 2]
    return await inner(await inner(n))


@job
async def nested(contract: Case) -> int:
    """One step is on record."""
    return await outer(contract.case, 8)


class Colour(Enum):
    """An enum."""

    RED = "red"


class Row(BaseModel):
    """A model."""

    country: str
    revenue: Decimal
    at: datetime
    tags: set[str] = set()


@dataclass
class Pair:
    """A dataclass."""

    left: bytes
    right: Colour


class Loose(TypedDict):
    """A typed dict."""

    pair: tuple[int, float]
    rows: dict[str, Row]


@step
async def make_rows() -> list[Row]:
    """Models with decimals, times and sets."""
    at = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
    return [Row(country="JP", revenue=Decimal("1.10"), at=at, tags={"a"})]


@step
def make_pair() -> Pair:
    """A dataclass with bytes and an enum."""
    return Pair(b"\x00\xff", Colour.RED)


@step
async def make_loose(rows: list[Row]) -> Loose:
    """A typed dict; an int where a float is promised."""
    return {"pair": (1, 2), "rows": {row.country: row for row in rows}}


@step
async def make_any() -> Any:
    """Without an annotation worth the name: a tuple comes back as a list."""
    return {"pair": (1, 2), "nan": math.nan}


@step
async def make_float() -> float:
    """An int for a float."""
    return 1


@step
async def take(case: str, pair: Pair, loose: Loose, at: datetime) -> str:
    """Typed arguments arrive as what they were."""
    assert isinstance(pair, Pair)
    assert pair.right is Colour.RED
    assert isinstance(loose["rows"]["JP"], Row)
    assert at.tzinfo is not None
    tell(case, "took")
    return f"{pair.left!r} {loose['rows']['JP'].revenue} {at.isoformat()}"


@job
async def typed(contract: Case) -> str:
    """What the body sees goes into the diary: a replay that sees other values adds a line."""
    rows = await make_rows()
    pair, loose = await make_pair(), await make_loose(rows)
    number, free = await make_float(), await make_any()
    await note(contract.case, f"{rows!r} {pair!r} {loose!r} {number!r} {free!r}")
    took = await take(contract.case, pair, loose, rows[0].at)
    await last(contract.case)
    return f"{took} {sorted(rows[0].tags)}"


@step
async def unfit() -> int:
    """Not what it says."""
    return "many"  # type: ignore[return-value]


@step
async def naive() -> datetime:
    """A time without a zone."""
    return datetime(2026, 1, 1)  # noqa: DTZ001 - the point


@job
async def untrue(contract: Case) -> int:
    """A result that does not match its annotation."""
    return await unfit()


@job
async def zoneless(contract: Case) -> datetime:
    """A naive time."""
    return await naive()


@job
async def unfit_itself(contract: Case) -> int:
    """The job's own result does not match."""
    return "many"  # type: ignore[return-value]


class Client:
    """Neither stored nor compared: it could not be."""

    def ask(self, n: int) -> int:
        """An answer."""
        return n + 100


CLIENT = Client()


def client() -> Client:
    """Makes one in a process that was handed none."""
    return Client()


@step
async def asks(case: str, n: int, client: Ambient[Client] = CLIENT) -> int:
    """A step that needs a client."""
    tell(case, f"asks {n}")
    return client.ask(n)


@step
async def asks_made(case: str, n: int, client: Annotated[Client, ambient(client)]) -> int:
    """A step that says how its client is made."""
    tell(case, f"asks {n}")
    return client.ask(n)


@job
async def by_default(contract: Case) -> int:
    """The client is the parameter's default."""
    got = await asks(contract.case, 1)
    await last(contract.case)
    return got


@job
async def by_hand(contract: Case) -> int:
    """The body hands the client over."""
    got = await asks(contract.case, 1, client=CLIENT)
    await last(contract.case)
    return got


@job
async def by_factory(contract: Case) -> int:
    """The body hands over one of its own; another process makes one."""
    got = await asks_made(contract.case, 1, client=Client())
    await last(contract.case)
    return got
