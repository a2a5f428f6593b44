"""Expiring values that are made again and again: what is sent of them does not grow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any, Literal

from nightproof import Contract, job, step

TIMES = 12
LONG = 320


class Night(Contract):
    """The contract of the job here."""

    task: Literal["night"] = "night"


def wrote(line: str) -> int:
    """Add a line to the test's diary; how many there are."""
    with open(os.environ["DIARY"], "a+") as file:
        file.write(line + "\n")
        file.seek(0)
        return len(file.readlines())


@step(expires=timedelta(microseconds=1))
async def token() -> str:
    """Stale as soon as it is made: every use makes a new one."""
    number = wrote("made")
    noise = "".join(sha256(b"%d %d" % (number, part)).hexdigest() for part in range(LONG // 64))
    return f"token-{number:04}-{noise}"


@step
async def use(token: str, headers: dict[str, str], number: int) -> str:
    """What it was given."""
    wrote(f"used {number}")
    return token[:10]


@job
async def lasting(contract: Night) -> list[str]:
    """Keeps its first token, and uses it once more at the end."""
    first = await token()
    found = []
    for number in range(TIMES):
        latest = await token()
        found.append(await use(latest, {"auth": f"Bearer {latest}"}, number))
    return [*found, await use(first, {"auth": f"Bearer {first}"}, TIMES)]


def test_what_a_token_was_before_travels_only_where_it_is_meant(
    world: Any, diary: Callable[[], list[str]]
) -> None:
    """Messages stay as small as at first; the oldest one is still known, and made fresh."""

    async def main() -> None:
        async with world, world.worker(lasting):
            begun = await world.begin(lasting, Night())
            outcome = await world.end(begun, lasting)
            assert outcome.error is None
            assert len(set(outcome.value)) == TIMES + 1, "each use had a token of its own"
            sizes = [size async for size in _sizes(world.connection.client, begun.handle.id)]
            assert max(sizes) < min(sizes) + 4 * LONG + 200
            row = await world.row(lasting, Night())
            kept = [entry.inputs or b"" for entry in await world.entries(row, 1)]
            assert not any(b"token-" in inputs for inputs in kept)

    asyncio.run(main())
    assert [line for line in diary() if line != "made"] == [f"used {n}" for n in range(TIMES + 1)]


async def _sizes(client: Any, workflow_id: str) -> Any:
    """How long what the activities called `use` were given is."""
    async for event in client.get_workflow_handle(workflow_id).fetch_history_events():
        if event.HasField("activity_task_scheduled_event_attributes"):
            given = event.activity_task_scheduled_event_attributes
            if given.activity_type.name == "use":
                yield len(given.input.payloads[0].data)
