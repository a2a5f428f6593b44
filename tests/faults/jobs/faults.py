"""A night whose servers and processes are killed, and a diary of what really happened in it.

Every process appends to the file FAULTS_DIARY, one write a line (`what item pid time`), so
that what nightproof believes can be compared with what was done. FAULTS_BROKEN names a way
in which the runtime is broken.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import time
from pathlib import Path
from random import Random
from typing import Literal

from nightproof import Contract, Retry, effect, job, step

DIARY = os.open(os.environ["FAULTS_DIARY"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
PAUSE = float(os.environ.get("FAULTS_PAUSE", "0.004"))
"""Seconds that an item takes on the average."""


def tell(what: str, item: int) -> None:
    """One line in the diary."""
    os.write(DIARY, b"%s %d %d %d\n" % (what.encode(), item, os.getpid(), time.monotonic_ns()))


class Faulty(Contract):
    """How much there is to do; `size` is that of large results, 0 for none."""

    task: Literal["faulty"] = "faulty"
    items: int
    paid_every: int = 50
    large: int = 0
    concurrency: int = 48


async def find(item: int) -> int | None:
    """Ask the world, which is the diary, whether it was paid."""
    lines = await asyncio.to_thread(Path(os.environ["FAULTS_DIARY"]).read_text)
    return item if f"pay {item} " in lines else None


@effect(key="pay/{item}", unknown=find)
async def pay(item: int) -> int:
    """An act that must happen once."""
    await asyncio.sleep(PAUSE / 4)
    tell("pay", item)
    await asyncio.sleep(PAUSE / 4)
    return item


@step(retry=Retry(attempts=1))
async def work(item: int, paid_every: int) -> str:
    """Takes a while; its last line in the diary is the last thing it does."""
    tell("begin", item)
    await asyncio.sleep(PAUSE * (0.5 + item % 3 / 2))
    if item % paid_every == 0:
        await pay(item)
    tell("done", item)
    return f"{item}:{item * 7919 % 9973}"


@step(retry=Retry(attempts=1))
async def enlarge(item: int) -> str:
    """A result that goes to the blob store."""
    tell("begin", -1 - item)
    await asyncio.sleep(PAUSE)
    text = Random(item).randbytes(100_000).hex()
    tell("done", -1 - item)
    return f"{item}:{text}"


@step(pure=True)
def summed(parts: list[str]) -> str:
    """One line for everything."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@job
async def faulty(contract: Faulty) -> dict[str, int | str]:
    """A wide map with effects in it, and a map of large results."""
    items = range(contract.items)
    answers = await work.map(
        items, paid_every=contract.paid_every, concurrency=contract.concurrency
    )
    large = await enlarge.map(range(contract.large), concurrency=4)
    return {"items": len(answers), "sum": await summed([*answers, *(one[:80] for one in large)])}


if broken := os.environ.get("FAULTS_BROKEN"):
    spec = importlib.util.spec_from_file_location("broken", Path(__file__).with_name("broken.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.BREAK[broken]()
