"""A job before it was edited; ``after.py`` is the same job after it was."""

from __future__ import annotations

import asyncio

from conforming.world import Case, last, on, tell
from nightproof import Retry, job, step


@step
async def fetch(case: str, country: str) -> str:
    """Each country has a result of its own."""
    tell(case, f"fetch {country}")
    return f"result of {country}"


@step
async def edited(case: str, n: int) -> int:
    """Its body is edited."""
    tell(case, f"edited {n}")
    return n + 1


@step
async def removed(case: str) -> int:
    """Not called any more after the edit."""
    tell(case, "removed")
    return 1


@step
async def dated(case: str, day: str) -> str:
    """Called with other arguments after the edit."""
    tell(case, f"dated {day}")
    return day


COUNTRIES = ["JP", "DE", "FR", "US"]


@job(name="countries")
async def countries(contract: Case) -> list[str]:
    """One after the other, in a map, and side by side."""
    case = contract.case
    got = [await fetch(case, country) for country in COUNTRIES]
    got += await fetched.map(COUNTRIES, case=case, concurrency=2)
    got += await asyncio.gather(*(side(case, country) for country in COUNTRIES))
    await last(case)
    return got


@step
async def fetched(country: str, case: str) -> str:
    """An item."""
    tell(case, f"fetched {country}")
    return f"item of {country}"


@step
async def side(case: str, country: str) -> str:
    """Beside others."""
    tell(case, f"side {country}")
    return f"side of {country}"


@job(name="codes")
async def codes(contract: Case) -> int:
    """Uses the step whose body is edited."""
    got = await edited(contract.case, contract.n)
    await last(contract.case)
    return got


@step(retry=Retry(attempts=1))
async def falls(case: str) -> int:
    """Fails until the test has switched it on."""
    tell(case, "falls")
    if not on(case, "well"):
        raise ValueError("not yet")
    return 0


@job(name="falling")
async def falling(contract: Case) -> int:
    """Fails behind the step whose body is edited."""
    got = await edited(contract.case, contract.n)
    await falls(contract.case)
    return got


@job(name="days")
async def days(contract: Case) -> str:
    """Its argument is edited, and one of its steps is removed."""
    await removed(contract.case)
    got = await dated(contract.case, "mon")
    await last(contract.case)
    return got
