"""Jobs that vary by themselves."""

import os
import random
import threading
import time
from typing import Literal

from nightproof import Contract, artifact, job, step


class Work(Contract):
    task: Literal["work"] = "work"
    names: tuple[str, ...] = ("Oslo", "Porto", "Gent", "Lyon", "Bonn", "Turin", "Delft")


@step
def names(wanted: tuple[str, ...]) -> list[str]:
    return [one.upper() for one in wanted]


@step
def token() -> str:
    return os.urandom(4).hex()


@job
async def drawn(contract: Work) -> str:
    """Draws from the system's own source of randomness, which no seed reaches."""
    found = await names(contract.names)
    told = await token()
    await artifact("names.txt", f"{told}: {' '.join(found)}\n")
    return told


@step
def raced(found: list[str]) -> list[str]:
    waits = random.SystemRandom().sample(range(len(found)), len(found))
    ended: list[str] = []

    def fetch(name: str, wait: int) -> None:
        time.sleep(wait / 100)
        ended.append(name)

    threads = [threading.Thread(target=fetch, args=pair) for pair in zip(found, waits, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


@job
async def race(contract: Work) -> str:
    """Keeps what threads fetch in the order in which they end."""
    told = ", ".join(await raced(await names(contract.names)))
    await artifact("names.txt", told)
    return told
