"""Waiting: sleeps, signals, quotas."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from conforming.combination import PARK_AFTER
from conforming.world import Case, diary, last, note, tell
from nightproof import (
    Exhausted,
    Quota,
    Retry,
    effect,
    job,
    now,
    sleep,
    sleep_until,
    spend,
    step,
    wait_for,
)
from nightproof.model import clock

LONG = PARK_AFTER + 1.5


@step(name="at")
async def at(case: str, what: str) -> None:
    """When the run came by."""
    tell(case, f"{what} {clock.now().timestamp()}")


@job
async def naps(contract: Case) -> str:
    """Short waits."""
    await at(contract.case, "before")
    await sleep(0.2)
    await sleep(timedelta(milliseconds=50))
    await at(contract.case, "after")
    await sleep_until(now() - timedelta(days=1))
    await last(contract.case)
    return "awake"


@job
async def sleeps(contract: Case) -> str:
    """A wait that parks the run."""
    began = now()
    await at(contract.case, "before")
    if contract.n:
        await sleep_until(began + timedelta(seconds=LONG))
    else:
        await sleep(LONG)
    await at(contract.case, "after")
    return began.isoformat()


@step
async def works(case: str) -> int:
    """Goes on while the run is about to park."""
    tell(case, "begun")
    await asyncio.sleep(0.4)
    tell(case, "done")
    return 1


@job
async def sleeps_beside(contract: Case) -> list[int]:
    """A step that is at work when a long wait begins."""

    async def wait() -> int:
        await wait_for("go")
        return 2

    return list(await asyncio.gather(wait(), works(contract.case)))


@job
async def approved(contract: Case) -> datetime:
    """Waits for a signal with a typed payload."""
    return await wait_for("approved", datetime)


@job
async def answered(contract: Case) -> str:
    """Waits for a signal, for a while."""
    try:
        answer = await wait_for("approved", str, timeout=LONG if contract.n else 0.2)
    except TimeoutError as error:
        answer = str(error)
    await last(contract.case)
    return answer


@job
async def in_order(contract: Case) -> list[int]:
    """Each signal is taken once."""
    first = await wait_for("n", int)
    both = await asyncio.gather(wait_for("n", int), wait_for("n", int))
    await last(contract.case)
    return [first, *both]


@job
async def counts(contract: Case) -> int:
    """A payload may be wrong."""
    return await wait_for("n", int)


@step(retry=Retry(attempts=2, base=0))
async def exhausted(case: str, seconds: float) -> int:
    """The quota is used up until a time; waits for it cost no tries."""
    tell(case, f"asked {clock.now().timestamp()}")
    if len(diary(case)) < 4:
        raise Exhausted("minute", resets_at=clock.now() + timedelta(seconds=seconds))
    return 1


@job
async def waits_for_quota(contract: Case) -> int:
    """Short resets are waited out in the process."""
    return await exhausted(contract.case, 0.2)


@step(retry=Retry(attempts=2, base=0))
async def exhausted_for_long(case: str) -> int:
    """Comes back after the park limit."""
    tell(case, "asked")
    if len(diary(case)) == 1:
        raise Exhausted("daily quota", resets_at=clock.now() + timedelta(seconds=LONG))
    return 1


@job
async def parks_for_quota(contract: Case) -> int:
    """A long reset parks the run."""
    return await exhausted_for_long(contract.case)


SHARED = Quota("conformance-shared", rate="8/1s")
TOKENS = Quota("conformance-tokens", tokens="100/1s")


@step(quota=SHARED)
async def limited(n: int, case: str) -> float:
    """One of a shared allowance."""
    moment = clock.now().timestamp()
    tell(case, f"call {moment}")
    return moment


@job
async def shares(contract: Case) -> int:
    """Many calls under one rate."""
    return len(await limited.map(range(6), case=contract.case, concurrency=5))


@step(quota=TOKENS)
async def spends(n: int, case: str) -> int:
    """Known afterwards what it cost."""
    tell(case, f"call {clock.now().timestamp()}")
    spend(tokens=100)
    return n


@job
async def spender(contract: Case) -> int:
    """One call a second is what its tokens allow."""
    return len([await spends(n, contract.case) for n in range(2)])


@effect(key="waits/{case}")
async def acts(case: str) -> int:
    """Beside a wait."""
    tell(case, "acted")
    return 1


@job
async def woken(contract: Case) -> str:
    """Waits, acts, waits: what a run looks like that is killed while it is parked."""
    await acts(contract.case)
    got = await wait_for("go", str)
    await note(contract.case, f"got {got}")
    await last(contract.case)
    return got
