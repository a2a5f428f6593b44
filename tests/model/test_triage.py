"""Triage: what an exception means, known by its shape and never by importing its package."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import sqlite3
import ssl
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import Message
from types import SimpleNamespace
from typing import Any

import pytest

from nightproof import errors
from nightproof.model import clock
from nightproof.model.triage import Kind, Triage, triage

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)  # 05:00 in Los Angeles
T, E, U, P = Kind.TRANSIENT, Kind.EXHAUSTED, Kind.UNAUTHENTICATED, Kind.PERMANENT


class Still(clock.System):
    """A clock that stands still."""

    def wall(self) -> float:  # type: ignore[override]
        return NOW.timestamp()


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    """Waits are counted from NOW."""
    with clock.use(Still()):
        yield


def make(path: str, *args: Any, base: type[BaseException] = Exception, **attributes: Any) -> Any:
    """An exception whose class claims to be ``package.module.Name``."""
    module, _, name = path.rpartition(".")
    exc = type(name, (base,), {"__module__": module})(*args)
    for key, value in attributes.items():
        setattr(exc, key, value)
    return exc


def http(status: int, body: Any = b"", **headers: str) -> BaseException:
    """An httpx.HTTPStatusError as triage sees one."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = SimpleNamespace(status_code=status, headers=named, _content=text)
    return make("httpx.HTTPStatusError", f"{status}", response=response)  # type: ignore[no-any-return]


def google(code: int, status: str, *details: Any, message: str = "m") -> dict[str, Any]:
    """A google.rpc error body."""
    error = {"code": code, "message": message, "status": status, "details": list(details)}
    return {"error": error}


RETRY_30 = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "30s"}


def reading(exc: BaseException) -> tuple[Kind, str]:
    """Kind and happened of `exc`."""
    found = triage(exc)
    return found.kind, found.happened


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (307, (P, "unknown")),
        (400, (P, "no")),
        (401, (U, "no")),
        (402, (P, "no")),
        (403, (P, "no")),
        (404, (P, "no")),
        (408, (T, "no")),
        (409, (P, "unknown")),
        (412, (P, "no")),
        (422, (P, "no")),
        (425, (T, "no")),
        (429, (T, "no")),
        (499, (T, "unknown")),
        (500, (T, "unknown")),
        (501, (P, "unknown")),
        (502, (T, "unknown")),
        (503, (T, "unknown")),
        (504, (T, "unknown")),
        (529, (T, "unknown")),
    ],
)
def test_http_statuses(status: int, expected: tuple[Kind, str]) -> None:
    """The status alone decides where nothing else is said."""
    assert reading(http(status)) == expected
    aiohttp = make("aiohttp.client_exceptions.ClientResponseError", status=status, headers=None)
    assert reading(aiohttp) == expected
    own = make("myproject.ApiError", status_code=status)
    assert reading(own) == expected


@pytest.mark.parametrize(
    "date", ["Mon, 15 Jun 2026 12:00:30 GMT", "Mon, 15 Jun 2026 12:00:30 -0000"]
)
def test_retry_after_is_a_minimum_in_both_forms(date: str) -> None:
    """Seconds and HTTP dates; a date in the past asks for no wait."""
    assert triage(http(503, retry_after="30")).retry_after == 30
    assert triage(http(429, Retry_After="1.5")).retry_after == 1.5
    assert triage(http(429, retry_after=date)).retry_after == 30
    assert triage(http(429, retry_after="Mon, 15 Jun 2026 11:00:00 GMT")).retry_after == 0
    assert triage(http(429, retry_after_ms="250")).retry_after == 0.25


@pytest.mark.parametrize("nonsense", ["soon", "", "-5", "nan", "1e999", "1.2.3", "Mon, 99 Foo"])
def test_a_retry_after_of_nonsense_is_ignored(nonsense: str) -> None:
    """A broken header neither fails nor parks anything."""
    found = triage(http(429, retry_after=nonsense))
    assert (found.kind, found.retry_after or 0) == (T, 0)


def test_a_long_wait_is_a_used_up_quota() -> None:
    """Over a minute, the quota is parked until the time the server named."""
    found = triage(http(429, retry_after="3600"))
    assert (found.kind, found.retry_after) == (E, 3600)
    assert found.resets_at == NOW + timedelta(hours=1)
    assert triage(http(429, retry_after="60")).kind is T
    assert triage(http(429, retry_after="9" * 30)).kind is E


