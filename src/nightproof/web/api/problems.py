"""Errors of the API, as RFC 9457 has them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from nightproof.contract.secrets import redact
from nightproof.errors import BlobError, NightproofError, NotFound, StoreError, UsageError

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong (RFC 9457)."""

    title: str
    """The status in words."""
    status: int
    """The HTTP status again."""
    detail: str
    """What happened, and where."""
    hint: str
    """What to do; empty where there is nothing to say."""


class Later(NightproofError):
    """What was asked for is still being worked out."""


def problem(status: int, message: str, hint: str = "", **headers: str) -> Response:
    """A refusal as ``application/problem+json``; `headers` with ``_`` for ``-``."""
    told: dict[str, Any] = {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": redact(message),
        "hint": redact(hint),
    }
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(json.dumps(told), status, named, media_type=MEDIA_TYPE)


def refused(error: NightproofError) -> Response:
    """What nightproof itself says no to.

    404 where something is not there, 409 where things are not so that it can be answered,
    503 where the store does not answer.
    """
    kinds = ((NotFound, 404), (UsageError, 409), (StoreError, 503), (BlobError, 500))
    status = next((code for kind, code in kinds if isinstance(error, kind)), 500)
    return problem(status, error.message, error.hint)
