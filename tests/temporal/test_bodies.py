"""What a job's body may do, as on the embedded engine: maps, credentials, quotas, decisions."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from nightproof import (
    Contract,
    Exhausted,
    Quota,
    RunCancelled,
    effect,
    job,
    step,
    wait_for,
)
from nightproof.errors import CodeChanged, MisuseError, Permanent, Unauthenticated
from nightproof.model import clock
from nightproof.model.states import Kind, RunStatus

Diary = Callable[[], list[str]]


class Night(Contract):
    """The contract of the jobs here."""

    task: Literal["night"] = "night"
    n: int = 3


def wrote(line: str) -> None:
    """Add a line to the test's diary; appends of a line are whole."""
    with open(os.environ["DIARY"], "a") as file:
        file.write(line + "\n")


@step
async def square(number: int) -> int:
    """Squares; thirteen is refused while the test says so."""
    wrote(f"square {number}")
    if number == 13 and os.environ.get("UNLUCKY"):
        raise Permanent("thirteen")
    return number * number


@step(secret=True)
async def token() -> str:
    """A credential that must not be seen."""
    wrote("token")
    return f"very-secret-{Path(os.environ['DIARY']).read_text().count('token')}"


@step(expires=timedelta(hours=1))
async def ticket() -> str:
    """A credential that runs out."""
    wrote("ticket")
    return "ticket-0123456789"


@step
async def use(name: str, with_token: str) -> str:
    """Needs a credential, and refuses the first one."""
    wrote(f"use {name} {with_token[:11]}")
    if name == "picky" and with_token == "very-secret-1":
        raise Unauthenticated("not this one")
    return name


@job
async def trusted(contract: Night) -> list[str]:
    """Steps with credentials."""
    key, paper = await token(), await ticket()
    names = [await use("first", key), await use("picky", key), await use("paper", paper)]
    await wait_for("go", int)
    return [*names, await use("last", key), await use("late", paper)]


def test_a_secret_needs_a_key(world: Any, diary: Diary) -> None:
    """Without one it is refused, in one line that says what to do."""

    async def main() -> None:
        async with world, world.worker(trusted):
            outcome = await world.run(trusted, Night())
            assert isinstance(outcome.error, MisuseError)
            assert "is not encrypted" in outcome.error.message
            assert "temporal_key" in outcome.error.hint

    asyncio.run(main())
    assert diary() == []


def test_credentials_travel_encrypted(world: Any, diary: Diary) -> None:
    """Refused ones are made again; neither history nor journal shows a secret one."""
    key = world.folder / "key"
    key.write_text(base64.b64encode(bytes(range(32))).decode())
    key.chmod(0o600)
    world.given["temporal_key"] = str(key)

    async def main() -> None:
        async with world:
            async with world.worker(trusted):
                begun = await world.begin(trusted, Night())
                row = await world.parked(trusted, Night())
                raw = b"".join([
                    event.SerializeToString()
                    async for event in begun.handle.fetch_history_events()
                ])  # fmt: skip
                assert b"secret" not in raw
                assert b"ticket-0" not in raw
            async with world.worker(trusted):
                await world.journal.send(row.id, "go", b"1")
                await world.poke(row)
                outcome = await world.end(begun, trusted)
                assert outcome.value == ["first", "picky", "paper", "last", "late"]
        for path in Path(world.folder).rglob("*"):
            if path.is_file() and path.name != "diary":
                assert b"very-secret" not in path.read_bytes(), path

    asyncio.run(main())
    lines = diary()
    assert lines.count("ticket") == 1
    assert lines[:2] == ["token", "ticket"]
    used = [line for line in lines if line.startswith("use")]
    assert [line.split()[1] for line in used] == [
        "first",
        "picky",
        "picky",
        "paper",
        "last",
        "late",
    ]


SCARCE = Quota("scarce", rate="1000/s")


@step(quota=SCARCE)
async def ask(number: int) -> int:
    """Uses a quota, which is used up the first time."""
    wrote(f"ask {number}")
    if os.environ.get("EMPTY"):
        raise Exhausted("used up", resets_at=clock.now() + timedelta(seconds=2))
    return number


@job
async def scarce(contract: Night) -> int:
    """Waits for a quota."""
    return await ask(contract.n)


