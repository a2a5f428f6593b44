"""Answers the requests of the API."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nightproof.errors import NightproofError
from nightproof.web.api.aside import Written, written
from nightproof.web.api.description import description
from nightproof.web.api.endpoint import Unfit
from nightproof.web.api.problems import Later, problem, refused
from nightproof.web.api.table import ENDPOINTS

_HINT = "/api/docs lists what there is."
_DESCRIBED = ["openapi.json"]


async def api(scope: Scope, receive: Receive, send: Send) -> None:
    """The API as an application of its own, below ``/api``."""
    request = Request(scope, receive)
    response = await _answer(request)
    await response(scope, receive, send)


async def _answer(request: Request) -> Response:
    if request.method not in ("GET", "HEAD"):
        hint = "The API only reads; actions are commands and pages."
        return problem(405, f"{request.method[:20]} is not done here", hint, Allow="GET, HEAD")
    try:
        pieces = _pieces(request)
        query = _query(request)
    except UnicodeDecodeError:
        return problem(422, "the address is not UTF-8", "Percent-encode names as UTF-8.")
    if pieces == _DESCRIBED:
        return _json(await asyncio.to_thread(description))
    for endpoint in ENDPOINTS:
        path = endpoint.match(pieces)
        if path is None:
            continue
        try:
            arguments = endpoint.read(path, query)
            return _json(await endpoint.answer(request, arguments))
        except Unfit as error:
            return problem(422, str(error), f"/api/docs#{endpoint.name} says what is taken.")
        except Later as later:
            return problem(503, later.message, later.hint, Retry_After="5")
        except NightproofError as error:
            return refused(error)
    return problem(404, "there is nothing at this address", _HINT)


def _pieces(request: Request) -> list[str]:
    """The segments of the path behind ``/api``, each decoded by itself: names may hold a slash."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    path = raw.partition(b"?")[0].decode("ascii", "replace").partition("/api/")[2]
    return [unquote(piece, errors="strict") for piece in path.split("/")]


def _query(request: Request) -> list[tuple[str, str]]:
    raw = request.scope["query_string"].decode("ascii", "replace")
    return parse_qsl(raw, keep_blank_values=True, errors="strict")


def _json(document: Any) -> Response:
    made = document if isinstance(document, Written) else written(document)
    return Response(made.body, media_type="application/json")
