"""The jobs whose journals are kept here. Their names, inputs and results never change."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel

from nightproof import (
    Contract,
    Ref,
    Retry,
    StepFailed,
    artifact,
    decide,
    effect,
    job,
    measure,
    now,
    random,
    sleep,
    step,
    uuid,
    wait_for,
)

PERFORMED: list[str] = []
"""What really ran in this process."""
ALIVE: list[int] = []
"""Empty while the journal is made: then the run dies before its last step."""


class Died(BaseException):
    """The process is gone."""


class Night(Contract):
    task: Literal["golden"] = "golden"
    n: int = 0


class Row(BaseModel):
    country: str
    revenue: Decimal
    at: datetime


@step(name="fetch", retry=Retry(attempts=2, base=0))
async def fetch(country: str, factor: int = 2) -> Row:
    PERFORMED.append(f"fetch {country}")
    return Row(
        country=country, revenue=Decimal("1.10") * factor, at=datetime(2026, 1, 1, tzinfo=UTC)
    )


@step(name="plain", pure=True)
def plain(rows: list[Row]) -> dict[str, float]:
    PERFORMED.append("plain")
    return {row.country: float(row.revenue) for row in rows}


@step(name="fail", retry=Retry(attempts=1))
async def fail(n: int) -> int:
    PERFORMED.append("fail")
    raise ValueError(f"bad {n}")


@step(name="large")
async def large(size: int) -> str:
    PERFORMED.append("large")
    return "ü" * size


@step(name="table")
async def table() -> Ref[list[int]]:
    PERFORMED.append("table")
    return Ref(list(range(50)))


@step(name="same")
async def same() -> int:
    PERFORMED.append("same")
    return len(PERFORMED)


@effect(key="golden/{day}", name="post")
async def post(day: str) -> str:
    PERFORMED.append("post")
    return f"sent {day}"


@job(name="golden-child")
async def child(contract: Night) -> int:
    PERFORMED.append("child")
    return contract.n * 2


@step(name="last")
async def last() -> str:
    if not ALIVE:
        await asyncio.sleep(0.05)  # what is written lazily reaches the disk
        raise Died
    return "done"


@job(name="golden")
async def golden(contract: Night) -> list[str]:
    """Every kind of entry once."""
    rows = await fetch.map(["JP", "DE"], key=str, factor=3)
    rows.append(await fetch("US"))
    said = [str(await plain(rows)), str(await large(50_000) == "ü" * 50_000)]
    try:
        await fail(1)
    except StepFailed as failure:
        said.append(str(failure))
    said += [str(now()), str(uuid()), str(random()), str(await same()), str(await same())]
    said.append(str((await table()).get()[-1]))
    await sleep(0.01)
    said.append(await wait_for("approved", str))
    measure("rows", len(rows))
    decide("go on", because="it is golden")
    said.append(await post("mon"))
    said.append(str(await child(Night(n=21))))
    said.append((await artifact("report.txt", "golden\n")).sha256)
    said.append(await last())
    return said
