"""Runs on Temporal, beside plain Temporal on the same server."""

from __future__ import annotations

from bench.spec import NIGHTPROOF, Bound, Contender, Row

PLAIN = "Temporal, an activity each"
ONE = f"{NIGHTPROOF}, one worker"
TWO = f"{NIGHTPROOF}, two workers"
NOTE = (
    "Temporal's development server on the same machine, its database in WAL mode with full "
    "syncs and its limit of 20 looks for tasks a second taken away, for both sides. Workers are "
    "processes of their own; the time is that from the start of the workflow until the client "
    "has its result, after a small run for warming up."
)


def _ours(label: str, function: str, params: dict[str, float], quick: int) -> Contender:
    target = f"bench.peers.ours_temporal:{function}"
    return Contender(label, target, params, {"n": quick}, needs="temporal")


def _plain(
    label: str, function: str, params: dict[str, float], quick: int, rounds: int | None = None
) -> Contender:
    target = f"bench.peers.temporal_plain:{function}"
    return Contender(label, target, params, {"n": quick}, rounds, needs="temporal")


STEPS = Row(
    name="temporal-steps",
    title="Sequential steps on Temporal",
    unit="steps/s",
    contenders=(
        _plain(PLAIN, "steps", {"n": 400}, 100),
        _ours(NIGHTPROOF, "steps", {"n": 400}, 100),
    ),
    rounds=3,
    note=f"{NOTE} nightproof's journal is in Postgres, which is written too.",
)

MAP = Row(
    name="temporal-map",
    title="Map of 10,000 items on Temporal, 64 at a time, 1 ms each",
    unit="items/s",
    contenders=(
        _plain(PLAIN, "map_items", {"n": 10000}, 300, rounds=2),
        _ours(NIGHTPROOF, "map_items", {"n": 10000}, 2000),
    ),
    bounds=(Bound(NIGHTPROOF, "ratio", 10, True, PLAIN),),
    rounds=3,
    note=f"{NOTE} 10,000 activities just fit into one history.",
)

WORKERS = Row(
    name="temporal-workers",
    title="A second worker process: items that wait 50 ms",
    unit="items/s",
    contenders=(
        _ours(ONE, "map_items", {"n": 6000, "seconds": 0.05, "width": 64, "slots": 4}, 1500),
        _ours(
            TWO,
            "map_items",
            {"n": 6000, "seconds": 0.05, "width": 64, "slots": 4, "count": 2},
            1500,
        ),
        _plain(f"{PLAIN}, one worker", "map_items", {"n": 1000, "seconds": 0.05, "width": 32}, 300),
        _plain(
            f"{PLAIN}, two workers",
            "map_items",
            {"n": 1000, "seconds": 0.05, "width": 64, "count": 2},
            300,
        ),
    ),
    bounds=(Bound(TWO, "ratio", 1.7, True, ONE),),
    rounds=3,
    note="A map with 64 items at a time, of which a worker takes 32 at most (--slots 4: four "
    "chunks of eight).",
)

TEMPORAL = (STEPS, MAP, WORKERS)
