"""The jobs that nightproof's workers on Temporal carry out."""

from __future__ import annotations

import asyncio
from typing import Literal

from nightproof import Contract, job, step


class Wide(Contract):
    task: Literal["wide"] = "wide"
    n: int
    seconds: float
    width: int


class Long(Contract):
    task: Literal["long"] = "long"
    n: int


@step
async def durable(i: int) -> int:
    return i


@step
async def item(i: int, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return i


@job
async def long(contract: Long) -> int:
    for i in range(contract.n):
        await durable(i)
    return contract.n


@job
async def wide(contract: Wide) -> int:
    return len(
        await item.map(range(contract.n), seconds=contract.seconds, concurrency=contract.width)
    )
