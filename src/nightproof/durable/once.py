"""Exactly once, in the user's own database transaction."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable
from typing import Any, Protocol, overload

from nightproof.errors import MisuseError
from nightproof.model import clock

_CREATE = (
    "CREATE TABLE IF NOT EXISTS nightproof_once "
    "(key VARCHAR(512) PRIMARY KEY, at VARCHAR(40) NOT NULL)"
)
_INSERT = "INSERT INTO nightproof_once (key, at) VALUES ({0}, {1}) ON CONFLICT (key) DO NOTHING"


class SyncConnection(Protocol):
    """A DB-API connection (sqlite3, psycopg)."""

    def cursor(self) -> Any: ...

    def commit(self) -> Any: ...


class AsyncConnection(Protocol):
    """An asyncpg or async psycopg connection."""

    async def execute(self, query: str, /) -> Any: ...


@overload
def once(connection: SyncConnection, key: str) -> bool: ...


@overload
def once(connection: AsyncConnection, key: str) -> Awaitable[bool]: ...


def once(connection: Any, key: str) -> bool | Awaitable[bool]:
    """Insert `key` in the caller's transaction; True the first time, False ever after.

    ::

        if once(connection, f"revenue/{window.date}"):
            connection.execute("INSERT ...")
        connection.commit()

    The key and the user's rows commit together, so a crash leaves both or neither.
    Needs ``INSERT ... ON CONFLICT`` (SQLite, Postgres); keeps its keys in the table
    ``nightproof_once``. Awaitable for async connections. Raises MisuseError for an
    empty key or an autocommit connection, on which nothing could commit together.
    """
    if not key or not isinstance(key, str):
        raise MisuseError(f"once(): expected a non-empty text as key, got {key!r}")
    if inspect.iscoroutinefunction(getattr(connection, "execute", None)):
        return _once_async(connection, key)
    _refuse_autocommit(connection)
    cursor = connection.cursor()
    try:
        cursor.execute(_CREATE)
        first, second = _marks(connection)
        cursor.execute(_INSERT.format(first, second), (key, clock.now().isoformat()))
        return bool(cursor.rowcount == 1)
    finally:
        cursor.close()


async def _once_async(connection: Any, key: str) -> bool:
    at = clock.now().isoformat()
    if type(connection).__module__.startswith("asyncpg"):
        if not connection.is_in_transaction():
            raise MisuseError(_AUTOCOMMIT, _BEGIN)
        await connection.execute(_CREATE)
        status = await connection.execute(_INSERT.format("$1", "$2"), key, at)
        return bool(status.endswith(" 1"))
    _refuse_autocommit(connection)
    await connection.execute(_CREATE)
    cursor = await connection.execute(_INSERT.format("%s", "%s"), (key, at))
    return bool(cursor.rowcount == 1)


_AUTOCOMMIT = "once() was called on a connection that commits every statement by itself"
_BEGIN = "Open a transaction first; the key and your rows must commit together."


def _refuse_autocommit(connection: Any) -> None:
    module = type(connection).__module__.partition(".")[0]
    if module == "sqlite3" and connection.isolation_level is None:
        if not connection.in_transaction:
            raise MisuseError(_AUTOCOMMIT, _BEGIN)
    elif module == "psycopg" and connection.autocommit and connection.info.transaction_status == 0:
        raise MisuseError(_AUTOCOMMIT, _BEGIN)


def _marks(connection: Any) -> tuple[str, str]:
    module = sys.modules.get(type(connection).__module__.partition(".")[0])
    style = getattr(module, "paramstyle", "qmark")
    return {"qmark": ("?", "?"), "numeric": (":1", ":2")}.get(style, ("%s", "%s"))
