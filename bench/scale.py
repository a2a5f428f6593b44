"""What grows with the number of items: ``python -m bench.scale``.

Each line is a map of trivial items in a process of its own: its seconds and its peak memory, the
bytes an item on disk, and the seconds of a resume that finds every item on record. docs/scale.md
has the figures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter
from typing import Any, Literal

import psycopg

from bench.runner import WORK
from bench.servers import database, running
from nightproof import Contract, job, step
from nightproof.errors import NightproofError

SIZES = (2_000, 20_000, 200_000, 1_000_000)


class Many(Contract):
    """How many items, and where the second attempt may end."""

    task: Literal["many"] = "many"
    n: int
    flag: str


@step
async def item(i: int) -> int:
    return i


@step
async def gate(flag: str) -> None:
    if not Path(flag).exists():
        raise ValueError("not yet")


@job
async def many(contract: Many) -> int:
    found = await item.map(range(contract.n), concurrency=64)
    await gate(contract.flag)
    return len(found)


def once(store: str, contract: Many) -> float:
    """Seconds of one attempt."""
    started = perf_counter()
    with suppress(NightproofError):  # the gate: every item is on record by then
        many.run_sync(contract, store=store)
    return perf_counter() - started


def child(store: str, n: str, flag: str) -> None:
    """One attempt in this process, told as a line of JSON."""
    seconds = once(store, Many(n=int(n), flag=flag))
    print(json.dumps({"seconds": seconds, "memory": getrusage(RUSAGE_SELF).ru_maxrss / 1024}))


def attempt(store: str, n: int, flag: Path) -> dict[str, Any]:
    """One attempt in a process of its own."""
    words = [sys.executable, "-m", "bench.scale", store, str(n), str(flag)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, cwd=flag.parent,
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def size_of(store: str) -> int:
    """Bytes of a journal."""
    if store.startswith("sqlite"):
        path = store.removeprefix("sqlite:///")
        return sum(file.stat().st_size for file in Path(path).parent.glob("journal.db*"))
    with psycopg.connect(store) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


def line(kind: str, n: int) -> str:
    """The figures of one size on one store."""
    with tempfile.TemporaryDirectory(prefix="bench-scale-", dir=WORK) as folder:
        flag = Path(folder) / "flag"
        store = database() if kind == "postgres" else f"sqlite:///{folder}/journal.db"
        empty = size_of(store)
        first = attempt(store, n, flag)
        disk = size_of(store) - empty
        flag.touch()
        again = attempt(store, n, flag)
    return (
        f"| {kind} | {n:,} | {first['seconds']:.1f} s | {first['memory']:.0f} MB | "
        f"{disk / 1e6:.0f} MB | {again['seconds']:.1f} s, {again['memory']:.0f} MB |"
    )


def main() -> None:
    """All sizes on both stores, as a table."""
    print(
        "| store | items | first attempt | memory | journal | resume |\n|---|---|---|---|---|---|"
    )
    with running() as servers:
        servers.need("postgres")
        for kind in ("sqlite", "postgres"):
            for n in SIZES:
                print(line(kind, n), flush=True)


if __name__ == "__main__":
    child(*sys.argv[1:]) if len(sys.argv) > 1 else main()
