"""What a job's body may do, as on the embedded engine: maps, credentials, quotas, decisions."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from nightproof import (
    Contract,
    Exhausted,
    Quota,
    Ref,
    StepFailed,
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


@step
async def large(number: int) -> bytes:
    """A result for the blob store."""
    return bytes([number]) * 100_000


@step
async def refer(number: int) -> Ref[list[int]]:
    """A large value by its digest."""
    return Ref([number] * 50_000)


@step
async def size(value: Ref[list[int]]) -> int:
    """Reads a value by its digest."""
    return len(value.get())


@job
async def collecting(contract: Night) -> list[str]:
    """Puts failures in the items' places."""
    found = await square.map(range(contract.n), key=lambda number: f"n{number}", on_error="collect")
    return [one.key if isinstance(one, StepFailed) else str(one) for one in found]


@job
async def raising(contract: Night) -> int:
    """The first failure ends the map."""
    return sum(await square.map(range(contract.n), concurrency=4))


@job
async def streaming(contract: Night) -> list[int]:
    """Takes results as they come, of items whose number is not known."""

    def numbers() -> Iterator[int]:
        for number in range(contract.n):
            wrote(f"item {number}")
            yield number

    found: AsyncIterator[int] = square.stream(numbers(), concurrency=4)
    taken = []
    async for one in found:
        taken.append(one)
        if len(taken) == 10:
            wrote("ten")
        if len(taken) == 40:
            break
    return taken


@job
async def heavy(contract: Night) -> list[int]:
    """Large results and references, alone and mapped."""
    alone = await large(contract.n)
    many = await large.map(range(3))
    referred = await refer(contract.n)
    assert len(referred.get()) == 50_000
    return [len(alone), *map(len, many), await size(referred)]


def test_failing_items_are_collected(
    world: Any, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All items are worked on; a resume answers with the same failure."""
    monkeypatch.setenv("UNLUCKY", "1")

    async def main() -> None:
        async with world, world.worker(collecting):
            outcome = await world.run(collecting, Night(n=100))
            wanted = [str(n * n) if n != 13 else "n13" for n in range(100)]
            assert outcome.value == wanted
            assert (outcome.executed, outcome.failed) == (99, 1)

    asyncio.run(main())
    assert sorted(diary()) == sorted(f"square {n}" for n in range(100))


def test_a_failing_item_ends_the_map_and_a_resume_does_the_rest(
    world: Any, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other chunks are called off; nothing that is done is done again."""
    monkeypatch.setenv("UNLUCKY", "1")

    async def main() -> None:
        async with world, world.worker(raising):
            outcome = await world.run(raising, Night(n=2000))
            assert isinstance(outcome.error, StepFailed)
            assert outcome.error.reason == "thirteen"
            done = len(diary())
            assert done < 2000
            monkeypatch.delenv("UNLUCKY")
            again = await world.run(raising, Night(n=2000))
            assert again.value == sum(n * n for n in range(2000))
            assert again.executed == 2000 - (done - 1)
            assert again.replayed == done - 1

    asyncio.run(main())
    assert sorted(diary()) == sorted([*(f"square {n}" for n in range(2000)), "square 13"])


def test_streams_are_in_order_and_not_far_ahead(world: Any, diary: Diary) -> None:
    """A bounded number of items is taken ahead of the consumer."""

    async def main() -> None:
        async with world, world.worker(streaming):
            outcome = await world.run(streaming, Night(n=10_000))
            assert outcome.value == [n * n for n in range(40)]

    asyncio.run(main())
    lines = diary()
    assert len([one for one in lines[: lines.index("ten")] if one.startswith("item")]) <= 24
    assert len([one for one in lines if one.startswith("item")]) <= 56


def test_large_values(world: Any) -> None:
    """Results over the limits of a payload, and values by digest."""

    async def main() -> None:
        async with world, world.worker(heavy, events=20):
            outcome = await world.run(heavy, Night())
            assert outcome.value == [100_000] * 4 + [50_000]

    asyncio.run(main())


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


@job
async def chatty(contract: Night) -> int:
    """Many results that are too long for the index, one after the other."""
    return sum([len(await words(number)) for number in range(contract.n)])


@step
async def words(number: int) -> str:
    """A result of some length."""
    wrote(f"words {number}")
    return f"{number}, " * 300


def test_long_results_are_recalled_together(world: Any, diary: Diary) -> None:
    """A history that is renewed does not grow by an activity for each of them."""

    async def main() -> None:
        async with world, world.worker(chatty, events=60):
            begun = await world.begin(chatty, Night(n=60))
            outcome = await world.end(begun, chatty)
            assert outcome.error is None
            assert (outcome.executed, outcome.replayed) == (60, 0)
            names = [
                event.activity_task_scheduled_event_attributes.activity_type.name
                async for event in begun.handle.fetch_history_events()
            ]
            assert names.count("nightproof.recall") <= 1

    asyncio.run(main())
    assert diary() == [f"words {n}" for n in range(60)]


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
