"""A nightproof job of n steps; `python ours_job.py DIR N`, or a target of `nightproof run`."""

import sys
from pathlib import Path
from typing import Literal

from nightproof import Contract, job, step

sys.path.insert(0, str(Path(__file__).resolve().parent))
from mark import mark_or_die


class Start(Contract):
    task: Literal["start"] = "start"
    n: int


@step
async def one(i: int) -> int:
    mark_or_die(i)
    return i


@job
async def start(contract: Start) -> int:
    total = 0
    for i in range(contract.n):
        total += await one(i)
    return total


if __name__ == "__main__":
    start.run_sync(Start(n=int(sys.argv[2])), store="sqlite:///journal.db")
