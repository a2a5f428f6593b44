"""Requests and responses as the services see them, and how they go over the wire."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request; `path` is below the service's prefix, `query` has the last of each name."""

    method: str
    service: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def bearer(self) -> str:
        """The token of the Authorization header, "" for none."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""

    def json(self) -> Any:
        """The body as JSON; raises ValueError."""
        return json.loads(self.body)


@dataclass
class Response:
    """An answer; a body of several parts is sent in chunks, one by one."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """What a service answers instead."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def as_json(content: Any, status: int = 200, **headers: str) -> Response:
    """A JSON answer; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(
        status,
        json.dumps(content, ensure_ascii=False).encode(),
        {"Content-Type": "application/json; charset=UTF-8", **named},
    )


RPC = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    409: "ABORTED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}  # fmt: skip
"""The google.rpc code of an HTTP status."""


def google_error(
    status: int, message: str, details: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The error object of Google's APIs."""
    error: dict[str, Any] = {"code": status, "message": message, "status": RPC[status]}
    if details:
        error["details"] = details
    return {"error": error}


def google_refusal(
    status: int, message: str, details: list[dict[str, Any]] | None = None, *, array: bool = False
) -> Response:
    """An error answer of Google's APIs; streaming methods wrap it in an array."""
    content = google_error(status, message, details)
    return as_json([content] if array else content, status)


def retry_info(seconds: float) -> dict[str, Any]:
    """``google.rpc.RetryInfo``: a minimum wait."""
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{seconds:g}s"}
