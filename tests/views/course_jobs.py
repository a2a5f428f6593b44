"""Steps that courses, grids and logs are made of."""

from nightproof import (
    Retry,
    effect,
    job,
    measure,
    sleep,
    step,
    views,
)

broken: set[int] = set()


tries: list[int] = []


@step(retry=Retry(attempts=1))
async def enrich(i: int) -> int:
    """Fails for what is in `broken`."""
    if i in broken:
        raise ValueError(f"{i} is broken")
    return 2 * i


@step(retry=Retry(attempts=2, base=0.001))
async def shaky(i: int) -> int:
    """Fails the first time."""
    tries.append(i)
    if len(tries) == 1:
        raise ConnectionError("the line went dead")
    return i


@step
async def large() -> str:
    """More than is shown of an output."""
    return "ä" * 400_000


@effect(key="course/{n}")
async def say(n: int) -> int:
    """An act."""
    return n


def make(Night):
    """A job with a map, a step that is tried again, a wait and an effect."""

    @job(name="main")
    async def body(contract: Night) -> int:
        found = await enrich.map(range(10), key=lambda i: f"schlüssel-{i}", concurrency=1)
        await shaky(1)
        await sleep(0.02)
        await say(contract.n)
        measure("total", sum(found))
        return sum(found)

    return body


def ask(night, name, question):
    """What a view says of a run."""

    async def of(app):
        return await question(app, await views.open_run(app.journal, name))

    return night.ask(of)
