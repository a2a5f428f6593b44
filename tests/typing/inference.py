"""What type checkers have to infer, and what they have to refuse.

Read by mypy and by pyright, never run. Every line with ``E:`` at its end has to be
an error for both (``E: pyright``: for pyright, which looks into Concatenate where mypy
does not), every other line has to be none.
"""
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Literal, assert_type

from nightproof import (
    Ambient,
    Artifact,
    Contract,
    Ref,
    Retry,
    StepFailed,
    artifact,
    effect,
    job,
    now,
    sleep,
    step,
    wait_for,
)


class Night(Contract):
    task: Literal["night"] = "night"
    n: int = 0


class Client: ...


class Row:
    n: int


@step
async def fetch(country: str, day: int = 1) -> list[Row]: ...


@step(retry=Retry(attempts=3), timeout=timedelta(seconds=1), pure=True)
def count(rows: list[Row]) -> int: ...


@step
async def call(client: Ambient[Client], n: int) -> float: ...


@step
async def load() -> Ref[dict[str, int]]: ...


@effect(key="post/{day}", unknown="retry")
async def post(day: str, text: str) -> Artifact: ...


@effect(key=lambda day: f"k/{day}", unknown="hold")
def plain_post(day: str) -> None: ...


@job
async def child(contract: Night) -> bytes: ...


@job(deadline=timedelta(hours=1))
async def main(contract: Night) -> str:
    rows = await fetch("JP", day=2)
    assert_type(rows, list[Row])
    assert_type(await count(rows), int)
    assert_type(await call(Client(), 1), float)
    assert_type((await load()).get(), dict[str, int])

    assert_type(await fetch.map(["JP", "DE"]), list[list[Row]])
    assert_type(await fetch.map({"JP"}, day=2, concurrency=4, key=str), list[list[Row]])
    assert_type(await fetch.map(["JP"], on_error="raise"), list[list[Row]])
    assert_type(await fetch.map(["JP"], on_error="collect"), list[list[Row] | StepFailed])
    assert_type(await count.map([rows]), list[int])
    assert_type(fetch.stream(iter(["JP"])), AsyncIterator[list[Row]])
    async for found in fetch.stream(["JP"]):
        assert_type(found, list[Row])

    assert_type(await post("mon", text="x"), Artifact)
    assert_type(await child(contract), bytes)
    assert_type(await wait_for("go", int), int)
    assert_type(await artifact("a", b"b"), Artifact)
    assert_type(now().year, int)
    await sleep(timedelta(hours=1))
    await plain_post("mon")

    await fetch(1)  # E:
    await fetch()  # E:
    await fetch("JP", night=2)  # E:
    await count("rows")  # E:
    await fetch.map([1])  # E: pyright
    await fetch.map("JP", on_error="ignore")  # E:
    await fetch.map(["JP"], concurrency="many")  # E:
    await load.map([1])  # E: pyright
    await post("mon")  # E:
    await child("contract")  # E:
    await wait_for(1)  # E:
    wrong: int = await fetch("JP")  # E:
    await sleep("long")  # E:
    return str(wrong)


async def outside() -> None:
    assert_type(await main.run(Night()), str)
    assert_type(await main.run(Night(), replicate=True, store="sqlite:///a.db"), str)
    assert_type(main.run_sync(Night()), str)
    assert_type(fetch.fn("JP") is None, bool)
    await main.run("contract")  # E:
    await main.run(Night(), replicat=True)  # E:


@effect(key="k", unknown="perhaps")  # E:
async def bad_policy() -> None: ...


@step(retries=3)  # E:
async def bad_option() -> None: ...


@job  # E:
def not_async(contract: Night) -> int: ...
