"""Workers that are killed: the run goes on, and what is on record is not done again."""

from __future__ import annotations

import asyncio
import signal
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nightproof.cli import targets
from nightproof.model.states import Kind

Diary = Callable[[], list[str]]
WIDTH = 8

JOB = f'''
import os, time
from typing import Literal
from nightproof import Contract, effect, job, step


class Night(Contract):
    """What to do."""
    task: Literal["night"] = "night"
    n: int = 3


def wrote(line):
    with open(os.environ["DIARY"], "a") as file:
        file.write(line + "\\n")


@step
def item(number: int) -> int:
    wrote(f"item {{number}} {{os.getpid()}}")
    time.sleep(0.02)
    return number


@step
def slow(number: int) -> int:
    wrote(f"slow {{number}} {{os.getpid()}}")
    time.sleep(1.0 if number else 0)
    return number


@effect(key="tell/{{number}}")
def tell(number: int) -> int:
    wrote(f"tell {{number}} {{os.getpid()}}")
    return number


@job
async def killed(contract: Night) -> int:
    total = sum(await item.map(range(contract.n), concurrency={WIDTH}))
    await tell(total)
    return total + await slow(1)
'''


def written(world: Any) -> Any:
    """The job's file, and the job."""
    path = Path(world.folder) / "jobs.py"
    path.write_text(textwrap.dedent(JOB))
    return path, targets.load(f"{path}:killed").job


def test_a_worker_is_killed_in_the_middle_of_a_map(world: Any, diary: Diary) -> None:
    """Only what was in flight there is done again, by the other worker; each item is on record once."""
    path, job = written(world)
    contract = job.contract_type(n=400)

    async def main() -> None:
        async with world:
            workers = [world.process(path, "--slots", "2", NIGHTPROOF_LEASE="3") for _ in range(2)]
            # One that is there first would take all chunks.
            log = Path(world.folder) / "worker.log"
            await world.until(lambda: log.read_text().count("working for") >= 2)
            begun = await world.begin(job, contract)
            await world.until(lambda: len({line.split()[2] for line in diary()}) == 2)
            await world.until(lambda: len(diary()) > 60)
            workers[0].send_signal(signal.SIGKILL)
            outcome = await world.end(begun, job)
            assert outcome.error is None
            assert outcome.value == sum(range(400)) + 1
            row = await world.row(job, contract)
            assert len(await world.entries(row, Kind.RESULT)) == 401

    asyncio.run(main())
    counted = Counter(" ".join(line.split()[:2]) for line in diary())
    assert set(counted) >= {f"item {n}" for n in range(400)}
    again = [name for name, count in counted.items() if count > 1]
    assert len(again) <= 2 * WIDTH
    assert counted[f"tell {sum(range(400))}"] == 1


def test_the_only_worker_is_killed_at_a_step_and_replaced(world: Any, diary: Diary) -> None:
    """The next one takes up the run; what the first has recorded stays."""
    path, job = written(world)
    contract = job.contract_type(n=20)

    async def main() -> None:
        async with world:
            first = world.process(path, NIGHTPROOF_LEASE="3")
            begun = await world.begin(job, contract)
            await world.until(lambda: any(line.startswith("slow") for line in diary()))
            first.send_signal(signal.SIGKILL)
            first.wait()
            world.process(path, NIGHTPROOF_LEASE="3")
            outcome = await world.end(begun, job)
            assert outcome.value == sum(range(20)) + 1
            assert outcome.replayed == 0

    asyncio.run(main())
    counted = Counter(line.split()[0] for line in diary())
    assert counted == {"item": 20, "tell": 1, "slow": 2}
