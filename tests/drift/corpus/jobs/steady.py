"""Jobs that give the same, whatever changes around them."""

import os
import random
import signal
from pathlib import Path
from typing import Any, Literal

from nightproof import Contract, artifact, job, step


class Work(Contract):
    task: Literal["work"] = "work"
    names: tuple[str, ...] = ("Oslo", "Porto", "Gent", "Lyon", "Bonn")


@step
def name(one: str) -> str:
    return one.upper()


@step
def ordered(names: list[str]) -> list[str]:
    return sorted(set(names))


@step
def drawn(names: list[str]) -> list[float]:
    return [random.random() for _ in names]


@step
def currency() -> str:
    for line in Path("~/.ledgerrc").expanduser().read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "currency":
            return value
    return "EUR"


@step
def fetched(names: list[str]) -> dict[str, Any]:
    return {"request": f"req_{os.urandom(10).hex()}", "names": names}


@job
async def plain(contract: Work) -> list[str]:
    """A map, a set and seeded random numbers."""
    found = await ordered(await name.map(contract.names, key=str))
    numbers = await drawn(found)
    await artifact("names.txt", "".join(map("{} {}\n".format, found, numbers)))
    return found


@job
async def configured(contract: Work) -> str:
    """Reads a file in HOME."""
    told = await currency()
    await artifact("currency.txt", told)
    return told


@job(normalise=["ids"])
async def normalised(contract: Work) -> list[str]:
    """Holds a number that is a new one every time."""
    found = await fetched(await name.map(contract.names, key=str))
    return list(found["names"])


@step
def doomed(names: list[str]) -> int:
    if Path("kill").exists():
        Path("kill").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return len(names)


@job
async def killed(contract: Work) -> int:
    """Dies on the way, where a file says so."""
    found = await name.map(contract.names, key=str)
    count = await doomed(found)
    await artifact("names.txt", " ".join(await ordered(found)))
    return count
