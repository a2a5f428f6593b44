"""A job whose step imports a package by itself."""

from typing import Literal

from nightproof import Contract, artifact, job, step


class Work(Contract):
    task: Literal["work"] = "work"
    amounts: tuple[str, ...] = ("2.665", "0.125")


@step
def rounded(amounts: tuple[str, ...]) -> list[str]:
    import halfcent

    return [halfcent.rounded(one) for one in amounts]


@job
async def main(contract: Work) -> str:
    found = await rounded(contract.amounts)
    await artifact("amounts.txt", " ".join(found))
    return found[-1]
