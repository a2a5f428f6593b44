"""nightproof on Postgres, with the defaults that a user gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.peers.ours import Bench, fan_out, sequence
from bench.peers.raw_postgres import grown
from bench.servers import database

JOBS = {"steps": sequence, "map": fan_out}


def throughput(work: Path, n: int, what: str) -> dict[str, Any]:  # noqa: ARG001
    """Steps or items a second, once the run has begun."""
    return {"value": n / JOBS[what].run_sync(Bench(n=n), store=database())}


def growth(work: Path, n: int, what: str, of: str = "steps") -> dict[str, Any]:  # noqa: ARG001
    """Bytes a step or item, of a run of many."""
    url = database()
    JOBS[of].run_sync(Bench(n=1), store=url)
    return {"value": grown(url, what, lambda: JOBS[of].run_sync(Bench(n=n), store=url)) / n}
