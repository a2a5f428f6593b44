"""A journal in a database as the source or the target of a migration.

Everything happens in one transaction: a migration that is interrupted leaves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from nightproof.errors import UsageError
from nightproof.journal.portable import PASSING, TABLES, Row, Table, portable
from nightproof.stores.postgres.direct import connected, explained, plain
from nightproof.stores.postgres.session import LOCK_MS
from nightproof.stores.postgres.target import Target

_BLOBS = (
    'SELECT digest COLLATE "C" FROM blob_use UNION SELECT blob FROM effect '
    "WHERE blob IS NOT NULL ORDER BY 1"
)
_TYPES = {"int": "int8", "flag": "int8", "text": "text", "bytes": "bytea", "real": "float8"}
_CASTS = {"int": "::int8", "flag": "::int::int8", "text": "", "bytes": "", "real": ""}
_NUMBERED = ("run", "signal", "audit")


class _Tables:
    def __init__(self, connection: psycopg.Connection[Any], where: Target) -> None:
        self._connection = connection
        self._where = where

    def rows(self, table: Table) -> Iterator[Row]:
        """See :class:`nightproof.journal.portable.Source`."""
        columns = ", ".join(f'"{each.name}"{_CASTS[each.kind]}' for each in table.columns)
        kinds = dict(table.columns)
        key = ", ".join(
            f'"{name}"' + (' COLLATE "C"' if kinds[name] == "text" else "") for name in table.key
        )
        query = (
            f"COPY (SELECT {columns} FROM {table.name} ORDER BY {key}) TO STDOUT (FORMAT BINARY)"
        )
        with (
            explained(self._where),
            self._connection.cursor() as cursor,
            cursor.copy(plain(query)) as copy,
        ):
            copy.set_types([_TYPES[each.kind] for each in table.columns])
            yield from copy.rows()

    def count(self, table: Table) -> int:
        """See :class:`nightproof.journal.portable.Source`."""
        with explained(self._where):
            found = self._connection.execute(plain(f"SELECT count(*) FROM {table.name}"))
            return int(found.fetchall()[0][0])

    def blobs(self) -> Iterator[str]:
        """See :class:`nightproof.journal.portable.Source`."""
        with explained(self._where), self._connection.cursor("blobs") as cursor:
            cursor.execute(plain(_BLOBS))
            for (digest,) in cursor:
                yield digest


class _Made(_Tables):
    def write(self, table: Table, rows: Iterable[Row]) -> int:
        """See :class:`nightproof.journal.portable.Target`."""
        names = ", ".join(f'"{name}"' for name in table.names)
        count = 0
        with explained(self._where), self._connection.cursor() as cursor:
            with cursor.copy(plain(f"COPY {table.name} ({names}) FROM STDIN")) as copy:
                for row in portable(table, rows):
                    copy.write_row(row)
                    count += 1
            if table.name in _NUMBERED:
                # The next one that is made here comes behind those that were copied.
                cursor.execute(
                    plain(
                        f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), "
                        f"coalesce(max(id), 1), max(id) IS NOT NULL) FROM {table.name}"
                    )
                )
        return count

    def keep(self) -> None:
        """See :class:`nightproof.journal.portable.Target`."""
        with explained(self._where):
            self._connection.commit()


@contextmanager
def source(url: str) -> Iterator[_Tables]:
    """The journal at `url`; nobody writes to it meanwhile."""
    with _opened(url, "SHARE") as (connection, where):
        yield _Tables(connection, where)


@contextmanager
def target(url: str) -> Iterator[_Made]:
    """The journal at `url`, which has its tables, and holds nothing else.

    Raises UsageError where it holds runs, or anything that runs leave.
    """
    with _opened(url, "ACCESS EXCLUSIVE") as (connection, where):
        made = _Made(connection, where)
        held = {table.name: made.count(table) for table in TABLES}
        found = {name: count for name, count in held.items() if count and name not in PASSING}
        if found:
            listed = ", ".join(f"{count} in {name}" for name, count in found.items())
            raise UsageError(
                f"{where.url} is not empty: {listed}",
                "Name an empty database, or another schema: ?schema=NAME behind the URL.",
            )
        with explained(where):
            for name in PASSING:
                connection.execute(plain(f"DELETE FROM {name}"))
        yield made


@contextmanager
def _opened(url: str, mode: str) -> Iterator[tuple[psycopg.Connection[Any], Target]]:
    """A transaction with every table locked in a mode."""
    with connected(url) as (connection, where):
        with explained(where):
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            tables = ", ".join(table.name for table in TABLES)
            # No SELECT: what is read is to be as it was once the locks were there.
            for statement in (
                f'SET LOCAL search_path TO "{where.schema}"',
                f"SET LOCAL lock_timeout TO {LOCK_MS}",
                "SET LOCAL statement_timeout TO 0",
                "SET LOCAL idle_in_transaction_session_timeout TO 0",
                "SET LOCAL synchronous_commit TO on",
                f"LOCK TABLE {tables} IN {mode} MODE",
            ):
                connection.execute(plain(statement))
        yield connection, where
