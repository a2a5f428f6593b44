"""Runs inside runs."""

from __future__ import annotations

import asyncio

from conforming.world import Case, last, note, on, tell
from nightproof import Retry, RunFailed, StepFailed, job, step, wait_for


@step(retry=Retry(attempts=1))
async def works(case: str, n: int) -> int:
    """Fails for odd numbers until the test has switched it on."""
    tell(case, f"works {n}")
    await asyncio.sleep(0.02)
    if n % 2 and not on(case, "well"):
        raise ValueError("bad")
    return n * 10


@step
async def pauses(case: str) -> None:
    """Until it is cancelled."""
    tell(case, "paused")
    await asyncio.sleep(60)


@job
async def child(contract: Case) -> int:
    """A run of its own."""
    if contract.n == 99:
        raise KeyError("body")
    got = await works(contract.case, contract.n)
    if "pauses" in contract.names:
        await pauses(contract.case)
    if "waits" in contract.names:
        got += await wait_for("go", int)
    return got


@job
async def parent(contract: Case) -> int:
    """Two children, one after the other."""
    got = 0
    for n in (contract.n, contract.n + 2):
        got += await child(Case(case=contract.case, n=n, names=contract.names))
    await last(contract.case)
    return got


@job
async def forgiving(contract: Case) -> int:
    """Catches the failures of its children."""
    for n in (1, 99):
        try:
            await child(Case(case=contract.case, n=n))
        except (StepFailed, RunFailed) as error:
            await note(contract.case, f"{type(error).__name__} {error}")
    return await last(contract.case)
