"""From before the process exists to its first step, and to the first new one after a kill."""

from __future__ import annotations

from typing import Any

from bench.spec import NIGHTPROOF, Bound, Contender, Row

BARE = "bare process"
IMPORTS = "asyncio + pydantic + apsw"
FIRST = "bench.start.measure:first"
KILLED = "bench.start.measure:after_kill"
START = f"{NIGHTPROOF}, start of a new run"


def _first(label: str, script: str, needs: Any = "", **more: Any) -> Contender:
    params = {"script": script, **more}
    return Contender(label, FIRST, params, {"times": 3}, needs=needs)


START_ROW = Row(
    name="start",
    title="Start to first step",
    unit="ms",
    contenders=(
        _first("bare imports, no model", "imports", times=5),
        _first(BARE, "bare", times=5),
        _first(NIGHTPROOF, "ours_job", times=5),
        _first(f"{NIGHTPROOF}, new store", "ours_job", times=5, fresh=True),
        _first(f"{NIGHTPROOF} run (the command)", "cli", times=5),
        _first("DBOS, SQLite", "dbos_job", times=3),
        _first("Absurd, Postgres", "absurd_job", "postgres", times=3),
    ),
    bounds=(Bound(NIGHTPROOF, "ratio", 1.3, False, BARE),),
    rounds=5,
    note=f"The bare process imports {IMPORTS}, defines one BaseModel, uses one TypeAdapter, "
    "and writes the time. Stores exist already, unless it says new. Absurd's server runs.",
)


def _killed(at: int, extra: float, peer_rounds: int | None) -> Row:
    return Row(
        name=f"kill-{at}",
        title=f"kill -9 at step {at:,}: start to first new step",
        unit="ms",
        contenders=(
            _first(START, "ours_job", times=3),
            Contender(NIGHTPROOF, KILLED, {"script": "ours_job", "at": at}),
            Contender("DBOS, SQLite", KILLED, {"script": "dbos_job", "at": at}, rounds=peer_rounds),
            Contender(
                "Absurd, Postgres",
                KILLED,
                {"script": "absurd_job", "at": at},
                rounds=peer_rounds,
                needs="postgres",
            ),
        ),
        bounds=(Bound(NIGHTPROOF, "extra", extra, False, START),),
        rounds=5,
        note="Absurd waits for its lease, here 5 s instead of its default of 120 s.",
    )


MEMORY = Row(
    name="memory",
    title="Peak memory at the first step",
    unit="MiB",
    contenders=(
        _first(BARE, "bare", times=1, memory=True),
        _first(NIGHTPROOF, "ours_job", times=1, memory=True),
        _first(f"{NIGHTPROOF} run (the command)", "cli", times=1, memory=True),
        _first("DBOS, SQLite", "dbos_job", times=1, memory=True),
        _first("Absurd, Postgres", "absurd_job", "postgres", times=1, memory=True),
    ),
    bounds=(Bound(NIGHTPROOF, "absolute", 50, False),),
    note="Without Absurd's server.",
)

IMPORT = Row(
    name="import",
    title="The import statement alone",
    unit="ms",
    contenders=(
        Contender(IMPORTS, "bench.start.imported:seconds", {"modules": "asyncio, pydantic, apsw"}),
        Contender(NIGHTPROOF, "bench.start.imported:seconds", {"modules": NIGHTPROOF}),
    ),
    rounds=5,
)

HEAVY = Row(
    name="heavy",
    title="Heavy packages that `import nightproof` loads",
    unit="packages",
    contenders=(Contender(NIGHTPROOF, "bench.start.imported:heavy", {"modules": NIGHTPROOF}),),
    bounds=(Bound(NIGHTPROOF, "absolute", 0, False),),
    rounds=1,
    note=f"Beyond what {IMPORTS} load. In brackets: slow modules of the standard library.",
)

STARTUP = (START_ROW, _killed(500, 50, 3), _killed(10_000, 300, 1), MEMORY, IMPORT, HEAVY)
