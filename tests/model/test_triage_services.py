"""Triage of databases, AWS, Slack and gRPC."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from tests.model.raised import E, P, Still, T, U, make, reading

from nightproof.model import clock
from nightproof.model.triage import Kind, triage


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    """Waits are counted from NOW."""
    with clock.use(Still()):
        yield


POOLER = "connection failed: connection to server at '10.0.0.1', port 6543 failed: FATAL:  "


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (POOLER + "(EMAXCONNSESSION) max clients reached in session mode", (T, "no")),
        (POOLER + "(EMAXCONN) max client connections reached, limit: 200", (T, "no")),
        (POOLER + "(ECHECKOUTTIMEOUT) unable to check out connection from the pool", (T, "no")),
        (POOLER + "(ECIRCUITBREAKER) too many failed attempts", (T, "no")),
        (POOLER + "(ECIRCUITBREAKER) too many authentication failures", (P, "no")),
        (POOLER + "MaxClientsInSessionMode: max clients reached", (T, "no")),
        (POOLER + "sorry, too many clients already", (T, "no")),
        (POOLER + "remaining connection slots are reserved for roles", (T, "no")),
        (POOLER + "no more connections allowed (max_client_conn)", (T, "no")),
        (POOLER + 'password authentication failed for user "x"', (U, "no")),
        (POOLER + 'database "x" does not exist', (P, "no")),
        (POOLER + "the database system is starting up", (T, "no")),
        ("connection failed: connection to server failed: Connection refused", (T, "no")),
        ("failed to resolve host 'db': [Errno -2] Name or service not known", (T, "no")),
        ("consuming input failed: server closed the connection unexpectedly", (T, "unknown")),
        ("could not receive data from server: Connection timed out", (T, "unknown")),
        ("something new", (T, "unknown")),
    ],
)
def test_psycopg_at_connect_time_is_known_by_its_words(message: str, expected: Any) -> None:
    """psycopg 3 gives sqlstate None where a connection could not be made."""
    assert reading(make("psycopg.OperationalError", message, sqlstate=None)) == expected
    if message.startswith(POOLER):
        internal = make("psycopg.errors.InternalError_", message, sqlstate="XX000")
        assert reading(internal) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("08006", (T, "unknown")),
        ("08001", (T, "no")),
        ("08P01", (T, "unknown")),
        ("0A000", (P, "unknown")),
        ("21000", (P, "unknown")),
        ("22P02", (P, "unknown")),
        ("23505", (P, "unknown")),
        ("28P01", (U, "no")),
        ("28000", (U, "no")),
        ("3D000", (P, "no")),
        ("40001", (T, "unknown")),
        ("40P01", (T, "unknown")),
        ("42P01", (P, "unknown")),
        ("53100", (T, "unknown")),
        ("53300", (T, "no")),
        ("55P03", (T, "unknown")),
        ("57014", (T, "unknown")),
        ("57P01", (T, "unknown")),
        ("57P03", (T, "no")),
        ("XX000", (T, "unknown")),
        ("99999", (T, "unknown")),
    ],
)
def test_sqlstates(code: str, expected: tuple[Kind, str]) -> None:
    """The same code means the same, whichever driver carries it."""
    assert reading(make("asyncpg.exceptions.AnyError", "x", sqlstate=code)) == expected
    assert reading(make("psycopg2.errors.AnyError", "x", pgcode=code)) == expected
    orm = make("sqlalchemy.exc.OperationalError", "x", orig=make("psycopg.X", "x", sqlstate=code))
    assert reading(orm) == expected


def test_other_databases() -> None:
    """Pools, SQLite and DB-API classes."""
    assert reading(make("psycopg_pool.PoolTimeout", "x")) == (T, "no")
    assert triage(sqlite3.OperationalError("database is locked")).kind is T
    assert triage(sqlite3.OperationalError("no such table: x")).kind is P
    assert triage(sqlite3.IntegrityError("UNIQUE constraint failed")).kind is P
    assert triage(make("apsw.BusyError", "BusyError: database is locked")).kind is T
    assert triage(make("psycopg.ProgrammingError", "the query has 1 placeholder")).kind is P


def aws(code: str, status: int, retries: int = 0, **headers: str) -> BaseException:
    """A botocore ClientError."""
    meta = {"HTTPStatusCode": status, "HTTPHeaders": headers, "RetryAttempts": retries}
    response = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": meta}
    return make("botocore.exceptions.ClientError", "x", response=response)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (aws("ThrottlingException", 400), (T, "no")),
        (aws("SlowDown", 503, retries=4), (T, "unknown")),
        (aws("RequestLimitExceeded", 503), (T, "no")),
        (aws("ExpiredToken", 400), (U, "no")),
        (aws("InternalError", 500), (T, "unknown")),
        (aws("ServiceUnavailable", 503), (T, "unknown")),
        (aws("ConditionalRequestConflict", 409), (T, "unknown")),
        (aws("PreconditionFailed", 412), (P, "no")),
        (aws("AccessDenied", 403), (P, "no")),
        (aws("NoSuchKey", 404, retries=1), (P, "unknown")),
        (make("botocore.exceptions.NoCredentialsError", "x"), (P, "no")),
        (make("botocore.exceptions.EndpointConnectionError", "x"), (T, "unknown")),
    ],
)
def test_botocore(exc: BaseException, expected: tuple[Kind, str]) -> None:
    """By code; a client that had retried cannot say that nothing was processed."""
    assert reading(exc) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("ratelimited", (T, "no")),
        ("internal_error", (T, "unknown")),
        ("fatal_error", (T, "unknown")),
        ("token_expired", (U, "no")),
        ("invalid_auth", (U, "no")),
        ("channel_not_found", (P, "no")),
        ("is_archived", (P, "no")),
    ],
)
def test_slack(error: str, expected: tuple[Kind, str]) -> None:
    """Slack answers 200 and says in the body that it refused, or does not know itself."""
    response = {"ok": False, "error": error}
    assert reading(make("slack_sdk.errors.SlackApiError", "x", response=response)) == expected


def test_slacks_retry_after() -> None:
    """The header of the response is a minimum, and a long one parks."""

    response = SimpleNamespace(
        status_code=429,
        headers={"Retry-After": "30"},
        data={"ok": False, "error": "ratelimited"},
    )
    exc = make("slack_sdk.errors.SlackApiError", response=response)
    assert triage(exc).retry_after == 30
    response.data = "<html>Too many requests"
    assert triage(exc).retry_after == 30


def test_slacks_error_pages() -> None:
    """A proxy's page, which the client calls an error of that name, is worth another try."""
    data = {"ok": False, "error": "Received a response in a non-JSON format: upstream"}
    response = SimpleNamespace(status_code=503, headers={}, data=data)
    assert triage(make("slack_sdk.errors.SlackApiError", response=response)).kind is T
    response.status_code = 404
    assert triage(make("slack_sdk.errors.SlackApiError", response=response)).kind is P


