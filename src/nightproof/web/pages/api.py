"""The API, and a page that says what it answers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from nightproof.web.api import words
from nightproof.web.api.description import description
from nightproof.web.api.server import api
from nightproof.web.rendering import page


async def docs(request: Request) -> Response:
    """What the API answers, for people."""
    about = description()
    refusals = [
        (code, one["description"]) for code, one in about["components"]["responses"].items()
    ]
    return page(request, "api.html", about=about, refusals=refusals, words=words)


async def root(request: Request) -> Response:
    """Whoever asks for nothing in particular gets the page."""
    del request
    return RedirectResponse("/api/docs", 303)


routes: list[BaseRoute] = [
    Route("/api/docs", docs),
    Route("/api", root),
    Mount("/api", api),
]
