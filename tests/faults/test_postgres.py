"""The embedded engine on a Postgres that dies, and behind a network that breaks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from nightproof.testing import servers
from nightproof.testing.proxy import Proxy


@pytest.fixture
def wire(postgres_server: servers.PostgresServer) -> Iterator[Proxy]:
    """A network between the processes and Postgres."""
    with Proxy("127.0.0.1", postgres_server.port) as proxy:
        yield proxy


def behind(wire: Proxy, place: Any) -> dict[str, str]:
    """The environment of a process that reaches the journal through the network."""
    return {"NIGHTPROOF_STORE": wire.url(place.store) + "?sslmode=disable&gssencmode=disable"}


def test_postgres_is_killed(place: Callable[..., Any], own_postgres: servers.PostgresServer):
    """The run waits until it is back, twice, and loses and repeats nothing."""
    night = place(own_postgres.database("nights"), 500)
    run = night.run()
    for count in (100, 300):
        night.wait_for(count, run)
        night.strike("postgres", own_postgres.kill)
        own_postgres.start()
    night.finish(run)
    assert night.wrong() == []
    assert night.repeats == 0


def test_the_network_breaks(
    place: Callable[..., Any], postgres_server: servers.PostgresServer, wire: Proxy
):
    """Late, silent, reset and refused connections: the run goes on as if nothing had been."""
    night = place(postgres_server.database("faults_network"), 700)
    run = night.run(**behind(wire, night))
    wire.delay(0.005, 0.02)
    faults: list[tuple[str, Callable[[], object]]] = [
        ("reset", wire.reset),
        ("drop", lambda: wire.drop(0.5)),
        ("refuse", lambda: wire.refuse(0.5)),
        ("half", lambda: wire.drop(0.3, "down")),
        ("reset", wire.reset),
    ]
    for number, (kind, act) in enumerate(faults, 1):
        night.wait_for(100 * number, run)
        night.strike(kind, act)
    night.finish(run)
    assert night.wrong() == []
    assert night.repeats == 0


LOST = [("before", "taken-for-done", "not on record"), ("answered", "taken-for-undone", "twice")]


def cut_off(wire: Proxy, night: Any, when: Any, **environ: str) -> None:
    """A night in which the commits of some items lose their connection."""
    cuts = [wire.cut(b"[%d,50]" % item, when=when) for item in range(9, 200, 20)]
    run = night.run(**behind(wire, night), **environ)
    night.finish(run)
    assert sum(cut.hits for cut in cuts) >= 3  # some were in one message


@pytest.mark.parametrize("when", ["before", "sent", "answered"])
def test_commits_whose_answer_is_lost(
    place: Callable[..., Any], postgres_server: servers.PostgresServer, wire: Proxy, when: str
):
    """Committed or not: it is looked up, and every result is on record once."""
    night = place(postgres_server.database(f"faults_{when}"), 200)
    cut_off(wire, night, when)
    assert night.wrong() == []


@pytest.mark.parametrize(("when", "broken", "says"), LOST)
def test_guessing_is_caught(
    place: Callable[..., Any],
    postgres_server: servers.PostgresServer,
    wire: Proxy,
    when: str,
    broken: str,
    says: str,
):
    """A store that guesses instead loses a result or records it twice, and is told on."""
    night = place(postgres_server.database(f"faults_guess_{when}"), 200)
    cut_off(wire, night, when, FAULTS_BROKEN=broken)
    assert any(says in text for text in night.wrong()), night.wrong()


@pytest.mark.drill
@pytest.mark.timeout(300)
def test_postgres_is_killed_again_and_again(
    place: Callable[..., Any], own_postgres: servers.PostgresServer, chance: Random
):
    """Every second or so, for 8,000 items."""
    night = place(own_postgres.database("nights"), 8000)
    run = night.run(FAULTS_PAUSE="0.02")
    while run.poll() is None:
        time.sleep(chance.uniform(0.3, 1.5))
        if run.poll() is None:
            night.strike("postgres", own_postgres.kill)
            time.sleep(chance.uniform(0, 1.0))
            own_postgres.start()
    night.finish(run)
    print(night.summary())
    assert night.wrong() == []
    assert night.repeats == 0
    assert len(night.blows) >= 3


@pytest.mark.drill
@pytest.mark.timeout(300)
def test_the_network_breaks_again_and_again(
    place: Callable[..., Any],
    postgres_server: servers.PostgresServer,
    wire: Proxy,
    chance: Random,
):
    """Every fault in any order, and the process itself killed now and then."""
    night = place(postgres_server.database("faults_long_network"), 6000)
    faults: dict[str, Callable[[], object]] = {
        "reset": wire.reset,
        "drop": lambda: wire.drop(chance.uniform(0.1, 2)),
        "half": lambda: wire.drop(chance.uniform(0.1, 1), "down"),
        "lost": lambda: wire.drop(0.3) or wire.reset(),
        "refuse": lambda: wire.refuse(chance.uniform(0.1, 1)),
        "delay": lambda: wire.delay(0.01, 0.05, lasting=1),
        "cut": lambda: wire.cut(after=chance.randrange(1, 5000)),
        "deaf": lambda: wire.cut(after=chance.randrange(1, 5000), direction="down"),
    }
    kinds = [*faults, "kill"] * 3
    chance.shuffle(kinds)
    run = night.run(**behind(wire, night))
    for number, kind in enumerate(kinds, 1):
        night.wait_for(200 * number, run)
        if kind == "kill":
            night.kill(run)
            run = night.run(**behind(wire, night))
        else:
            night.strike(kind, faults[kind])
    wire.heal()
    night.finish(run)
    print(night.summary())
    assert night.wrong() == []
