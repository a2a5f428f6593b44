"""Errors of the wire: sockets, DNS, TLS, and what HTTP clients make of them."""

from __future__ import annotations

import errno

from nightproof.model.triage.kinds import Triage, permanent, transient

HTTP_CLIENTS = frozenset(
    "httpx httpx2 httpcore httpcore2 requests urllib3 aiohttp http urllib httplib2 anyio".split()
)

# Before the request was sent, so the act certainly did not happen.
_NOT_SENT = {
    "ConnectError": "the connection could not be made",
    "ConnectTimeout": "the connection was not made in time",
    "ConnectTimeoutError": "the connection was not made in time",
    "ConnectionTimeoutError": "the connection was not made in time",
    "NewConnectionError": "the connection could not be made",
    "NameResolutionError": "the host name could not be resolved",
    "ClientConnectorError": "the connection could not be made",
    "PoolTimeout": "no connection of the pool came free in time",
    "EmptyPoolError": "no connection of the pool came free in time",
    "ServerNotFoundError": "the host name could not be resolved",
}
_SENT_PERHAPS = {
    "ReadTimeout": "no answer in time",
    "ReadTimeoutError": "no answer in time",
    "WriteTimeout": "the request was not sent in time",
    "SocketTimeoutError": "no answer in time",
    "ServerTimeoutError": "no answer in time",
    "Timeout": "no answer in time",
    "TimeoutException": "no answer in time",
    "ServerDisconnectedError": "the server closed the connection",
    "RemoteDisconnected": "the server closed the connection",
    "RemoteProtocolError": "the server broke the connection or the protocol",
    "IncompleteRead": "the answer was cut short",
    "ClientPayloadError": "the answer was cut short",
    "ChunkedEncodingError": "the answer was cut short",
    "ContentTypeError": "the answer is not what was asked for",
    "DecodingError": "the answer could not be decompressed",
    "ContentDecodingError": "the answer could not be decompressed",
    "ProxyError": "the proxy refused or failed",
    "HTTPException": "the server broke the protocol",
    "TransportError": "the connection failed",
    "ClientError": "the connection failed",
    "ClosedResourceError": "the connection was closed",
    "BrokenResourceError": "the connection was lost",
}
_MISUSE = {
    "InvalidURL": "not a valid URL",
    "InvalidUrlClientError": "not a valid URL",
    "MissingSchema": "not a valid URL",
    "InvalidSchema": "not a supported URL",
    "UnsupportedProtocol": "not a supported URL",
    "LocationParseError": "not a valid URL",
    "TooManyRedirects": "too many redirects",
    "LocalProtocolError": "the request is not valid HTTP",
    "StreamError": "the response was read in a way that cannot work",
    "InvalidHeader": "the request is not valid HTTP",
    "CannotSendRequest": "the connection was used in a way that cannot work",
    "InvalidJSONError": "not valid JSON",
    "ClientConnectorCertificateError": "the server's certificate was refused",
}
_BY_NAME: dict[str, Triage] = {
    **{name: transient(reason, "no") for name, reason in _NOT_SENT.items()},
    **{name: transient(reason) for name, reason in _SENT_PERHAPS.items()},
    **{name: permanent(reason) for name, reason in _MISUSE.items()},
    "JSONDecodeError": transient("the answer is not JSON"),
}

_CERTIFICATE = permanent("the certificate of the other side was refused", "no")
_RESOLVE = transient("the host name could not be resolved", "no")
_REFUSED = transient("the connection was refused or the host cannot be reached", "no")
_HANDSHAKE = transient("the TLS handshake failed", "no")
_LOST = transient("the connection was lost")
_HANDSHAKE_REASONS = frozenset(
    """
    WRONG_VERSION_NUMBER UNSUPPORTED_PROTOCOL NO_PROTOCOLS_AVAILABLE HTTP_REQUEST
    SSLV3_ALERT_HANDSHAKE_FAILURE TLSV1_ALERT_PROTOCOL_VERSION TLSV1_UNRECOGNIZED_NAME
    TLSV1_ALERT_UNRECOGNIZED_NAME NO_SHARED_CIPHER DH_KEY_TOO_SMALL BAD_PROTOCOL_VERSION_NUMBER
    UNSAFE_LEGACY_RENEGOTIATION_DISABLED TLSV1_ALERT_INSUFFICIENT_SECURITY
    """.split()
)


def _numbers(*names: str) -> set[int]:
    return {getattr(errno, name) for name in names if hasattr(errno, name)}


_UNREACHED = _numbers(
    "ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "ENETDOWN", "EHOSTDOWN", "EADDRNOTAVAIL"
)
_FULL = _numbers("ENOSPC", "EDQUOT")
_LOCAL = _numbers(
    *"EACCES EPERM EROFS ENOENT EISDIR ENOTDIR EEXIST ENAMETOOLONG ENOTEMPTY EXDEV".split(),
    *"ENOEXEC ELOOP EFBIG ENODEV ENXIO EINVAL EBADF ENOMEM ENOTSUP ENOSYS".split(),
)


def from_client(exc: BaseException) -> Triage | None:
    """An exception of an HTTP client, by the names of its classes, most special first."""
    if "CERTIFICATE_VERIFY_FAILED" in str(exc):
        return _CERTIFICATE
    for cls in type(exc).__mro__:
        if cls.__module__.partition(".")[0] not in HTTP_CLIENTS:
            continue
        found = _BY_NAME.get(cls.__name__)
        if found is not None:
            # A proxy that httpx cannot pass is met before the request is sent.
            if cls.__name__ == "ProxyError" and cls.__module__.startswith("http"):
                return transient(found.reason, "no")
            return found
    return None


def from_os(exc: OSError) -> Triage | None:
    """An OSError by its number; None where neither class nor number says enough."""
    for cls in type(exc).__mro__:
        if cls.__module__ in {"ssl", "socket", "_socket", "_ssl"}:
            return _from_ssl(exc) if "ssl" in cls.__module__ else _RESOLVE
    number = exc.errno
    if number in _UNREACHED:
        return _REFUSED
    if number in _FULL:
        return permanent(f"no space left on the device{_at(exc)}")
    if isinstance(exc, TimeoutError):  # of a connection or of an answer: nobody can tell
        return transient("timed out")
    if isinstance(exc, ConnectionError):
        return _LOST
    if number in _LOCAL:
        return permanent(f"{type(exc).__name__}{_at(exc)}: {exc.strerror or exc}")
    if number is None and _all_refused(str(exc)):
        return _REFUSED
    return None if number is None else transient(f"{type(exc).__name__}: {exc.strerror or exc}")


def _all_refused(text: str) -> bool:
    # asyncio and anyio fold the failures of several addresses into one plain OSError.
    if text == "All connection attempts failed":
        return True
    return text.startswith("Multiple exceptions:") and text.count("[Errno") == text.count(
        "Connect call failed"
    )


def _from_ssl(exc: OSError) -> Triage:
    names = {cls.__name__ for cls in type(exc).__mro__}
    if "SSLCertVerificationError" in names or "CERTIFICATE_VERIFY_FAILED" in str(exc):
        return _CERTIFICATE
    reason = getattr(exc, "reason", None)
    return _HANDSHAKE if reason in _HANDSHAKE_REASONS else transient("the TLS connection failed")


def _at(exc: OSError) -> str:
    return f" at {exc.filename}" if exc.filename else ""
