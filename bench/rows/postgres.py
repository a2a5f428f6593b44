"""A journal in Postgres, beside what the same server allows and what others make of it."""

from __future__ import annotations

from bench.spec import NIGHTPROOF, Bound, Contender, Row

RAW = "raw commits"
DBOS = "DBOS, Postgres"
ABSURD = "Absurd, Postgres"
OURS = "bench.peers.ours_postgres"
OF_MAP = f"{NIGHTPROOF}, map item"
NOTE = "One client on the server's machine, through TCP; fsync and synchronous_commit are on."


def _side(label: str, target: str, n: int, quick: int, **more: str) -> Contender:
    return Contender(
        label, f"bench.peers.{target}", {"n": n, **more}, {"n": quick}, needs="postgres"
    )


STEPS = Row(
    name="pg-steps",
    title="Sequential durable steps on Postgres",
    unit="steps/s",
    contenders=(
        _side(RAW, "raw_postgres:commits", 4000, 1000),
        _side(NIGHTPROOF, "ours_postgres:throughput", 3000, 800, what="steps"),
        _side(DBOS, "dbos_postgres:steps", 600, 200),
        _side(ABSURD, "absurd_postgres:steps", 600, 200),
    ),
    bounds=(
        Bound(NIGHTPROOF, "ratio", 0.6, True, RAW),
        Bound(NIGHTPROOF, "ratio", 5, True, DBOS),
    ),
    rounds=5,
    note=f"{NOTE} The raw limit is one prepared INSERT of a row of that size a commit.",
)

MAP = Row(
    name="pg-map",
    title="Map of 10,000 items on Postgres, 64 at a time, 1 ms each",
    unit="items/s",
    contenders=(
        _side("raw, groups of 64", "raw_postgres:groups", 32000, 6400),
        _side(NIGHTPROOF, "ours_postgres:throughput", 10000, 4000, what="map"),
        _side(DBOS, "dbos_postgres:map_items", 1000, 200),
        _side(ABSURD, "absurd_postgres:map_items", 1000, 200),
    ),
    bounds=(Bound(NIGHTPROOF, "absolute", 5000, True),),
    rounds=5,
    note=NOTE,
)


def _growth(what: str, title: str, note: str) -> Row:
    return Row(
        name=f"pg-{what}",
        title=title,
        unit="bytes/step",
        contenders=(
            _side("raw commits, no index", "raw_postgres:growth", 4000, 1000, what=what),
            _side(NIGHTPROOF, "ours_postgres:growth", 10000, 2000, what=what),
            _side(OF_MAP, "ours_postgres:growth", 10000, 2000, what=what, of="map"),
            _side(DBOS, "dbos_postgres:growth", 1000, 200, what=what),
        ),
        rounds=1,
        note=note,
    )


DISK = _growth(
    "disk",
    "Disk for a small step on Postgres",
    "Growth of the database with its indexes, of a run of many steps.",
)
WAL = _growth(
    "wal",
    "Write-ahead log for a small step on Postgres",
    "Whole pages that follow a checkpoint included, so that few steps look dearer than many.",
)

POSTGRES = (STEPS, MAP, DISK, WAL)
