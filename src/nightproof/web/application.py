"""The dashboard's application: its routes, and what surrounds every answer."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from nightproof.errors import NightproofError
from nightproof.web import pages
from nightproof.web.acting import Told
from nightproof.web.guard import Guard
from nightproof.web.problems import broken, failed, refused
from nightproof.web.rendering import environment
from nightproof.web.security.forms import csrf, csrf_token
from nightproof.web.site import Site


def routes() -> list[BaseRoute]:
    """What each module of pages lists, and the files beside them."""
    found: list[BaseRoute] = [
        Mount("/static", StaticFiles(packages=[("nightproof.web", "static")]), name="static")
    ]
    for module in sorted(one.name for one in pkgutil.iter_modules(pages.__path__)):
        found += importlib.import_module(f"nightproof.web.pages.{module}").routes
    return found


def application(site: Site, say: Callable[[str], None] = print) -> Guard:
    """The application of a dashboard; `say` is told of pages that fail."""
    handlers = {NightproofError: refused, HTTPException: failed, Exception: broken}
    told = Middleware(Told, site=site)
    made = Starlette(routes=routes(), exception_handlers=handlers, middleware=[told])
    made.router.redirect_slashes = False
    made.state.site = site
    environment().globals.update(csrf=csrf, csrf_token=csrf_token)
    return Guard(made, site, say)
