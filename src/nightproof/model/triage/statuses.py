"""HTTP statuses, from any client, with what headers and body add to them."""

from __future__ import annotations

from collections.abc import Mapping

from nightproof.model.triage.kinds import Happened, Triage, permanent, transient, unauthenticated
from nightproof.model.triage.refusals import Refusal, parse
from nightproof.model.triage.waits import from_headers, limited, next_midnight_pacific

RPC_HTTP = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""google.rpc status names and the HTTP statuses they stand for."""

_RATE_WORDS = frozenset(
    """
    ratelimitexceeded userratelimitexceeded rate_limit_exceeded quotaexceeded
    dailylimitexceeded ratelimited rate_limited too_many_requests
    """.split()
)
_RATE_TEXTS = ("rate limit", "rate exceeded", "too many requests", "quota exceeded")
_TOKEN_WORDS = frozenset({"invalid_grant", "invalid_token", "token_expired", "api_key_invalid"})
_TRY_AGAIN = (
    "conditionalrequestconflict",  # S3: two writers met; one of them may try again
    "operationaborted",
    "report is not available yet",  # App Store Connect says so with a 404
)


def attribute(thing: object, name: str) -> object:
    """An attribute that may be a property, and raise."""
    try:
        return getattr(thing, name, None)
    except Exception:  # noqa: BLE001 - a client's property; whatever it raises means "not there"
        return None


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int) and 300 <= value <= 599 else None


def read(exc: BaseException) -> tuple[int, object, object] | None:
    """Status, headers and body of an HTTP refusal; None where `exc` is not one.

    Bodies are taken only where the client has read them already: triage never
    touches the network, and leaves an unread stream to whoever wants it.
    """
    response = attribute(exc, "response")
    if response is None:
        response = attribute(exc, "resp")
    status = (
        _number(attribute(response, "status_code"))
        or _number(attribute(response, "status"))
        or _number(attribute(exc, "status_code"))
        or _number(attribute(exc, "status"))
        or _number(attribute(exc, "http_status"))
    )
    headers = attribute(response, "headers")
    if headers is None:
        headers = attribute(exc, "headers")
    if headers is None and isinstance(response, Mapping):  # httplib2
        headers = response
    if status is None and headers is not None:  # urllib.error.HTTPError
        status = _number(attribute(exc, "code"))
    if status is None:
        return None
    bodies = (
        attribute(exc, "body"),
        attribute(exc, "json_body"),
        attribute(response, "_content"),  # httpx and requests: what was read, if it was
        attribute(exc, "content"),
        attribute(response, "data"),
    )
    body = next((b for b in bodies if isinstance(b, bytes | str | Mapping | list) and b), None)
    return status, headers, body


def from_exception(exc: BaseException) -> Triage | None:
    """The triage of an HTTP status error, by what it carries and not by its class."""
    found = read(exc)
    if found is None:
        return None
    status, headers, body = found
    return decide(status, headers, parse(body))


def decide(status: int, headers: object, refusal: Refusal) -> Triage:
    """The triage of an HTTP status with its headers and what its body says."""
    name = f"HTTP {status}" + (f" {refusal.status}" if refusal.status else "")
    waits = [w for w in (from_headers(headers), refusal.retry_delay) if w is not None]
    wait = max(waits) if waits else None
    if (
        status == 429
        or refusal.status == "RESOURCE_EXHAUSTED"
        or _is_limit(status, headers, refusal)
    ):
        return _limit(name, wait, refusal)
    if status == 401 or (status == 400 and refusal.words & _TOKEN_WORDS):
        return unauthenticated(f"{name}: the credential was refused")
    happened = _happened(status, refusal)
    if (
        status in {408, 425, 499}
        or refusal.status == "ABORTED"
        or (status >= 500 and status != 501)
    ):
        return transient(name, happened, wait)
    if status in {404, 409} and any(text in refusal.text().lower() for text in _TRY_AGAIN):
        return transient(f"{name}: the server says to try again", happened, wait)
    return permanent(name, happened)


def _happened(status: int, refusal: Refusal) -> Happened:
    # 409 can mean "already done" or "another request with this key is in flight",
    # 499 that the server was told to stop at some point: neither is a clean no.
    if refusal.status == "ABORTED":
        return "no"
    return "no" if 400 <= status < 500 and status not in {409, 499} else "unknown"


def _is_limit(status: int, headers: object, refusal: Refusal) -> bool:
    """Whether a 403 is a rate limit in disguise (Google's older APIs, GitHub)."""
    if status != 403:
        return False
    if refusal.words & _RATE_WORDS or from_headers(headers) is not None:
        return True
    return any(text in refusal.message.lower() for text in _RATE_TEXTS)


def _limit(name: str, wait: float | None, refusal: Refusal) -> Triage:
    if not refusal.daily:
        asked = "" if wait is None else f", wait {wait:g} s"
        return limited(f"{name}: rate limit{asked}", wait)
    resets_at = next_midnight_pacific() if refusal.google else None
    return limited(
        f"{name}: the quota of the day is used up", wait, daily=True, resets_at=resets_at
    )
