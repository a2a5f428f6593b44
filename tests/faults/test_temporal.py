"""Temporal: workers, both servers and the network break in the middle of a wide map."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from nightproof.testing import servers
from nightproof.testing.proxy import Proxy


def environ(temporal: servers.TemporalServer) -> dict[str, str]:
    """What leads all processes to Temporal."""
    return {
        "NIGHTPROOF_ENGINE": "temporal",
        "NIGHTPROOF_TEMPORAL": f"{temporal.url}?task_queue=q{time.monotonic_ns()}",
        "NIGHTPROOF_LEASE": "6",  # a worker that is silent for 2 s is dead
    }


def test_a_worker_dies(
    place: Callable[..., Any],
    postgres_server: servers.PostgresServer,
    temporal_server: servers.TemporalServer,
):
    """One of two workers is killed; the other takes over what was under way, and only that."""
    night = place(postgres_server.database("faults_worker"), 1200, environ=environ(temporal_server))
    workers = [night.worker() for _ in range(2)]
    client = night.run()
    night.wait_for(300, client, *workers)
    night.kill(night.busiest(*workers))
    night.finish(client)
    print(night.summary())
    assert night.wrong() == []


@pytest.mark.drill
def test_a_worker_that_does_not_look_is_caught(
    place: Callable[..., Any],
    postgres_server: servers.PostgresServer,
    temporal_server: servers.TemporalServer,
):
    """Without the look at the ledger, what the killed one has finished runs again: it is seen."""
    night = place(postgres_server.database("faults_blind"), 1200, environ=environ(temporal_server))
    broken = {"FAULTS_BROKEN": "no-look-up"}
    workers = [night.worker(**broken) for _ in range(2)]
    client = night.run()
    night.wait_for(300, client, *workers)
    night.kill(night.busiest(*workers))
    night.finish(client)
    assert any("ran again" in text for text in night.wrong()), night.wrong()


@pytest.mark.drill
def test_both_servers_and_the_network_break(
    place: Callable[..., Any],
    own_postgres: servers.PostgresServer,
    own_temporal: servers.TemporalServer,
):
    """Postgres, Temporal and the connection to the journal go away while two workers work."""
    with Proxy("127.0.0.1", own_postgres.port) as wire:
        night = place(own_postgres.database("nights"), 1500, environ=environ(own_temporal))
        through = wire.url(night.store) + "?sslmode=disable&gssencmode=disable"
        workers = [night.worker(), night.worker(NIGHTPROOF_STORE=through)]
        client = night.run()
        night.wait_for(200, client, *workers)
        night.strike("temporal", own_temporal.kill)
        own_temporal.start()
        night.wait_for(600, client, *workers)
        night.strike("postgres", own_postgres.kill)
        own_postgres.start()
        night.wait_for(900, client, *workers)
        night.strike("network", lambda: wire.drop(0.5) or wire.reset())
        night.finish(client)
    print(night.summary())
    assert night.wrong() == []


@pytest.mark.drill
@pytest.mark.timeout(400)
def test_a_night_of_everything(
    place: Callable[..., Any],
    own_postgres: servers.PostgresServer,
    own_temporal: servers.TemporalServer,
    chance: Random,
):
    """20,000 items on three workers, of which one dies every few seconds; so do the servers."""
    with Proxy("127.0.0.1", own_postgres.port) as wire:
        night = place(
            own_postgres.database("nights"),
            20_000,
            environ=environ(own_temporal) | {"FAULTS_PAUSE": "0.03"},
        )
        through = wire.url(night.store) + "?sslmode=disable&gssencmode=disable"

        def worker() -> Any:
            return night.worker(NIGHTPROOF_STORE=through)

        def postgres() -> None:
            night.strike("postgres", own_postgres.kill)
            time.sleep(chance.uniform(0, 1))
            own_postgres.start()

        def temporal() -> None:
            night.strike("temporal", own_temporal.kill)
            time.sleep(chance.uniform(0, 1))
            own_temporal.start()

        def killed() -> None:
            night.kill(workers.pop(chance.randrange(len(workers))))
            workers.append(worker())

        acts: list[Callable[[], object]] = [
            postgres,
            temporal,
            killed,
            killed,
            killed,
            lambda: night.strike("reset", wire.reset),
            lambda: night.strike("drop", lambda: wire.drop(chance.uniform(0.1, 2))),
            lambda: night.strike("delay", lambda: wire.delay(0.01, 0.05, lasting=2)),
        ]
        workers = [worker() for _ in range(3)]
        client = night.run()
        night.wait_for(100, client, *workers)
        left: list[Callable[[], object]] = []
        while client.poll() is None:
            left = left or chance.sample(acts, len(acts))
            left.pop()()
            time.sleep(chance.uniform(0.5, 2.5))
        wire.heal()
        night.finish(client)
    print(night.summary())
    assert night.wrong() == []
    assert sum(blow.kind == "kill" for blow in night.blows) >= 3
