"""Values that expire, and values that may be written nowhere."""

from __future__ import annotations

from datetime import timedelta

from conforming.world import Case, diary, last, note, tell
from nightproof import Retry, StepFailed, effect, job, step

SECRET = "s3cr3t-token-value-" + "0815"
"""In no file in one piece: not in this one either, which witnesses and logs may quote."""


@step(expires=timedelta(minutes=18), secret=True)
def token(case: str) -> str:
    """Made when it is needed."""
    tell(case, "made")
    return SECRET


@step
async def fetch(country: str, case: str, bearer: str) -> str:
    """An item that is given the secret."""
    assert bearer == SECRET
    tell(case, f"fetch {country}")
    return country.lower()


@step
async def call(case: str, headers: dict[str, str]) -> int:
    """A step that is given it as part of something."""
    assert headers["Authorization"] == f"Bearer {SECRET}"
    tell(case, "call")
    return 1


@step(retry=Retry(attempts=1))
async def leaky(bearer: str) -> int:
    """Fails with it in the message."""
    raise ValueError(f"the server refused {bearer}")


@effect(key="secret/{case}")
async def act(case: str, bearer: str) -> int:
    """An effect that is given it."""
    assert bearer == SECRET
    tell(case, "act")
    return 1


@job
async def secretive(contract: Case) -> list[str]:
    """As a result, an argument, part of an argument, an item's argument, an error."""
    case = contract.case
    key = await token(case)
    got = await fetch.map(["JP", "DE"], case=case, bearer=key)
    await call(case, {"Authorization": f"Bearer {key}"})
    await act(case, key)
    try:
        await leaky(key)
    except StepFailed as failure:
        got.append(failure.type)
    await last(case)
    return got


@step(expires=1.0)
async def ticket(case: str) -> str:
    """Good for a second."""
    tell(case, "ticket")
    return f"ticket {diary(case).count('ticket')}"


@step
async def enter(n: int, case: str, with_: str) -> str:
    """Uses a ticket."""
    tell(case, f"enter {n}")
    return with_


@job
async def expiring(contract: Case) -> list[str]:
    """Replayed while it is good, made again after it; the identity of its users stays."""
    case = contract.case
    got = [await enter(1, case, await ticket(case))]
    await note(case, "between")
    got.append(await enter(2, case, await ticket(case)))
    await last(case)
    return got