def test_reset_headers_count_where_nothing_remains() -> None:
    """GitHub's epoch and others' seconds; with calls left they mean nothing."""
    epoch = str(int(NOW.timestamp()) + 900)
    github = http(403, x_ratelimit_remaining="0", x_ratelimit_reset=epoch)
    assert (triage(github).kind, triage(github).resets_at) == (E, NOW + timedelta(minutes=15))
    assert triage(http(429, x_ratelimit_remaining="0", x_ratelimit_reset="20")).retry_after == 20
    left = http(403, x_ratelimit_remaining="7", x_ratelimit_reset=epoch)
    assert triage(left).kind is P


@pytest.mark.parametrize("streamed", [False, True])
def test_google_errors_alone_and_in_a_streamed_array(streamed: bool) -> None:
    """RetryInfo is found in an object and in an array of rows."""
    body = google(429, "RESOURCE_EXHAUSTED", RETRY_30)
    found = triage(http(429, [{"header": {}}, {"row": {}}, body] if streamed else body))
    assert (found.kind, found.retry_after, found.happened) == (T, 30, "no")
    assert "RESOURCE_EXHAUSTED" in found.reason


def test_the_longer_of_two_minimums_counts() -> None:
    """Retry-After and RetryInfo are both minimums."""
    body = google(429, "RESOURCE_EXHAUSTED", RETRY_30)
    assert triage(http(429, body, retry_after="45")).retry_after == 45
    assert triage(http(429, body, retry_after="5")).retry_after == 30


def test_a_google_429_needs_no_details() -> None:
    """AdMob's per-minute limit without RetryInfo is transient."""
    message = "Quota exceeded for quota metric 'Reporting read requests' and limit 'x per minute'"
    found = triage(http(429, google(429, "RESOURCE_EXHAUSTED", message=message)))
    assert (found.kind, found.retry_after, found.resets_at) == (T, None, None)


@pytest.mark.parametrize(
    "detail",
    [
        {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},
        {"violations": [{"subject": "project:1", "description": "Daily limit reached"}]},
    ],
)
def test_googles_daily_quota_is_back_at_midnight_pacific(detail: Any) -> None:
    """Even where a RetryInfo of 30 s comes with it, as Gemini does."""
    detail["@type"] = "type.googleapis.com/google.rpc.QuotaFailure"
    found = triage(http(429, google(429, "RESOURCE_EXHAUSTED", detail, RETRY_30)))
    assert (found.kind, found.retry_after) == (E, 30)
    assert found.resets_at == datetime(2026, 6, 16, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("rateLimitExceeded", T),
        ("userRateLimitExceeded", T),
        ("dailyLimitExceeded", E),
        ("forbidden", P),
    ],
)
def test_a_403_can_be_a_rate_limit(reason: str, kind: Kind) -> None:
    """Google's older APIs say 403 and put the truth in errors[].reason."""
    body = {"error": {"code": 403, "message": "no", "errors": [{"reason": reason}]}}
    assert triage(http(403, body)).kind is kind


def test_statuses_of_google_rpc() -> None:
    """ABORTED may be tried again and was not done; ALREADY_EXISTS may not, and perhaps was."""
    assert reading(http(409, google(409, "ABORTED"))) == (T, "no")
    assert reading(http(409, google(409, "ALREADY_EXISTS"))) == (P, "unknown")
    assert reading(http(400, google(400, "FAILED_PRECONDITION"))) == (P, "no")
    assert reading(http(400, {"error": "invalid_grant"})) == (U, "no")


def test_app_store_connect() -> None:
    """A random 401, the hourly limit, and the two meanings of 404."""

    def body(code: str, detail: str) -> Any:
        return {"errors": [{"status": "4xx", "code": code, "title": "t", "detail": detail}]}

    assert triage(http(401, body("NOT_AUTHORIZED", "Provide a token"))).kind is U
    later = body("NOT_FOUND", "Report is not available yet. Daily reports appear by 8 am")
    assert reading(http(404, later)) == (T, "no")
    assert triage(http(404, body("NOT_FOUND", "There were no sales for the date"))).kind is P
    assert triage(http(410, body("GONE", "no longer kept"))).kind is P
    limit = body("RATE_LIMIT_EXCEEDED", "too many")
    spent = triage(http(429, limit, x_rate_limit="user-hour-lim:3500;user-hour-rem:0;"))
    assert (spent.kind, spent.resets_at) == (E, NOW + timedelta(hours=1))
    assert triage(http(429, limit, x_rate_limit="user-hour-lim:3500;user-hour-rem:50;")).kind is T


