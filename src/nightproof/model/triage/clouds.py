"""Service clients with error codes of their own: Google, gRPC, AWS, Slack, object stores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightproof.model.triage.kinds import Happened, Triage, permanent, transient, unauthenticated
from nightproof.model.triage.refusals import Refusal, parse, read_detail
from nightproof.model.triage.statuses import RPC_HTTP, attribute, decide
from nightproof.model.triage.waits import from_headers, limited, seconds

_SLACK_TOKEN = frozenset(
    "invalid_auth not_authed token_expired token_revoked invalid_token".split()
)
_SLACK_AGAIN = frozenset("service_unavailable team_added_to_org request_timeout".split())

_AWS_THROTTLED = frozenset(
    """
    BandwidthLimitExceeded EC2ThrottledException LimitExceededException PriorRequestNotComplete
    ProvisionedThroughputExceededException RequestLimitExceeded RequestThrottled
    RequestThrottledException SlowDown ThrottledException Throttling ThrottlingException
    TooManyRequestsException TransactionInProgressException
    """.split()
)
_AWS_AGAIN = frozenset(
    """
    ConditionalRequestConflict InternalError InternalFailure InternalServerError OperationAborted
    RequestTimeout RequestTimeoutException ServiceUnavailable
    """.split()
)
_AWS_TOKEN = frozenset(
    """
    AuthFailure ExpiredToken ExpiredTokenException InvalidClientTokenId RequestExpired
    TokenRefreshRequired UnrecognizedClientException
    """.split()
)
_AWS_SETUP = frozenset(
    """
    InvalidRegionError MissingParametersError NoCredentialsError NoRegionError ParamValidationError
    PartialCredentialsError ProfileNotFound UnknownParameterError UnknownServiceError
    """.split()
)
_AWS_LOGIN = frozenset({"SSOTokenLoadError", "UnauthorizedSSOTokenError", "TokenRetrievalError"})
_OBJECT_STORE = {
    "AlreadyExistsError": permanent("the object is there already"),
    "NotFoundError": permanent("no such object", "no"),
    "NotModifiedError": permanent("not modified", "no"),
    "NotSupportedError": permanent("not supported", "no"),
    "InvalidPathError": permanent("not a valid path", "no"),
    "PermissionDeniedError": permanent("not allowed", "no"),
    "PreconditionError": permanent("the precondition is not met", "no"),
    "UnauthenticatedError": unauthenticated("the credential was refused"),
    "UnknownConfigurationKeyError": permanent("not a known setting", "no"),
    "GenericError": transient("the object store failed"),
}


def from_rpc(status: str, message: str, refusal: Refusal | None = None) -> Triage:
    """The triage of a google.rpc status name, with the details that came with it."""
    refusal = refusal or Refusal()
    refusal.status, refusal.google = status, True
    refusal.message = refusal.message or message
    if status == "RESOURCE_EXHAUSTED" and "larger than max" in message:
        return permanent("gRPC: the message is larger than this client accepts")
    if status == "UNAVAILABLE" and "failed to connect to all addresses" in message:
        return transient("gRPC: the connection could not be made", "no")
    return decide(RPC_HTTP[status], None, refusal)


def from_grpc(exc: BaseException) -> Triage | None:
    """grpc.RpcError and grpc.aio.AioRpcError (``code()``), grpclib's GRPCError (``status``)."""
    code: Any = attribute(exc, "code")
    code = code() if callable(code) else attribute(exc, "status")
    name = attribute(code, "name")
    if not isinstance(name, str) or name not in RPC_HTTP:
        return None
    details: Any = attribute(exc, "details")
    message = details() if callable(details) else attribute(exc, "message")
    refusal = Refusal()
    metadata: Any = attribute(exc, "trailing_metadata")
    for key, value in (metadata() or ()) if callable(metadata) else ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            refusal.retry_delay = _packed_retry_delay(value)
    return from_rpc(name, str(message or ""), refusal)


def _packed_retry_delay(packed: bytes) -> float | None:
    """RetryInfo.retry_delay inside a serialised google.rpc.Status, without protobuf.

    Status.details (field 3) holds Any (type_url 1, value 2), whose value is
    RetryInfo (retry_delay 1), a Duration (seconds 1, nanos 2).
    """
    for detail in _fields(packed).get(3, []):
        entry = _fields(detail)
        if not any(b"google.rpc.RetryInfo" in url for url in entry.get(1, [])):
            continue
        for value in entry.get(2, []):
            for delay in _fields(value).get(1, []):
                parts = _fields(delay)
                whole, nanos = (int.from_bytes(parts.get(n, [b""])[0], "little") for n in (1, 2))
                return seconds(whole + nanos / 1e9)
    return None


