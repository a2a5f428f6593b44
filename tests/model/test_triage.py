"""Triage: what an exception means, known by its shape and never by importing its package."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.model.raised import NOW, E, P, Still, T, U, http, make, reading

from nightproof import errors
from nightproof.model import clock
from nightproof.model.triage import Kind, Triage, triage


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    """Waits are counted from NOW."""
    with clock.use(Still()):
        yield


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
