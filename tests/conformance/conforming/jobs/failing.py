"""Steps that fail, are tried again, are too slow, and are undone."""

from __future__ import annotations

import asyncio
from typing import Any

from conforming.world import Case, diary, last, note, on, tell
from nightproof import (
    Permanent,
    Retry,
    StepFailed,
    Transient,
    Unauthenticated,
    expect,
    job,
    sleep,
    step,
)
from nightproof.model import clock

QUICK = Retry(attempts=3, base=0.0)


def tries(case: str, what: str) -> int:
    """How often it was tried, this time counted."""
    tell(case, what)
    return diary(case).count(what)


@step(retry=QUICK)
async def unreachable(case: str) -> int:
    """Always transient."""
    raise Transient(f"no answer {tries(case, 'unreachable')}")


@job
async def caught(contract: Case) -> int:
    """The failure is caught; what the body saw goes into the diary."""
    try:
        await unreachable(contract.case)
    except StepFailed as failure:
        history = [(one["type"], one["message"], one["triage"]) for one in failure.attempts]
        times = [one["at"] for one in failure.attempts]
        await note(contract.case, f"{failure} {failure.type} {failure.reason} {history} {times}")
    return await last(contract.case)


@step(retry=QUICK)
def flaky(case: str) -> int:
    """Succeeds at the third try."""
    if tries(case, "flaky") < 3:
        raise ConnectionResetError("gone")
    return 3


@job
async def recovered(contract: Case) -> int:
    """A step that succeeds in the end."""
    return await flaky(contract.case)


ERRORS: dict[str, Exception] = {
    "TypeError": TypeError("x"),
    "KeyError": KeyError("x"),
    "Permanent": Permanent("x"),
}


@step(retry=QUICK)
async def raises(case: str, error: str) -> int:
    """A programming error or a permanent one."""
    tell(case, f"raises {error}")
    raise ERRORS[error]


@job
async def hopeless(contract: Case) -> int:
    """Fails with the first of the contract's names."""
    return await raises(contract.case, contract.names[0])


@step(retry=Retry(attempts=2, base=0, cap=0.1))
async def busy(case: str) -> int:
    """The server says how long to wait."""
    tell(case, f"{clock.now().timestamp()}")
    if len(diary(case)) == 1:
        raise Transient("busy", retry_after=0.6)
    return 1


class Busy(Exception):
    """What an HTTP client raises."""

    def __init__(self) -> None:
        super().__init__("slow down")
        self.status_code = 429
        self.headers = {"retry-after": "1"}


@step(retry=Retry(attempts=2, base=0, cap=0.1))
async def too_many(case: str) -> int:
    """429 with Retry-After."""
    tell(case, f"{clock.now().timestamp()}")
    if len(diary(case)) == 1:
        raise Busy
    return 1


@job
async def told_to_wait(contract: Case) -> int:
    """Retry-After is a minimum."""
    return await (too_many if contract.n else busy)(contract.case)


@step(retry=Retry(attempts=2, base=0, classify=lambda error: Transient))
async def cut_short(case: str) -> int:
    """Permanent by itself, transient for its author."""
    if tries(case, "cut short") == 1:
        raise ValueError("cut short")
    return 1


@job
async def classified(contract: Case) -> int:
    """The user's classification wins."""
    return await cut_short(contract.case)


@step(timeout=0.3, retry=Retry(attempts=2, base=0))
async def slow(case: str) -> int:
    """Too slow the first time."""
    if tries(case, "slow") == 1:
        await asyncio.sleep(30)
    return 1


@step(timeout=0.3, retry=Retry(attempts=2, base=0))
def slow_plain(case: str) -> int:
    """The same in a thread."""
    if tries(case, "slow") == 1:
        clock.block(0.6)
    return 1


@job
async def in_time(contract: Case) -> int:
    """A limit for each try."""
    return await (slow_plain if contract.n else slow)(contract.case)


@step(retry=Retry(attempts=1))
async def fragile(case: str, n: int) -> int:
    """The second fails until the test has switched it on."""
    tell(case, f"fragile {n}")
    if n == 2 and not on(case, "well"):
        raise ValueError("bad two")
    return n


@job
async def resumable(contract: Case) -> list[int]:
    """A run that fails, and may be resumed."""
    return [await fragile(contract.case, n) for n in range(4)]


@job(deadline=0.5)
async def late(contract: Case) -> int:
    """Never in time."""
    await sleep(0.8)
    await sleep(0.8)
    return await last(contract.case)


@job
async def expecting(contract: Case) -> int:
    """A run that did nothing is a failed run."""
    expect(contract.names, "no revenue rows at all")
    return 1


@job
async def buggy(contract: Case) -> int:
    """An error of the body's own."""
    await note(contract.case, "before")
    return {"a": 1}["b"]


@step
async def pause(case: str) -> int:
    """Waits until the test has switched it on."""
    tell(case, "paused")
    while not on(case, "go"):  # noqa: ASYNC110 - another process switches it
        await asyncio.sleep(0.01)
    return 1


@job
async def cancellable(contract: Case) -> int:
    """Somebody cancels it in its first step, or while it sleeps."""
    got = await pause(contract.case)
    if contract.n and not on(contract.case, "awake"):
        await sleep(3600)
    return got


async def give_back(case: str, n: int, result: str) -> None:
    """Undo of `book`."""
    tell(case, f"undo {n} {result}")


@step(undo=give_back)
async def book(case: str, n: int) -> str:
    """Can be undone."""
    tell(case, f"book {n}")
    return f"booking {n}"


@step(undo=lambda result: tell(result["case"], f"undo {result['n']}"))
async def pay(case: str, n: int) -> dict[str, Any]:
    """Undone by its result."""
    tell(case, f"pay {n}")
    return {"case": case, "n": n}


@step(retry=Retry(attempts=1))
async def sold_out(case: str) -> int:
    """Fails until the test has switched it on."""
    tell(case, "sold out")
    if not on(case, "well"):
        raise ValueError("sold out")
    return 1


@job
async def trip(contract: Case) -> int:
    """Undone, last first, when it fails."""
    await book(contract.case, 1)
    await pay(contract.case, 2)
    await book(contract.case, 3)
    return await sold_out(contract.case)


@step(expires=600)
async def token(case: str) -> str:
    """A token that is refused once it is old."""
    return f"token-{tries(case, 'token')}"


@step(retry=QUICK)
async def authorised(case: str, key: str) -> str:
    """The first token is refused."""
    tell(case, f"with {key}")
    if key == "token-1" or on(case, "closed"):
        raise Unauthenticated("401")
    return key


@step(retry=QUICK)
async def authorises(case: str) -> str:
    """Fetches the token itself."""
    key = await token(case)
    return await authorised.fn(case, key)


@step(retry=QUICK)
async def item(n: int, case: str, bearer: str) -> int:
    """An item that needs the token."""
    await authorised.fn(case, bearer)
    return n


@job
async def refreshing(contract: Case) -> list[str]:
    """As an argument, inside the step, and for each item of a map."""
    case = contract.case
    if contract.n == 0:
        return [await authorised(case, await token(case))]
    if contract.n == 1:
        return [await authorises(case)]
    got = await item.map(range(8), case=case, bearer=await token(case), concurrency=4)
    return [str(n) for n in got]
