"""A server that is asked to stop leaves, also while its store is away."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from nightproof.serving import server as serving
from nightproof.serving.server import Server


class NoSchedules:
    """A source with nothing in it."""

    def changed(self) -> bool:
        return False

    async def read(self) -> list[Any]:
        return []


class Journal:
    """A journal that answers when it is let; it counts who is told to wait no longer."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.given_up = 0

    async def present(self) -> None:
        try:
            await self.answers.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise

    async def due(self, now_ms: int) -> list[Any]:
        return []


def told(
    act: Callable[[Server, Journal], Awaitable[None]], **more: Any
) -> tuple[list[str], Journal]:
    """What a server says in a test."""
    said: list[str] = []

    async def main() -> Journal:
        journal = Journal()

        async def watch(one: Any) -> None:
            await journal.present()

        late = timedelta(hours=1)
        server = Server(journal, NoSchedules(), said.append, 30_000, late, watcher=watch)  # type: ignore[arg-type]
        await asyncio.wait_for(act(server, journal), 20)
        return journal

    return said, asyncio.run(main())


@pytest.mark.parametrize("once", [False, True])
def test_a_store_that_is_away_does_not_keep_it(monkeypatch: pytest.MonkeyPatch, once: bool):
    """Neither a round nor the watcher is waited for until the store's patience ends."""
    monkeypatch.setattr(serving, "LEAVE_SECONDS", 0.05)

    async def act(server: Server, journal: Journal) -> None:
        server._watch_now_and_then()
        going = asyncio.ensure_future(server.once() if once else server.serve())
        await asyncio.sleep(0.05)
        assert not going.done()
        server.stop()
        await going
        await server.rest()

    said, journal = told(act)
    assert said[0] == "the store does not answer: leaving without it"
    assert journal.given_up == 2


def test_what_ends_in_time_is_not_cut_short(monkeypatch: pytest.MonkeyPatch):
    """A store that answers slowly is waited for: the round does all it has to."""
    monkeypatch.setattr(serving, "LEAVE_SECONDS", 20)

    async def act(server: Server, journal: Journal) -> None:
        going = asyncio.ensure_future(server.serve())
        await asyncio.sleep(0.02)
        server.stop()
        await asyncio.sleep(0.02)
        journal.answers.set()
        await going
        await server.rest()
        assert server.rounds == 1
        assert server.problems == {}

    said, journal = told(act)
    assert (said, journal.given_up) == ([], 0)