def test_a_quota_that_is_used_up_parks_the_run(
    world: Any, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No activity waits; the run goes on by itself when there is some again."""
    monkeypatch.setenv("EMPTY", "1")
    world.given["park_after"] = 0.5

    async def main() -> None:
        async with world, world.worker(scarce):
            begun = await world.begin(scarce, Night())
            row = await world.parked(scarce, Night())
            assert "used up" in row.waiting
            assert row.wake is not None
            monkeypatch.delenv("EMPTY")
            outcome = await world.end(begun, scarce)
            assert outcome.value == 3

    asyncio.run(main())
    assert diary() == ["ask 3", "ask 3"]


@effect(key="pay/{number}")
async def pay(number: int) -> str:
    """An act whose outcome nobody knows."""
    wrote(f"pay {number}")
    raise ConnectionError("the wire broke")


@job
async def paying(contract: Night) -> list[Any]:
    """Goes on with something else while a person decides."""
    return list(await asyncio.gather(pay(contract.n), square(contract.n)))


def test_a_held_effect_waits_for_a_person(world: Any, diary: Diary) -> None:
    """The decision is taken over; the act is not repeated."""

    async def main() -> None:
        async with world, world.worker(paying):
            begun = await world.begin(paying, Night())
            row = await world.parked(paying, Night())
            assert "nightproof resolve" in row.waiting
            await world.journal.resolve("pay/3", True, b'"paid"')
            await world.poke(row)
            outcome = await world.end(begun, paying)
            assert outcome.value == ["paid", 9]

    asyncio.run(main())
    assert sorted(diary()) == ["pay 3", "square 3"]


@effect(key="send/{what}", unknown="retry")
async def send(what: str, text: str) -> str:
    """An act."""
    wrote(f"send {text}")
    return "sent"


@job
async def sending(contract: Night) -> str | None:
    """Sends what it has worked out."""
    return await send("it", str(await square(contract.n)) + os.environ.get("MORE", ""))


def test_a_replicate_sends_nothing(
    world: Any, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the recorded answer, and says where it would have sent something else."""

    async def main() -> None:
        async with world, world.worker(sending):
            first = await world.run(sending, Night())
            second = await world.run(sending, Night(), replicate=1)
            monkeypatch.setenv("MORE", "!")
            third = await world.run(sending, Night(), replicate=2)
            assert first.value == second.value == third.value == "sent"
            assert second.name == f"{first.name}.1"
            assert second.divergences == []
            assert "would have sent other arguments" in third.divergences[0]["message"]

    asyncio.run(main())
    assert [line for line in diary() if line.startswith("send")] == ["send 9"]


def test_strict_refuses_other_code_and_lets_the_run_go(world: Any, diary: Diary) -> None:
    """The run stays what it is, with nobody in possession; without strict it goes on."""

    @job(name="strict-one")
    async def before(contract: Night) -> int:
        await square(contract.n)
        raise ValueError("not yet")

    @job(name="strict-one")
    async def after(contract: Night) -> int:
        return await square(contract.n)

    async def main() -> None:
        async with world:
            async with world.worker(before):
                assert (await world.run(before, Night())).status is RunStatus.FAILED
            async with world.worker(after):
                refused = await world.run(after, Night(), strict=True)
                assert isinstance(refused.error, CodeChanged)
                row = await world.row(after, Night())
                assert row.owner is None
                outcome = await world.run(after, Night())
                assert outcome.value == 9
                assert list(outcome.code_changed) == ["job 'strict-one'"]

    asyncio.run(main())
    assert diary() == ["square 3"]


@job
async def renewing(contract: Night) -> int:
    """Renews its history while a child and a wait are open."""
    child = asyncio.ensure_future(listening(Night(n=50)))
    total = 0
    for number in range(contract.n):
        total += await square(number)
    return total + await child


@job
async def listening(contract: Night) -> int:
    """A child that waits."""
    return await wait_for("go", int) + contract.n


def test_a_history_is_renewed_while_a_child_works(world: Any, diary: Diary) -> None:
    """The child goes on; the parent's next execution waits for it."""

    async def main() -> None:
        async with world, world.worker(renewing, listening, events=25):
            begun = await world.begin(renewing, Night(n=12))
            await world.until(lambda: len(diary()) == 12)
            row = await world.parked(listening, Night(n=50))
            await world.journal.send(row.id, "go", b"1")
            await world.poke(row)
            outcome = await world.end(begun, renewing)
            assert outcome.value == sum(n * n for n in range(12)) + 51
            parent = await world.row(renewing, Night(n=12))
            assert len(await world.entries(parent, Kind.CHILD)) == 1

    asyncio.run(main())
    assert sorted(diary()) == sorted(f"square {n}" for n in range(12))


@job
async def tidying(contract: Night) -> int:
    """Wants to clean up with a step when it is cancelled."""
    try:
        return await wait_for("never", int)
    finally:
        wrote("cleaning")
        await square(contract.n)


def test_a_cancelled_body_begins_nothing_more(world: Any, diary: Diary) -> None:
    """What it cleans up with steps is left out, and the run ends."""

    async def main() -> None:
        async with world, world.worker(tidying):
            begun = await world.begin(tidying, Night())
            await world.parked(tidying, Night())
            await begun.handle.cancel()
            with pytest.raises(RunCancelled):
                await world.end(begun, tidying)

    asyncio.run(main())
    assert diary() == ["cleaning"]


@job
async def threading(contract: Night) -> int:
    """Uses a thread where it should use a step."""
    return await asyncio.to_thread(lambda: contract.n)


def test_a_body_has_no_threads(world: Any) -> None:
    """It is told to use a step."""

    async def main() -> None:
        async with world, world.worker(threading):
            outcome = await world.run(threading, Night())
            assert isinstance(outcome.error, MisuseError)
            assert "run_in_executor" in outcome.error.message

    asyncio.run(main())