def test_model_providers() -> None:
    """A spent budget is exhausted without a reset; clients that retry by themselves are not a no."""
    body = {"message": "You exceeded your current quota", "code": "insufficient_quota"}
    openai = make("openai.RateLimitError", status_code=429, body=body, response=None)
    found = triage(openai)
    assert (found.kind, found.resets_at, found.happened) == (E, None, "unknown")
    assert triage(make("anthropic.OverloadedError", status_code=529)).kind is T


def test_a_body_that_was_not_read_stays_unread() -> None:
    """Triage neither reads a stream nor trips over a property that raises."""

    class Unread:
        status_code = 503
        headers = None

        @property
        def _content(self) -> bytes:
            raise RuntimeError("not read")

    assert triage(make("httpx.HTTPStatusError", response=Unread())).kind is T


def test_urllib() -> None:
    """HTTPError by its code; URLError by its reason."""
    headers = Message()
    headers["Retry-After"] = "7"
    error = urllib.error.HTTPError("http://x", 503, "busy", headers, None)
    assert (triage(error).kind, triage(error).retry_after) == (T, 7)
    error.close()
    assert reading(urllib.error.URLError(ConnectionRefusedError(111, "refused"))) == (T, "no")
    assert reading(urllib.error.URLError(ConnectionResetError(104, "reset"))) == (T, "unknown")
    assert reading(urllib.error.URLError(socket.gaierror(-2, "unknown name"))) == (T, "no")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("httpx.ConnectError", (T, "no")),
        ("httpx2.ConnectTimeout", (T, "no")),
        ("httpx.PoolTimeout", (T, "no")),
        ("httpx.ProxyError", (T, "no")),
        ("httpx.ReadTimeout", (T, "unknown")),
        ("httpx.WriteError", (T, "unknown")),
        ("httpx.RemoteProtocolError", (T, "unknown")),
        ("httpx.UnsupportedProtocol", (P, "unknown")),
        ("requests.exceptions.ConnectTimeout", (T, "no")),
        ("requests.exceptions.ReadTimeout", (T, "unknown")),
        ("requests.exceptions.ChunkedEncodingError", (T, "unknown")),
        ("requests.exceptions.JSONDecodeError", (T, "unknown")),
        ("requests.exceptions.MissingSchema", (P, "unknown")),
        ("urllib3.exceptions.NameResolutionError", (T, "no")),
        ("aiohttp.client_exceptions.ServerDisconnectedError", (T, "unknown")),
        ("aiohttp.client_exceptions.ClientConnectorError", (T, "no")),
        ("aiohttp.client_exceptions.ClientPayloadError", (T, "unknown")),
        ("http.client.RemoteDisconnected", (T, "unknown")),
        ("http.client.IncompleteRead", (T, "unknown")),
    ],
)
def test_transport_errors_of_http_clients(path: str, expected: tuple[Kind, str]) -> None:
    """ "no" only where the request certainly had not been sent."""
    assert reading(make(path, "x")) == expected