def _fields(packed: bytes) -> dict[int, list[bytes]]:
    """The fields of a protobuf message; numbers as little-endian bytes. Stops at nonsense."""
    found: dict[int, list[bytes]] = {}
    at = 0
    while at < len(packed):
        tag, at = _varint(packed, at)
        if tag & 7 == 0:
            number, at = _varint(packed, at)
            value = number.to_bytes(10, "little")
        elif tag & 7 == 2:
            size, at = _varint(packed, at)
            value, at = packed[at : at + size], at + size
        else:
            break
        found.setdefault(tag >> 3, []).append(value)
    return found


def _varint(packed: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(packed) and shift < 64:
        byte, at = packed[at], at + 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return number, at


def from_google(exc: BaseException) -> Triage | None:
    """The exceptions of google.api_core, google.auth and google.genai."""
    if ".auth" in type(exc).__module__:
        return _from_google_auth(exc)
    code = attribute(exc, "code")
    if not isinstance(code, int):
        return None
    response = attribute(exc, "response")
    details = attribute(exc, "details")
    refusal = parse(attribute(response, "_content"))
    if isinstance(details, Mapping):
        refusal = parse(details)
    for several in (details, attribute(exc, "errors")):
        for detail in several if isinstance(several, list | tuple) else ():
            read_detail(detail, refusal)
    reason = attribute(exc, "reason")
    if isinstance(reason, str):
        refusal.words.add(reason.lower())
    refusal.google = True
    refusal.message = refusal.message or str(exc)
    named = attribute(attribute(exc, "grpc_status_code"), "name") or attribute(exc, "status")
    headers = attribute(response, "headers")
    if isinstance(named, str) and named in RPC_HTTP and headers is None:
        return from_rpc(named, str(exc), refusal)
    return decide(int(code), headers, refusal)


def _from_google_auth(exc: BaseException) -> Triage | None:
    names = {cls.__name__ for cls in type(exc).__mro__}
    if "TransportError" in names or attribute(exc, "retryable") is True:
        return transient("google.auth: the token server could not be asked", "no")
    if "RefreshError" in names:
        return unauthenticated("google.auth: the token could not be refreshed")
    if names & {"DefaultCredentialsError", "MalformedError", "InvalidValue"}:
        return permanent("google.auth: no usable credentials", "no")
    return None


def from_aws(exc: BaseException) -> Triage | None:
    """botocore: ClientError by code and status, the others by class.

    botocore retries by itself and does not say how its earlier tries ended, so
    only a refusal at the first try counts as "certainly not processed".
    """
    name = type(exc).__name__
    if name in _AWS_SETUP:
        return permanent(f"botocore: {name}", "no")
    if name in _AWS_LOGIN:
        return unauthenticated(f"botocore: {name}")
    response = attribute(exc, "response")
    if not isinstance(response, Mapping):
        return None
    code = str((response.get("Error") or {}).get("Code") or "")
    about = response.get("ResponseMetadata") or {}
    headers = about.get("HTTPHeaders")
    happened: Happened = "unknown" if about.get("RetryAttempts") else "no"
    status = about.get("HTTPStatusCode")
    if code in _AWS_THROTTLED:
        return limited(f"AWS {code}", from_headers(headers), happened=happened)
    if code in _AWS_TOKEN:
        return unauthenticated(f"AWS {code}", happened)
    if code in _AWS_AGAIN:
        return transient(f"AWS {code}", "unknown", from_headers(headers))
    if not isinstance(status, int) or status < 300:
        return permanent(f"AWS {code}", "unknown")
    found = decide(status, headers, Refusal())
    kept = found.happened if happened == "no" else "unknown"
    return Triage(
        found.kind, found.retry_after, found.resets_at, kept, f"AWS {code}: {found.reason}"
    )


def from_slack(exc: BaseException) -> Triage | None:
    """slack_sdk's SlackApiError: the ``error`` of a response that is often HTTP 200."""
    response = attribute(exc, "response")
    data = response if isinstance(response, Mapping) else attribute(response, "data")
    error = data.get("error") if isinstance(data, Mapping) else None
    if not isinstance(error, str):
        return None
    reason = f"Slack {error}"
    headers = attribute(response, "headers")
    status = attribute(response, "status_code")
    if isinstance(status, int) and status >= 500:
        # A page of a proxy, which the client hands on as the name of the error.
        return decide(status, headers, Refusal())
    if error in {"ratelimited", "rate_limited"}:
        return limited(reason, from_headers(headers))
    if error in {"internal_error", "fatal_error"}:
        return transient(f"{reason}: may have partly succeeded")
    if error in _SLACK_AGAIN:
        return transient(reason)
    if error in _SLACK_TOKEN:
        return unauthenticated(reason)
    return permanent(reason, "no")


def from_object_store(exc: BaseException) -> Triage | None:
    """The exceptions of obstore, by class."""
    return _OBJECT_STORE.get(type(exc).__name__)
