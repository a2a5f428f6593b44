"""Pairs of real runs of one small job, for the tests of what differs between them."""

from typing import Any

from nightproof import artifact, effect, job, random, step


def rows_step(factor: int, extra=lambda: 0):
    """A step `rows`; another factor is other code."""
    if factor == 10:

        @step(name="rows")
        def rows(i: int) -> dict[str, Any]:
            return {"total": i * 10 + extra(), "name": f"row {i}"}
    else:

        @step(name="rows")
        def rows(i: int) -> dict[str, Any]:
            return {"total": i * 11 + extra(), "name": f"row {i}"}

    return rows


@step
def total(found: list[dict[str, Any]]) -> int:
    """The sum of rows."""
    return sum(one["total"] for one in found)


@effect(key="drift/{n}")
def tell(n: int, all_: int) -> str:
    """An act."""
    return f"told {all_}"


def make(Night, rows=None, **options):
    """A job `main` of a map, a step, a file and an effect."""
    rows = rows or rows_step(10)

    @job(name="main", **options)
    async def body(contract: Night) -> int:
        found = await rows.map(range(3 + contract.n), key=str)
        all_ = await total(found)
        random()
        await artifact("report.md", f"# report\n\ntotal {all_}\n")
        await tell(contract.n, all_)
        return all_

    return body


def twice(night, first, second, contract=None):
    """A run, and a replicate of it by another job."""
    return night.run(first, contract).name, night.run(second, contract, replicate=-1).name
