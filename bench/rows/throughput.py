"""Rates: steps, maps, runs."""

from __future__ import annotations

from bench.spec import NIGHTPROOF, Bound, Contender, Row

RAW = "raw commits"
WORKERS = "asyncio, 64 tasks"
GATHER = "asyncio, gather behind a semaphore"
PLAIN = f"{NIGHTPROOF}, plain function"


def raw_commits() -> Contender:
    return Contender(RAW, "bench.peers.raw:commits", {"n": 4000}, {"n": 1000})


def _ours(function: str, n: int, quick: int, label: str = NIGHTPROOF, **more: int) -> Contender:
    return Contender(label, f"bench.peers.ours:{function}", {"n": n, **more}, {"n": quick})


def _dbos(function: str, n: int, quick: int, **more: int) -> Contender:
    target = f"bench.peers.dbos_sqlite:{function}"
    return Contender("DBOS, SQLite", target, {"n": n, **more}, {"n": quick})


def _absurd(function: str, n: int, quick: int, **more: int) -> Contender:
    target = f"bench.peers.absurd_postgres:{function}"
    return Contender("Absurd, Postgres", target, {"n": n, **more}, {"n": quick}, needs="postgres")


def _satay(function: str, n: int, quick: int, **more: int) -> Contender:
    target = f"bench.peers.satay_sqlite:{function}"
    return Contender("satay, SQLite", target, {"n": n, **more}, {"n": quick}, needs="satay")


LIMITS = Row(
    name="limits",
    title="Raw limits: rows committed",
    unit="rows/s",
    contenders=(
        raw_commits(),
        Contender("raw, groups of 64", "bench.peers.raw:groups", {"n": 64000}, {"n": 12800}),
    ),
    note="SQLite through apsw, WAL, synchronous=FULL.",
)

STEPS = Row(
    name="steps",
    title="Sequential durable steps",
    unit="steps/s",
    contenders=(
        raw_commits(),
        _ours("steps", 4000, 1000),
        _ours("steps_plain", 2000, 500, PLAIN),
        _dbos("steps", 1000, 200),
        _absurd("steps", 1000, 200),
        _satay("steps", 1000, 200),
    ),
    bounds=(Bound(NIGHTPROOF, "ratio", 0.6, True, RAW),),
    rounds=5,
)

PURE = Row(
    name="pure",
    title="Sequential pure steps",
    unit="steps/s",
    contenders=(
        raw_commits(),
        _ours("pure_steps", 20000, 5000),
        _ours("pure_steps_plain", 10000, 2000, PLAIN),
    ),
    bounds=(
        Bound(NIGHTPROOF, "absolute", 15000, True),
        Bound(PLAIN, "absolute", 15000, True),
    ),
    rounds=5,
    note="Until the run has returned and everything is on disk.",
)

MAP = Row(
    name="map",
    title="Map, 64 at a time, 1 ms each",
    unit="items/s",
    contenders=(
        Contender(GATHER, "bench.peers.raw:semaphore", {"n": 10000}, {"n": 4000}),
        Contender(WORKERS, "bench.peers.raw:workers", {"n": 10000}, {"n": 4000}),
        _ours("map_items", 10000, 4000),
        _dbos("map_items", 1000, 200),
        _absurd("map_items", 1000, 200),
        _satay("map_items", 1000, 200),
    ),
    bounds=(
        Bound(NIGHTPROOF, "ratio", 0.5, True, GATHER),
        Bound(NIGHTPROOF, "ratio", 0.5, True, WORKERS),
    ),
    rounds=5,
)

RUNS = Row(
    name="runs",
    title="Runs of 3 steps, one after another",
    unit="runs/s",
    contenders=(
        raw_commits(),
        _ours("runs", 1000, 200),
        _dbos("runs_direct", 200, 50),
        _absurd("runs", 200, 50),
        _satay("runs", 200, 50),
    ),
    bounds=(Bound(NIGHTPROOF, "ratio", 0.15, True, RAW),),
    rounds=5,
)

RUNS_64 = Row(
    name="runs-64",
    title="Runs of 3 steps, 64 at once",
    unit="runs/s",
    contenders=(
        raw_commits(),
        _ours("runs", 3200, 640, width=64),
        _dbos("runs", 192, 64, width=64),
        _absurd("runs", 640, 128, width=64),
        _satay("runs", 256, 64, width=64),
    ),
    bounds=(Bound(NIGHTPROOF, "ratio", 0.15, True, RAW),),
    rounds=5,
)

THROUGHPUT = (LIMITS, STEPS, PURE, MAP, RUNS, RUNS_64)
