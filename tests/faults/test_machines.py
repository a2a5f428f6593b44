"""Two machines, one run, and a network that separates the first from the journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random
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


def start(place: Any, wires: tuple[Proxy, Proxy], number: int, **environ: str) -> Any:
    """A machine goes to work, through its own network."""
    return place.run(
        host=f"machine-{number}",
        NIGHTPROOF_STORE=wires[number].url(place.store) + "?sslmode=disable&gssencmode=disable",
        NIGHTPROOF_LEASE=LEASE,
        FAULTS_PAUSE="0.03",
        **environ,
    )


def separated(place: Any, wires: tuple[Proxy, Proxy], **environ: str) -> tuple[Any, Any]:
    """The first is cut off until the second has taken over and done some work."""

    first = start(place, wires, 0, **environ)
    place.wait_for(40, first)
    place.strike("separation", wires[0].drop)
    deadline = time.monotonic() + 60
    while True:
        second = start(place, wires, 1, **environ)
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


@pytest.mark.drill
@pytest.mark.timeout(300)
def test_two_machines_race(
    place: Callable[..., Any],
    postgres_server: servers.PostgresServer,
    wires: tuple[Proxy, Proxy],
    chance: Random,
):
    """Both go to work whenever they are idle; now one, now the other is cut off or killed."""
    night = place(postgres_server.database("faults_race"), 3000, more=SLOW)
    machines = [start(night, wires, number) for number in (0, 1)]
    night.wait_for(20)
    beats = 0
    while night.result()[0] != "completed":
        beats += 1
        assert beats < 600, [night.said(machine)[-500:] for machine in machines]
        for number, machine in enumerate(machines):
            if machine.poll() is not None:
                machines[number] = start(night, wires, number)
        time.sleep(0.3)
        number = chance.randrange(2)
        wire = wires[number]
        if beats % 12 == 6:
            night.kill(machines[number])
        elif beats % 3 == 0:
            night.strike("separation", lambda: wire.drop(chance.uniform(1, 5)))  # noqa: B023
        elif beats % 3 == 1:
            night.strike("reset", wire.reset)
    for wire in wires:
        wire.heal()
    print(night.summary(), len(night.processes), "processes")
    assert night.wrong() == []
    assert len({line.pid for line in night.diary("begin")}) > 2
