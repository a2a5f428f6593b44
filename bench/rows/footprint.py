"""What a step costs the disk: syncs and bytes."""

from __future__ import annotations

from bench.spec import NIGHTPROOF, Bound, Contender, Row

RAW = "raw commits"
OF_MAP = f"{NIGHTPROOF}, map item"
OF_PURE = f"{NIGHTPROOF}, pure step"


def _syncs(label: str, target: str) -> Contender:
    return Contender(
        label,
        "bench.syncs:each",
        {"target": f"bench.peers.{target}", "few": 200, "many": 1000},
        needs="strace",
    )


SYNCS = Row(
    name="syncs",
    title="Syncs to disk",
    unit="syncs/step",
    contenders=(
        _syncs(RAW, "raw:commits"),
        _syncs(NIGHTPROOF, "ours:steps"),
        _syncs(OF_MAP, "ours:map_items"),
        _syncs(OF_PURE, "ours:pure_steps"),
        _syncs("DBOS, SQLite", "dbos_sqlite:steps"),
    ),
    bounds=(
        Bound(NIGHTPROOF, "absolute", 1.05, False),
        Bound(OF_MAP, "absolute", 0.99, False),
        Bound(OF_PURE, "absolute", 0.99, False),
    ),
    rounds=1,
    note="fsync and fdatasync counted by strace, 1,000 steps less 200; a WAL checkpoint "
    "may add a few.",
)


def _disk(label: str, target: str, n: int, needs: str = "") -> Contender:
    return Contender(
        label,
        f"bench.peers.{target}",
        {"n": n},
        {"n": 2000},
        needs=needs,  # type: ignore[arg-type]
    )


DISK = Row(
    name="disk",
    title="Disk for a small step",
    unit="bytes/step",
    contenders=(
        _disk(NIGHTPROOF, "ours:disk", 10000),
        _disk(OF_MAP, "ours:disk_map", 10000),
        _disk("DBOS, SQLite", "dbos_sqlite:disk", 2000),
        _disk("Absurd, Postgres", "absurd_postgres:disk", 2000, "postgres"),
        _disk("satay, SQLite", "satay_sqlite:disk", 2000, "satay"),
    ),
    bounds=(
        Bound(NIGHTPROOF, "absolute", 200, False),
        Bound(OF_MAP, "absolute", 200, False),
    ),
    rounds=1,
    note="Growth of the database file after a checkpoint, of a run of many steps.",
)

FOOTPRINT = (SYNCS, DISK)
