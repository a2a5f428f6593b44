"""Pages for what cannot be answered."""

from __future__ import annotations

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from nightproof.errors import NightproofError, NotFound, StoreError, UsageError
from nightproof.views.legible import legible
from nightproof.web.api.problems import problem as api_problem
from nightproof.web.rendering import page

_PLAIN = ("/live", "/healthz", "/metrics", "/static/")
BROKEN = ("this page failed", "The log of `nightproof serve` says why.")
_TOLD = {
    400: ("this request cannot be understood", ""),
    404: ("there is no such page", "The menu above leads to every page."),
    405: ("this page cannot be asked that way", "Follow a link or press a button that leads here."),
    408: ("the request did not arrive in time", "Send it again."),
    413: ("what was sent is too large", "At most 1 MiB is accepted here."),
    503: ("the dashboard is busy", "Try again in a moment."),
}


def problem(
    request: Request, status: int, message: str = "", hint: str = "", **headers: str
) -> Response:
    """An answer that says what is wrong, in the form that the address is asked for.

    Without a `message` it says what the status means. Names of `headers` have ``_`` for ``-``.
    """
    if not message:
        message, hint = _TOLD.get(status, (HTTPStatus(status).phrase.lower(), ""))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    message, hint = legible(message), legible(hint)
    path = str(request.scope["path"])
    if path.startswith("/api/") or path == "/api":
        return api_problem(status, message, hint, **named)
    if path.startswith(_PLAIN):
        return PlainTextResponse(f"{message}\n{hint}".strip() + "\n", status, named)
    answer = page(request, "problem.html", status, message=message, hint=hint)
    answer.headers.update(named)
    return answer


async def refused(request: Request, error: Exception) -> Response:
    """The page for what nightproof itself says no to."""
    assert isinstance(error, NightproofError)
    status = 500
    for kind, one in ((NotFound, 404), (UsageError, 400), (StoreError, 503)):
        if isinstance(error, kind):
            status = one
            break
    return problem(request, status, error.message, error.hint)


async def broken(request: Request, error: Exception) -> Response:
    """The page for what should not have happened; the server's log has the rest."""
    del error
    return problem(request, 500, *BROKEN)


async def failed(request: Request, error: Exception) -> Response:
    """The page for what the server says no to: an address that is none, a body too large."""
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    told = "" if error.detail == phrase else error.detail
    return problem(request, error.status_code, told, "", **(error.headers or {}))
