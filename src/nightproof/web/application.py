"""The dashboard's application: its routes, and what surrounds every answer."""

from __future__ import annotations

import importlib
import pkgutil

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from nightproof.errors import NightproofError, NotFound
from nightproof.web import pages
from nightproof.web.rendering import page
from nightproof.web.site import Site


def routes() -> list[BaseRoute]:
    """What each module of pages lists, and the files beside them."""
    found: list[BaseRoute] = [
        Mount("/static", StaticFiles(packages=[("nightproof.web", "static")]), name="static")
    ]
    for module in sorted(one.name for one in pkgutil.iter_modules(pages.__path__)):
        found += importlib.import_module(f"nightproof.web.pages.{module}").routes
    return found


async def refused(request: Request, error: Exception) -> Response:
    """A page for what nightproof itself says no to."""
    assert isinstance(error, NightproofError)
    status = 404 if isinstance(error, NotFound) else 500
    return page(request, "problem.html", status, message=error.message, hint=error.hint)


async def missing(request: Request, error: Exception) -> Response:
    """A page for an address that is none."""
    del error
    hint = "The menu above leads to every page."
    return page(request, "problem.html", 404, message="there is no such page", hint=hint)


def application(site: Site) -> Starlette:
    """The application of a dashboard."""
    made = Starlette(routes=routes(), exception_handlers={NightproofError: refused, 404: missing})
    made.state.site = site
    return made