def rpc(status: str, message: str = "m", *metadata: Any) -> BaseException:
    """A grpc.aio.AioRpcError."""
    return make(  # type: ignore[no-any-return]
        "grpc.aio._call.AioRpcError",
        code=lambda: SimpleNamespace(name=status),
        details=lambda: message,
        trailing_metadata=lambda: metadata,
    )


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (rpc("UNAVAILABLE"), (T, "unknown")),
        (rpc("UNAVAILABLE", "failed to connect to all addresses; last error"), (T, "no")),
        (rpc("RESOURCE_EXHAUSTED"), (T, "no")),
        (rpc("RESOURCE_EXHAUSTED", "Received message larger than max"), (P, "unknown")),
        (rpc("RESOURCE_EXHAUSTED", "requests per day"), (E, "no")),
        (rpc("UNAUTHENTICATED"), (U, "no")),
        (rpc("INVALID_ARGUMENT"), (P, "no")),
        (rpc("ABORTED"), (T, "no")),
        (rpc("DEADLINE_EXCEEDED"), (T, "unknown")),
        (rpc("UNIMPLEMENTED"), (P, "unknown")),
    ],
)
def test_grpc(exc: BaseException, expected: tuple[Kind, str]) -> None:
    """By the status that code() gives."""
    assert reading(exc) == expected


def test_grpc_carries_retry_info_in_its_trailers() -> None:
    """A serialised google.rpc.Status: RetryInfo of 7.5 s among other details."""
    delay = bytes([0x08, 7, 0x10]) + bytes([0x80, 0xCA, 0xB5, 0xEE, 0x01])  # 500,000,000 ns
    info = bytes([0x0A, len(delay)]) + delay
    url = b"type.googleapis.com/google.rpc.RetryInfo"
    entry = bytes([0x0A, len(url)]) + url + bytes([0x12, len(info)]) + info
    packed = bytes([0x08, 8, 0x12, 1]) + b"m" + bytes([0x1A, len(entry)]) + entry
    exc = rpc("RESOURCE_EXHAUSTED", "m", ("grpc-status-details-bin", packed))
    assert triage(exc).retry_after == 7.5
    for cut in range(len(packed)):
        triage(rpc("RESOURCE_EXHAUSTED", "m", ("grpc-status-details-bin", packed[:cut])))


def test_google_clients() -> None:
    """google.api_core by code and details, google.auth by class."""
    detail = type("RetryInfo", (), {"retry_delay": timedelta(seconds=12)})()
    limit = make("google.api_core.exceptions.TooManyRequests", code=429, details=[detail])
    assert (triage(limit).kind, triage(limit).retry_after) == (T, 12)
    assert triage(make("google.api_core.exceptions.NotFound", code=404)).kind is P
    assert triage(make("google.auth.exceptions.RefreshError", "invalid_grant")).kind is U
    assert triage(make("google.auth.exceptions.DefaultCredentialsError")).kind is P
