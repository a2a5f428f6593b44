"""Jobs that are careless with secrets: each has a password in an address, named by its place."""

import os
from typing import Literal

from nightproof import Contract, Retry, artifact, effect, job, measure, step, wait_for


def dsn(place: str) -> str:
    """An address with a password that says where it was planted."""
    return f"postgresql://me:hush-{place}@db.example.com/n"


class Careless(Contract):
    task: Literal["careless"] = "careless"
    note: str = ""


@step(retry=Retry(attempts=1))
def fetch(n: int, at: str) -> dict[str, str]:
    if n == 2:
        raise ConnectionError(f"no answer from {dsn('item-error')} password=hush-item-error")
    return {"rows": f"{n}", "from": dsn("output"), "api_key": "hush-output-field"}


@step
def whole(at: str) -> str:
    os.environ.get("PLANTED_DSN")
    return f"line one\nfrom {dsn('text')}\n{os.environ.get('PLANTED_TEXT', '')}"


@effect(key="told/{at}")
def tell(at: str) -> str:
    raise ConnectionError(f"the line to {dsn('effect-error')} went dead")


@job
async def careless(contract: Careless) -> str:
    await fetch.map([1, 2, 3], at=dsn("input"), key=lambda n: f"{n} {dsn('key')}",
                    on_error="collect")  # fmt: skip
    text = await whole(dsn("input"))
    measure("rows", 3)
    await artifact(f"report-{len(text)}.txt", text)
    return text


@job
async def unsure(contract: Careless) -> str:
    return await tell(dsn("effect-key"))


@job
async def waits(contract: Careless) -> str:
    return await wait_for("go", str)


@job
async def fails(contract: Careless) -> str:
    raise ValueError(f"cannot log in with {dsn('job-error')}: Authorization: Bearer hush-job-error")
