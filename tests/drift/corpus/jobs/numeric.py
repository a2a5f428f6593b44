"""Jobs whose last digits depend on how the processor is used."""

from typing import Literal

import numpy as np

from nightproof import Contract, artifact, job, step


class Work(Contract):
    task: Literal["work"] = "work"
    size: int = 300
    seed: int = 20


@step
def weights(size: int, seed: int) -> list[float]:
    return [float(x) for x in np.random.default_rng(seed).standard_normal(size)]


@step
def product(size: int, seed: int, by: list[float]) -> list[float]:
    left = np.random.default_rng(seed).standard_normal((size, size))
    right = np.random.default_rng(seed + 1).standard_normal((size, size))
    return [float(x) for x in (left @ right) @ np.array(by)]


@job
async def threads(contract: Work) -> float:
    by = await weights(contract.size, contract.seed)
    found = await product(contract.size, contract.seed, by)
    await artifact("sum.txt", repr(sum(found)))
    return found[0]


@step
def growth(rates: list[float]) -> list[float]:
    return [float(x) for x in np.exp(np.array(rates))]


@job
async def simd(contract: Work) -> float:
    found = await growth(await weights(contract.size, contract.seed))
    await artifact("growth.txt", repr(sum(found)))
    return found[0]