def test_requests_hides_the_cause_in_its_arguments() -> None:
    """ConnectionError(MaxRetryError(reason=NewConnectionError)) was never sent."""
    new = make("urllib3.exceptions.NewConnectionError", "refused")
    retries = make("urllib3.exceptions.MaxRetryError", "max", reason=new)
    assert reading(make("requests.exceptions.ConnectionError", retries)) == (T, "no")
    aborted = make("urllib3.exceptions.ProtocolError", "aborted", ConnectionResetError(104, "x"))
    assert reading(make("requests.exceptions.ConnectionError", aborted)) == (T, "unknown")


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), (T, "no")),
        (OSError(errno.EHOSTUNREACH, "no route"), (T, "no")),
        (OSError(errno.ENETUNREACH, "unreachable"), (T, "no")),
        (ConnectionResetError(errno.ECONNRESET, "reset"), (T, "unknown")),
        (BrokenPipeError(errno.EPIPE, "pipe"), (T, "unknown")),
        (OSError(errno.EMFILE, "too many open files"), (T, "unknown")),
        (OSError(errno.EIO, "io"), (T, "unknown")),
        (OSError("odd"), (T, "unknown")),
        (OSError(errno.ENOSPC, "full"), (P, "unknown")),
        (OSError(errno.EDQUOT, "quota"), (P, "unknown")),
        (FileNotFoundError(errno.ENOENT, "none", "/data/x"), (P, "unknown")),
        (PermissionError(errno.EACCES, "denied"), (P, "unknown")),
        (socket.gaierror(socket.EAI_AGAIN, "temporary"), (T, "no")),
        (TimeoutError(), (T, "unknown")),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), (T, "unknown")),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1)"), (T, "no")),
        (
            OSError("Multiple exceptions: [Errno 104] reset, [Errno 111] Connect call failed"),
            (T, "unknown"),
        ),
        (OSError("All connection attempts failed"), (T, "no")),
        (ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] expired"), (P, "no")),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), (T, "unknown")),
        (asyncio.IncompleteReadError(b"", 4), (T, "unknown")),
        (EOFError(), (T, "unknown")),
    ],
)
def test_operating_system_errors(exc: BaseException, expected: tuple[Kind, str]) -> None:
    """Sockets, DNS, TLS and files, by number and class."""
    assert reading(exc) == expected


def test_a_failed_handshake_was_not_acted_on() -> None:
    """A real handshake with a server that speaks no TLS."""
    ours, theirs = socket.socketpair()
    theirs.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    context = ssl.create_default_context()
    with ours, theirs, pytest.raises(ssl.SSLError) as caught:
        context.wrap_socket(ours, server_hostname="x").close()
    assert reading(caught.value) == (T, "no")


def test_a_full_disk_says_where() -> None:
    """The reason names the path, if the system did."""
    found = triage(OSError(errno.ENOSPC, "No space left on device", "/data/out.csv"))
    assert found.reason == "no space left on the device at /data/out.csv"


async def _timed_out() -> None:
    async with asyncio.timeout(0):
        await asyncio.Event().wait()


def test_a_timeout_of_asyncio_is_not_its_cancellation() -> None:
    """asyncio.timeout raises TimeoutError from CancelledError: still transient."""
    with pytest.raises(TimeoutError) as caught:
        asyncio.run(_timed_out())
    assert isinstance(caught.value.__context__, asyncio.CancelledError)
    assert reading(caught.value) == (T, "unknown")


@pytest.mark.parametrize(
    "exc",
    [
        TypeError(),
        KeyError("x"),
        AttributeError(),
        NameError(),
        IndexError(),
        ZeroDivisionError(),
        AssertionError(),
        ModuleNotFoundError(),
        SyntaxError(),
        NotImplementedError(),
        RecursionError(),
        ValueError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        MemoryError(),
        type("OwnValueError", (ValueError,), {})(),
        make("pydantic_core._pydantic_core.ValidationError", base=ValueError),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
        SystemExit(500),
    ],
)
def test_programming_errors_and_stops_are_permanent(exc: BaseException) -> None:
    """Nothing is spent on them, and whether an act had happened is not known."""
    assert reading(exc) == (P, "unknown")


@pytest.mark.parametrize(
    "exc",
    [
        json.JSONDecodeError("x", "", 0),
        RuntimeError("x"),
        subprocess.CalledProcessError(1, ["x"]),
        make("somewhere.Strange", "x"),
    ],
)
def test_the_unknown_is_transient(exc: BaseException) -> None:
    """An answer that is no JSON, and whatever nobody has heard of."""
    assert reading(exc) == (T, "unknown")


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


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (errors.Transient("x"), (T, "unknown")),
        (errors.Exhausted("x"), (E, "no")),
        (errors.Unauthenticated("x"), (U, "no")),
        (errors.Permanent("x"), (P, "unknown")),
        (errors.NotDone("x"), (P, "no")),
        (errors.StepFailed("s", "T", "m"), (P, "unknown")),
        (errors.StoreBusy("x"), (T, "unknown")),
        (errors.StoreFull("x"), (P, "unknown")),
        (errors.LeaseLost("x"), (P, "unknown")),
    ],
)
def test_our_own_errors(exc: BaseException, expected: tuple[Kind, str]) -> None:
    """They say themselves what they are."""
    assert reading(exc) == expected


