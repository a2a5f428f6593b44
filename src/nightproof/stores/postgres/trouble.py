"""What goes wrong with a server, as errors that say what to do."""

from __future__ import annotations

import re
from typing import Final

from nightproof.errors import (
    ConfigError,
    NightproofError,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreReadOnly,
)


class Lost(Exception):
    """The connection is gone; what was under way may or may not have happened.

    `code` is the SQLSTATE that the server gave as its reason, if it gave one.
    """

    def __init__(self, reason: str, code: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class Refused(Exception):
    """The server refused a statement, and nothing of its transaction happened."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


AGAIN: Final = frozenset({"40001", "40P01", "55P03", "25P02"})
"""Refusals after which the same transaction may be tried again."""
GONE: Final = re.compile(r"57P0[1235]|08...|25P0[34]")
"""Refusals that end the connection; a commit under way has an unknown outcome."""
_STARTING = re.compile(r"starting up|shutting down|recovery mode|not yet accepting|57P03")
_FULL = re.compile(
    r"too many clients|connection slots|too many connections|53300|no more connections allowed|"
    r"query_wait_timeout|max_client_conn|remaining connection",
    re.IGNORECASE,
)
_PASSWORD = re.compile(
    r"password authentication failed|no password supplied|authentication failed|auth failed|"
    r"pg_hba\.conf|certificate|SCRAM|28P01|28000|role \".*\" does not exist|no such user",
    re.IGNORECASE,
)
_DATABASE = re.compile(
    r"database \".*\" does not exist|no such database|3D000|database does not exist", re.IGNORECASE
)
_HOST = re.compile(
    r"could not translate host name|Name or service not known|getaddrinfo", re.IGNORECASE
)


def in_one_line(text: str) -> str:
    """A message of libpq or the server without its line breaks."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    # libpq asks whether the server runs; so does the hint.
    told = [line for line in lines if line and not line.startswith("Is the server running")]
    return "; ".join(told)


def is_starting(message: str) -> bool:
    """Whether a server is there that will take connections soon."""
    return bool(_STARTING.search(message))


def is_full(message: str) -> bool:
    """Whether the server, or a pooler, has no connection left."""
    return bool(_FULL.search(message))


def misconfigured(url: str, message: str) -> NightproofError | None:
    """The error for a connection that will never come about as it is configured."""
    said = in_one_line(message)
    if _PASSWORD.search(message):
        return ConfigError(
            f"store: {url} does not let this user in: {said}",
            "Check user and password in the URL (or PGPASSWORD, ~/.pgpass) and the server's "
            "pg_hba.conf.",
        )
    if _DATABASE.search(message):
        return ConfigError(
            f"store: the database of {url} does not exist: {said}",
            "Create it (`createdb NAME`, encoding UTF8) or correct the URL.",
        )
    return None


def unreachable(url: str, message: str, seconds: float) -> NightproofError:
    """The error for a server that could not be reached for so long."""
    said = in_one_line(message)
    if is_full(message):
        return StoreBusy(
            f"{url} has had no connection to spare for {seconds:.0f} s: {said}",
            "Raise max_connections, use a pooler, or run fewer processes at once; each needs "
            "two connections. Everything acknowledged is kept: `nightproof resume --all`.",
        )
    if _HOST.search(message):
        return ConfigError(
            f"store: the host of {url} is not known: {said}",
            "Correct the URL, or check the name service.",
        )
    if "does not support SSL" in message:
        return ConfigError(
            f"store: {url} asks for TLS and the server does not speak it: {said}",
            "Leave out sslmode=require (or PGSSLMODE), or turn on ssl in the server.",
        )
    return StoreError(
        f"{url} could not be reached for {seconds:.0f} s: {said}",
        "Check that the server runs and that host and port are right. Everything acknowledged "
        "is kept: `nightproof resume --all` goes on.",
    )


def explained(url: str, code: str, message: str) -> NightproofError:
    """The error for a statement that the server refused."""
    said = f"{in_one_line(message)} (SQLSTATE {code})"
    if code in ("53100", "54000"):
        return StoreFull(
            f"no space left for the journal {url}: {said}",
            "Free some space on the server and run `nightproof resume --all`: everything "
            "acknowledged is kept.",
        )
    if code == "25006":
        return StoreReadOnly(
            f"the journal {url} is read-only: {said}",
            "Give the URL of the primary server (or target_session_attrs=read-write), or undo "
            "default_transaction_read_only.",
        )
    if code == "42501":
        return StoreReadOnly(
            f"this user may not do that in {url}: {said}",
            "Let the database's owner run `CREATE SCHEMA nightproof AUTHORIZATION <user>`, or "
            "grant the missing right.",
        )
    if code == "53300" or is_full(message):
        return StoreBusy(
            f"{url} has no connection to spare: {said}",
            "Raise max_connections, use a pooler, or run fewer processes at once.",
        )
    if code in AGAIN or code == "57014":
        return StoreBusy(
            f"the journal {url} kept something locked for too long: {said}",
            "pg_stat_activity and pg_locks say which session holds it.",
        )
    return StoreError(f"the journal {url} failed: {said}")
