"""A connection of its own, for what is no run: migrations, and what doctor asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from nightproof.errors import NightproofError, StoreTooNew
from nightproof.model import clock
from nightproof.stores.postgres import trouble
from nightproof.stores.postgres.schema import VERSION
from nightproof.stores.postgres.target import CONNECT_SECONDS, Target
from nightproof.stores.postgres.target import target as read_url

_ROUNDS = 5


class Examined(NamedTuple):
    """What a server says of itself.

    `round_trip` is seconds; `ahead` is by how many seconds this machine's clock is before
    the database's. `risks` are its settings under which a checkpoint may be lost.
    """

    version: str
    journal: bool
    pooled: bool
    round_trip: float
    ahead: float
    risks: tuple[str, ...]


@contextmanager
def connected(url: str) -> Iterator[tuple[psycopg.Connection[Any], Target]]:
    """A connection to the server. Raises ConfigError or StoreError in one line."""
    where = read_url(url)
    with explained(where):
        connection = psycopg.connect(
            where.conninfo, prepare_threshold=None, connect_timeout=CONNECT_SECONDS
        )
    try:
        yield connection, where
    finally:
        connection.close()


@contextmanager
def explained(where: Target) -> Iterator[None]:
    """Errors of psycopg inside the block come out as ours."""
    try:
        yield
    except psycopg.Error as error:
        raise _error(where, error) from error


def _error(where: Target, error: psycopg.Error) -> NightproofError:
    said = trouble.in_one_line(str(error))
    secret = where.parameters.get("password")
    if secret:
        said = said.replace(secret, "***")
    if error.sqlstate and not isinstance(error, psycopg.OperationalError):
        return trouble.explained(where.url, error.sqlstate, said)
    hopeless = trouble.misconfigured(where.url, said)
    if hopeless is None and error.sqlstate:
        return trouble.explained(where.url, error.sqlstate, said)
    if hopeless is not None:
        return hopeless
    away = trouble.unreachable(where.url, said, 0)
    away.message = away.message.replace(" for 0 s", "")  # asked once
    return away


def plain(text: str) -> sql.SQL:
    """A statement that holds no value from outside."""
    return sql.SQL(text)


def examine(url: str) -> Examined:
    """Ask a server who it is. Raises StoreTooNew, and as :func:`connected`."""
    with connected(url) as (connection, where), explained(where):
        connection.autocommit = True

        def ask(text: str) -> Any:
            return connection.execute(plain(text)).fetchall()[0][0]

        pooled = ask("SELECT pg_backend_pid()") != connection.info.backend_pid
        rounds = []
        for _ in range(_ROUNDS):
            before = clock.now().timestamp(), clock.perf()
            there = float(ask("SELECT extract(epoch FROM clock_timestamp())::float8"))
            took = clock.perf() - before[1]
            rounds.append((took, before[0] + took / 2 - there))
        round_trip, ahead = min(rounds)
        risks = [
            f"{name} is off"
            for name in ("fsync", "full_page_writes", "synchronous_commit")
            if ask(f"SHOW {name}") == "off"
        ]
        return Examined(
            f"Postgres {ask('SHOW server_version')}", _version(connection, where) > 0, pooled,
            round_trip, ahead, tuple(risks),
        )  # fmt: skip


def _version(connection: psycopg.Connection[Any], where: Target) -> int:
    """The version of the journal's schema; 0 where there is none."""
    table = f'"{where.schema}".migration'
    [(there,)] = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchall()
    if not there:
        return 0
    [(version,)] = connection.execute(plain(f"SELECT max(version) FROM {table}")).fetchall()
    if (version or 0) > VERSION:
        raise StoreTooNew(
            f"the journal {where.url} has schema version {version}; this nightproof knows {VERSION}",
            "Install the nightproof that wrote it, or a newer one.",
        )
    return int(version or 0)
