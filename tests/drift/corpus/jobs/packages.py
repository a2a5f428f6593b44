"""A job that rounds amounts with an installed package."""

from typing import Literal

import halfcent

from nightproof import Contract, artifact, job, step


class Work(Contract):
    task: Literal["work"] = "work"
    amounts: tuple[str, ...] = ("1.005", "2.675", "0.125")


@step
def amounts(wanted: tuple[str, ...]) -> list[str]:
    return sorted(wanted)


@step
def rounded(found: list[str]) -> list[str]:
    return [halfcent.rounded(one) for one in found]


@job
async def main(contract: Work) -> str:
    found = await rounded(await amounts(contract.amounts))
    await artifact("amounts.txt", "\n".join(found))
    return found[-1]
