"""What Postgres itself allows: rows inserted through psycopg, and what they cost its disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from bench.servers import database
from bench.work import rate

BODY = b"x" * 40
INSERT = "INSERT INTO t VALUES (%s, %s, %s)"
CREATE = "CREATE TABLE t(run bigint, name text, body bytea)"


def commits(work: Path, n: int) -> dict[str, Any]:  # noqa: ARG001
    """One row a commit."""
    with psycopg.connect(database(), autocommit=True) as connection:
        connection.execute(CREATE)
        execute = connection.cursor().execute
        started = time.perf_counter()
        for i in range(n):
            execute(INSERT, (i, "step", BODY), prepare=True)
        return rate(n, started)


def groups(work: Path, n: int, size: int = 64) -> dict[str, Any]:  # noqa: ARG001
    """Rows in groups of `size` a commit."""
    with psycopg.connect(database()) as connection:
        connection.execute(CREATE)
        cursor = connection.cursor()
        started = time.perf_counter()
        for first in range(0, n, size):
            cursor.executemany(INSERT, [(first + i, "step", BODY) for i in range(size)])
            connection.commit()
        return rate((n + size - 1) // size * size, started)


def growth(work: Path, n: int, what: str) -> dict[str, Any]:  # noqa: ARG001
    """Bytes a row, in a commit of its own."""
    url = database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(CREATE)

        def insert() -> None:
            for i in range(n):
                connection.execute(INSERT, (i, "step", BODY))

        return {"value": grown(url, what, insert) / n}


def grown(url: str, what: str, act: Callable[[], object]) -> int:
    """Bytes that `act` adds: `disk` to the database's tables and indexes, `wal` to the log.

    A checkpoint comes first, so the log has whole pages in it, as after every checkpoint.
    """
    with psycopg.connect(url, autocommit=True) as connection:

        def measure() -> int:
            text = {
                "disk": "SELECT pg_database_size(current_database())",
                "wal": "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint",
            }[what]
            row = connection.execute(text).fetchone()
            assert row is not None
            return int(row[0])

        connection.execute("CHECKPOINT")
        before = measure()
        act()
        if what == "disk":
            connection.execute("CHECKPOINT")
        return measure() - before
