"""DBOS with its system database in Postgres, otherwise as on SQLite."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dbos import DBOS

from bench.peers.dbos_sqlite import construct, fan_out, sequence
from bench.peers.raw_postgres import grown
from bench.servers import database


@contextlib.contextmanager
def launched() -> Iterator[str]:
    url = database()
    construct(url)
    DBOS.launch()
    yield url
    DBOS.destroy()


def steps(work: Path, n: int) -> dict[str, Any]:  # noqa: ARG001
    with launched():
        return {"value": n / sequence(n)}


def map_items(work: Path, n: int, width: int = 64) -> dict[str, Any]:  # noqa: ARG001
    with launched():
        return {"value": n / asyncio.run(fan_out(n, width))}


def growth(work: Path, n: int, what: str) -> dict[str, Any]:  # noqa: ARG001
    """Bytes a step: of tables and indexes, or of the write-ahead log."""
    with launched() as url:
        return {"value": grown(url, what, lambda: sequence(n)) / n}
