"""Jobs for what happens around a run: owners, kills, contracts, reads, records."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import Literal

from conforming.world import WORLD, Case, last, on, tell
from nightproof import Contract, Dataset, Retry, artifact, effect, job, once, served, step


@step
async def begins(case: str, n: int) -> int:
    """Waits at the gate until the test opens it."""
    tell(case, f"begun {n}")
    while not on(case, "open"):  # noqa: ASYNC110 - another process switches it
        await asyncio.sleep(0.01)
    tell(case, f"done {n}")
    return n


@effect(key="gate/{case}", unknown="skip")
async def announce(case: str) -> str:
    """An act behind the gate."""
    tell(case, "announced")
    return "announced"


@job
async def gated(contract: Case) -> str | None:
    """A step that waits, one behind it, an act."""
    await begins(contract.case, 1)
    await begins(contract.case, 2)
    return await announce(contract.case)


@step
async def works(case: str, n: int) -> int:
    """One of several."""
    tell(case, f"works {n}")
    return n


@job
async def several(contract: Case) -> list[int]:
    """Five steps and a file."""
    got = [await works(contract.case, n) for n in range(5)]
    await artifact("sum.txt", f"{sum(got)}\n")
    return got


@step(retry=Retry(attempts=1))
def books(case: str, n: int) -> int:
    """Rows and the fact that they were written, in one transaction of the user's own."""
    connection = sqlite3.connect(Path(os.environ[WORLD]) / f"{case}.rows")
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS rows (n INTEGER)")
        if once(connection, f"{case}/{n}"):
            connection.execute("INSERT INTO rows VALUES (?)", (n,))
        connection.commit()
    finally:
        connection.close()
    tell(case, f"booked {n}")
    return n


@job
async def bookkeeping(contract: Case) -> int:
    """Exactly once in the user's database, whatever is killed."""
    for n in range(3):
        await books(contract.case, n)
    return await last(contract.case)


class Fed(Contract):
    """A contract with a dataset."""

    task: Literal["fed"] = "fed"
    case: str
    data: Dataset


@step
def size(case: str, path: str) -> int:
    """Reads the dataset."""
    tell(case, "read")
    return len(Path(path).read_bytes())


@job
async def fed(contract: Fed) -> int:
    """Starts only with the bytes that its contract names."""
    return await size(contract.case, str(contract.data.path))


@step
def reads(case: str, path: str) -> str:
    """Reads a file that nothing declares."""
    tell(case, "read")
    return Path(path).read_text("utf-8").strip()


@step
async def answers(case: str) -> str:
    """A model answers."""
    return served(requested="gpt-x", reported="gpt-x-2026-01-01", provider="openai")


@job
async def reading(contract: Case) -> str:
    """What it read and who answered is on record."""
    got = await reads(contract.case, contract.names[0])
    await answers(contract.case)
    await artifact("report.md", got)
    return got
