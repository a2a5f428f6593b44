"""An effect that holds up its worker's event loop: begun on another worker, and not done there."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nightproof.cli import targets

JOB = '''
import os, time
from typing import Literal
from nightproof import Contract, effect, job


class Night(Contract):
    """What to do."""
    task: Literal["night"] = "night"


def wrote(line):
    with open(os.environ["DIARY"], "a") as file:
        file.write(line + "\\n")


async def asked() -> None:
    wrote("asked")


@effect(key="post", unknown=asked)
async def post() -> int:
    wrote("begun")
    while not os.path.exists("met"):
        time.sleep(0.02)
    wrote("done")
    return os.getpid()


@job
async def posting(contract: Night) -> int:
    return await post()
'''


def test_an_effect_that_blocks_its_worker_is_done_once(
    world: Any, diary: Callable[[], list[str]]
) -> None:
    """Temporal gives it to another worker, which leaves it to the one that is at it."""
    path = Path(world.folder) / "jobs.py"
    path.write_text(textwrap.dedent(JOB))
    job = targets.load(f"{path}:posting").job
    contract = job.contract_type()

    async def main() -> None:
        async with world:
            # With one slot each, who is held up takes no second execution itself.
            workers = [world.process(path, "--slots", "1", NIGHTPROOF_LEASE="3") for _ in range(2)]
            log = Path(world.folder) / "worker.log"
            await world.until(lambda: log.read_text().count("working for") >= 2)
            begun = await world.begin(job, contract)

            async def met() -> Any:
                row = await world.row(job, contract)
                said = [] if row is None else await world.said(row)
                return next((one for one in said if one["kind"] == "effect-elsewhere"), None)

            found = await world.until(met)
            (world.folder / "met").touch()
            outcome = await world.end(begun, job)
            assert outcome.value in {one.pid for one in workers}
            assert f"pid {outcome.value}" in found["message"]

    asyncio.run(main())
    assert diary() == ["begun", "done"]
