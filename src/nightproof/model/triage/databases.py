"""Databases: SQLSTATE, the words of connection poolers, DB-API classes, SQLite."""

from __future__ import annotations

import re

from nightproof.model.triage.kinds import Triage, permanent, transient, unauthenticated
from nightproof.model.triage.statuses import attribute

DRIVERS = frozenset(
    """
    psycopg psycopg2 psycopg_pool asyncpg sqlite3 apsw sqlalchemy pg8000 pymysql MySQLdb
    mysql duckdb oracledb pyodbc adbc_driver_manager
    """.split()
)

# What servers and poolers say when they have no code for it, or the code says
# nothing: psycopg's connect-time errors have sqlstate None, Supavisor's are XX000.
# The first that matches decides. "no": the connection was never there to act on.
_TEXTS: tuple[tuple[tuple[str, ...], Triage], ...] = (
    (
        ("too many authentication failures",),
        permanent("the pooler has locked this user out: too many authentication failures", "no"),
    ),
    (("(password|PAM) authentication failed",), unauthenticated("login refused")),
    (
        (
            r"no pg_hba\.conf entry",
            "tenant or user not found",
            "no such (user|database)",
            '(database|role) "[^"]*" does not exist',
            "does not support SSL",
            "certificate verify failed",
        ),
        permanent("the server does not know or admit this user, database or host", "no"),
    ),
    (
        (
            "EMAXCONN(SESSION)?",
            "ECHECKOUTTIMEOUT",
            "ECIRCUITBREAKER",
            "MaxClientsInSessionMode",
            "max client connections reached",
            "no more connections allowed",
            "too many clients already",
            "remaining connection slots are reserved",
            "query_wait_timeout",
            "unable to check out connection",
        ),
        transient("no connection is free (a limit of the server or its pooler)", "no"),
    ),
    (
        (
            "the database system is (starting up|shutting down|in recovery mode|not yet accepting)",
            "server login (has been failing|failed)",
            "pgbouncer cannot connect to server",
        ),
        transient("the database is not up", "no"),
    ),
    (
        # Before the next entry: "could not receive data from server: Connection timed out".
        (
            "could not (receive|send) data",
            "consuming input failed",
            "closed the connection unexpectedly",
            "connection (has been|was|is) (closed|lost)",
            "connection reset",
            "SSL SYSCALL",
            "terminating connection",
            "server conn crashed",
        ),
        transient("the connection to the database was lost"),
    ),
    (
        (
            "connection refused",
            "could not translate host name",
            "failed to resolve host",
            "name or service not known",
            "temporary failure in name resolution",
            "no route to host",
            "network is unreachable",
            "connection (timeout|timed out)",
            "timeout expired",
            "couldn't get a connection",
        ),
        transient("the database could not be reached", "no"),
    ),
    (("(database|table|schema) (.* )?is locked",), transient("the database is locked")),
    (
        (
            "database or disk is full",
            "readonly database",
            "unable to open database",
            "no such (table|column)",
            "syntax error",
            "not a database",
            "malformed",
        ),
        permanent("the database or the statement is not usable as it is"),
    ),
)
_COMPILED: list[tuple[re.Pattern[str], Triage]] = []

