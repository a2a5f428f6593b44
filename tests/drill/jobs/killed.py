"""A job that is killed at random moments, and a diary of what really happened in it.

Its items are read from the file KILLED_ITEMS, one a line, so they can change between
attempts without changing the contract. Every process appends to the diary
KILLED_DIARY, one write a line, so that whatever nightproof believes can be compared
with what was done. KILLED_READY is a named pipe that is told the pid of every
process whose body starts. KILLED_BROKEN names a way in which the runtime is broken.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import time
from pathlib import Path
from typing import Literal

from nightproof import Contract, Retry, effect, idempotency_key, job, step

DIARY = os.open(os.environ["KILLED_DIARY"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
PAUSE = float(os.environ.get("KILLED_PAUSE", "0.02"))
POLICIES = ("probe", "retry", "skip", "hold")


def tell(what: str, item: str = "", **more: object) -> None:
    """One line in the diary."""
    line = {"what": what, "item": item, "pid": os.getpid(), "t": time.monotonic_ns(), **more}
    os.write(DIARY, (json.dumps(line) + "\n").encode())


def diary() -> list[dict[str, object]]:
    """All lines so far."""
    return [json.loads(line) for line in Path(os.environ["KILLED_DIARY"]).read_text().splitlines()]


def answer(item: str) -> str:
    """The result that belongs to an item and to no other."""
    return f"{item}:{sum(map(ord, item)) * 7919 % 9973}"


def policy(item: str) -> str | None:
    """The kind of effect that goes with an item, for every fourth or so."""
    number = sum(map(ord, item))
    return POLICIES[number // 4 % len(POLICIES)] if number % 4 == 0 else None


class Night(Contract):
    """Which night; the items are not part of it."""

    task: Literal["killed"] = "killed"
    number: int


async def act(key: str) -> str:
    """The act on the world: its line in the diary, between two pauses."""
    await asyncio.sleep(PAUSE / 4)
    tell("act", key, idempotency=idempotency_key())
    await asyncio.sleep(PAUSE / 4)
    return key


async def find(item: str) -> str | None:
    """Ask the world whether the act happened."""
    key = f"probe/{item}"
    return key if any(one["what"] == "act" and one["item"] == key for one in diary()) else None


@effect(key="probe/{item}", unknown=find)
async def probed(item: str) -> str:
    """Looked up where its outcome is unknown."""
    return await act(f"probe/{item}")


@effect(key="retry/{item}", unknown="retry")
async def retried(item: str) -> str:
    """Deduplicated by the provider."""
    return await act(f"retry/{item}")


@effect(key="skip/{item}", unknown="skip")
async def skipped(item: str) -> str | None:
    """At most once."""
    return await act(f"skip/{item}")


@effect(key="hold/{item}")
async def held(item: str) -> str:
    """A person decides."""
    return await act(f"hold/{item}")


EFFECTS = {"probe": probed, "retry": retried, "skip": skipped, "hold": held}


@step(retry=Retry(attempts=1))
async def work(item: str) -> str:
    """Takes a while; its line in the diary is the last thing it does."""
    await asyncio.sleep(PAUSE * (0.5 + len(item) % 3 / 2))
    if policy(item) == "probe":
        await probed(item)
    tell("done", item)
    return answer(item)


@step(pure=True)
def count(answers: list[str]) -> int:
    """Pure: not on disk at once."""
    return len(answers)


@job
async def killed(contract: Night) -> dict[str, list[str] | int]:
    """A keyed map, a stream and effects over the items of the moment."""
    tell("start")
    if "KILLED_READY" in os.environ:
        ready = os.open(os.environ["KILLED_READY"], os.O_RDWR)  # nobody need listen
        os.write(ready, f"{os.getpid()}\n".encode())
        os.close(ready)
    items = Path(os.environ["KILLED_ITEMS"]).read_text().split()
    half = len(items) // 2
    mapped = await work.map(items[:half], key=str, concurrency=8)
    for item, found in zip(items[:half], mapped, strict=True):
        took(item, found)
    streamed = []
    async for found in work.stream(items[half:], concurrency=8):
        took(items[half + len(streamed)], found)
        streamed.append(found)
    kinds = [(item, policy(item)) for item in items]
    await asyncio.gather(*(EFFECTS[kind](item) for item, kind in kinds if kind))
    answers = [*mapped, *streamed]
    return {"answers": answers, "count": await count(answers)}


def took(item: str, found: str) -> None:
    """The body has the result of an item: from now on it must never run again."""
    tell("took", item, found=found)


if broken := os.environ.get("KILLED_BROKEN"):
    spec = importlib.util.spec_from_file_location("broken", Path(__file__).with_name("broken.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.BREAK[broken]()