def test_our_own_errors_carry_their_waits() -> None:
    """retry_after and resets_at are passed on."""
    assert triage(errors.Transient("x", retry_after=9)).retry_after == 9
    assert triage(errors.Exhausted("x", resets_at=NOW)).resets_at == NOW


def chained(outer: BaseException, inner: BaseException, *, explicit: bool) -> BaseException:
    """`outer`, raised while `inner` was handled."""
    try:
        try:
            raise inner
        except BaseException:
            if explicit:
                raise outer from inner
            raise outer  # noqa: B904 - the implicit context is the point
    except BaseException as exc:
        return exc


def test_an_explicit_cause_speaks_for_an_exception_that_says_nothing() -> None:
    """`raise MyError(...) from exc` is read as exc, "no" included."""
    own = make("myproject.ApiError", "x")
    assert reading(chained(own, ConnectionRefusedError(111, "r"), explicit=True)) == (T, "no")
    assert reading(chained(own, TypeError(), explicit=True)) == (P, "unknown")
    value = type("BadAnswer", (ValueError,), {})()
    assert reading(chained(value, http(503), explicit=True)) == (T, "unknown")


def test_an_implicit_context_never_makes_permanent_nor_a_no() -> None:
    """What was being handled is not what went wrong; but a quota it met is known."""
    own = make("myproject.ApiError", "x")
    for handled in (
        KeyError(),
        FileNotFoundError(2, "x"),
        http(404),
        ConnectionRefusedError(111, "r"),
    ):
        assert reading(chained(own, handled, explicit=False)) == (T, "unknown")
    found = triage(chained(own, http(429, retry_after="900"), explicit=False))
    assert (found.kind, found.happened) == (E, "unknown")


def test_a_client_that_retries_by_itself_cannot_say_no() -> None:
    """Its last try was refused; the one before may have been processed."""
    outer = make("openai.APIConnectionError", "Connection error.")
    refused = make("httpx.ConnectError", "refused")
    assert reading(chained(outer, refused, explicit=True)) == (T, "unknown")


def test_groups_take_the_worst_of_their_members() -> None:
    """One permanent member makes the group permanent; waits are the longest."""
    slow, slower = http(503, retry_after="5"), http(503, retry_after="9")
    found = triage(ExceptionGroup("g", [slow, slower]))
    assert (found.kind, found.retry_after) == (T, 9)
    assert triage(ExceptionGroup("g", [slow, ExceptionGroup("h", [TypeError()])])).kind is P
    assert reading(ExceptionGroup("g", [http(429), http(404)])) == (P, "no")
    assert reading(ExceptionGroup("g", [http(429), TimeoutError()])) == (T, "unknown")
    assert triage(ExceptionGroup("g", [http(401), http(503)])).kind is U


def test_triage_never_raises() -> None:
    """An exception whose attributes, text and class misbehave is read as unknown."""

    class Hostile(Exception):
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

        def __str__(self) -> str:
            raise RuntimeError("str")

    Hostile.__module__ = "httpx"
    assert triage(Hostile()).kind is T
    endless: Any = make("requests.exceptions.ConnectionError")
    endless.args = (endless,)
    assert triage(endless).kind is T
    looped = make("myproject.Loop")
    looped.__cause__ = looped
    assert triage(looped).kind is T


def test_a_reading_always_has_a_reason() -> None:
    """People see why something was retried or not."""
    samples = [http(429), TypeError(), OSError("x"), RuntimeError(), errors.Permanent("x")]
    assert all(isinstance(found := triage(exc), Triage) and found.reason for exc in samples)


def test_nothing_is_imported_to_recognise_what_others_raise() -> None:
    """In a fresh interpreter, neither import nor use of triage loads a foreign package."""
    code = (
        "import sys; from nightproof.model.triage import triage; before = set(sys.modules);"
        "[triage(type('E', (Exception,), {'__module__': m})('x')) for m in"
        " ('httpx', 'requests', 'aiohttp', 'google', 'grpc', 'botocore', 'psycopg', 'slack_sdk')];"
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(ran.stdout.split()) <= {"nightproof"} | set(sys.stdlib_module_names)
