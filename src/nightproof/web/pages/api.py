"""The API, and a page that says what it answers."""

from __future__ import annotations

import re

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


_below = Mount("/api", api)
# A name may hold a line break too, which is nothing to a `.` by itself.
_below.path_regex = re.compile(_below.path_regex.pattern, re.DOTALL)

routes: list[BaseRoute] = [Route("/api/docs", docs), Route("/api", root), _below]