_PREPARED = "prepared statements do not pass a pooler in transaction mode: turn them off"
_CODES = {
    "0A000": permanent("not supported"),
    "25006": transient("the server is read-only for now (a failover?)"),
    "26000": permanent(_PREPARED),
    "28P01": unauthenticated("login refused"),
    "3D000": permanent("no such database", "no"),
    "40001": transient("serialization failure"),
    "40P01": transient("deadlock"),
    "42P05": permanent(_PREPARED),
    "53300": transient("too many connections", "no"),
    "55006": transient("object in use"),
    "55P03": transient("lock not available"),
    "57014": transient("cancelled by a timeout"),
    "57P03": transient("the database is not up", "no"),
    "08001": transient("the database could not be reached", "no"),
    "08004": transient("the server refused the connection", "no"),
}
_CLASSES = {
    "08": transient("the connection to the database failed"),
    "40": transient("transaction rolled back"),
    "53": transient("the server is short of something"),
    "57": transient("an operator intervened"),
    "58": transient("system error of the server"),
    "HY": transient("general error"),
    "XX": transient("internal error of the server"),
}
_PERMANENT_CLASSES = {
    "21": "cardinality violation",
    "22": "the data is not valid",
    "23": "a constraint refused it",
    "28": "login refused",
    "2F": "routine error",
    "34": "invalid cursor",
    "42": "the statement is not valid or not allowed",
    "44": "a view's check refused it",
    "54": "a limit of the server",
    "P0": "raised by a procedure",
}
_TEXT_FIRST = frozenset({"XX000", "08P01", "28000", "0A000"})
_NAMES = {
    "TooManyRequests": transient("too many wait for the connection pool", "no"),
    "PoolTimeout": transient("no connection of the pool came free in time", "no"),
    "ConnectionTimeout": transient("the database could not be reached", "no"),
    "BusyError": transient("the database is locked"),
    "LockedError": transient("the database is locked"),
    "FullError": permanent("the disk that holds the database is full"),
    "ReadOnlyError": permanent("the database is read-only"),
    "ConstraintError": permanent("a constraint refused it"),
    "SQLError": permanent("the statement is not valid"),
    "NotADBError": permanent("the file is not a database"),
    "CorruptError": permanent("the database is damaged"),
    "IntegrityError": permanent("a constraint refused it"),
    "ProgrammingError": permanent("the statement is not valid or not allowed"),
    "DataError": permanent("the data is not valid"),
    "NotSupportedError": permanent("not supported"),
    "InterfaceError": permanent("the driver was used in a way that cannot work"),
    "ArgumentError": permanent("the driver was used in a way that cannot work"),
    "OperationalError": transient("the database failed"),
    "DatabaseError": transient("the database failed"),
}


def sqlstate(exc: BaseException) -> str | None:
    """The SQLSTATE that an exception carries, whichever driver raised it."""
    for name in ("sqlstate", "pgcode"):
        code = attribute(exc, name)
        if isinstance(code, str) and len(code) == 5 and code.isalnum():
            return code.upper()
    return None


def from_sqlstate(code: str, message: str) -> Triage:
    """The triage of a SQLSTATE; `message` decides where the code says nothing."""
    found = None
    if code in _TEXT_FIRST:
        found = from_message(message)
        if code == "28000" and found is None:
            found = unauthenticated("login refused")
        if code == "0A000" and "cached plan must not change" in message:
            found = transient("the cached plan is out of date")
    found = found or _CODES.get(code) or _CLASSES.get(code[:2])
    if found is None:
        why = _PERMANENT_CLASSES.get(code[:2])
        found = permanent(why) if why else transient("error of the database")
    return Triage(found.kind, None, None, found.happened, f"SQLSTATE {code}: {found.reason}")


def from_message(message: str) -> Triage | None:
    """What servers and poolers say in words; None for words we do not know."""
    if not _COMPILED:  # when the first database error is met, not at import
        _COMPILED.extend((re.compile("|".join(t), re.IGNORECASE), found) for t, found in _TEXTS)
    return next((found for text, found in _COMPILED if text.search(message)), None)


def from_driver(exc: BaseException) -> Triage | None:
    """An exception of a driver that carries no SQLSTATE: by its words, then its class."""
    names = [c.__name__ for c in type(exc).__mro__ if c.__module__.partition(".")[0] in DRIVERS]
    for name in names:
        if name in {"PoolTimeout", "TooManyRequests", "ConnectionTimeout", "BusyError"}:
            return _NAMES[name]
    found = from_message(str(exc))
    if found is not None:
        return found
    return next((_NAMES[name] for name in names if name in _NAMES), None)
