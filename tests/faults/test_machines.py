"""Two machines, one run, and a network that separates the first from the journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nightproof.testing import servers
from nightproof.testing.proxy import Proxy

LEASE = "2"
SLOW = {"concurrency": 8}


@pytest.fixture
def wires(postgres_server: servers.PostgresServer) -> Iterator[tuple[Proxy, Proxy]]:
    """A network for each machine."""
    port = postgres_server.port
    with Proxy("127.0.0.1", port) as first, Proxy("127.0.0.1", port) as second:
        yield first, second


def separated(place: Any, wires: tuple[Proxy, Proxy], **environ: str) -> tuple[Any, Any]:
    """The first is cut off until the second has taken over and done some work."""

    def start(number: int) -> Any:
        store = wires[number].url(place.store) + "?sslmode=disable&gssencmode=disable"
        return place.run(
            host=f"machine-{number}",
            NIGHTPROOF_STORE=store,
            NIGHTPROOF_LEASE=LEASE,
            FAULTS_PAUSE="0.03",
            **environ,
        )

    first = start(0)
    place.wait_for(40, first)
    place.strike("separation", wires[0].drop)
    deadline = time.monotonic() + 60
    while True:
        second = start(1)
        while second.poll() is None and not worked(place, second):
            assert time.monotonic() < deadline, place.said(second)
            time.sleep(0.02)
        if worked(place, second):
            break
        assert "already running" in place.said(second), place.said(second)
        time.sleep(0.2)
    wires[0].heal()
    first.wait(60)
    second.wait(60)
    return first, second


def worked(place: Any, process: Any) -> bool:
    """Whether a process has done something."""
    return any(line.pid == process.pid for line in place.diary("done"))


def test_the_first_is_fenced_off(
    place: Callable[..., Any],
    postgres_server: servers.PostgresServer,
    wires: tuple[Proxy, Proxy],
):
    """What it had sent and what it still sends is refused; it says so and leaves."""
    night = place(postgres_server.database("faults_machines"), 500, more=SLOW)
    first, second = separated(night, wires)
    assert second.returncode == 0, night.said(second)
    assert first.returncode != 0
    assert "took it over" in night.said(first) or "taken over" in night.said(first)
    assert night.wrong() == []


def test_without_fencing_both_write(
    place: Callable[..., Any],
    postgres_server: servers.PostgresServer,
    wires: tuple[Proxy, Proxy],
):
    """The same with the token unchecked: results are recorded twice, and that is noticed."""
    night = place(postgres_server.database("faults_unfenced"), 500, more=SLOW)
    separated(night, wires, FAULTS_BROKEN="no-token")
    assert any("recorded twice" in text for text in night.wrong()), night.wrong()
