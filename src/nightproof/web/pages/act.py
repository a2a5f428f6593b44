"""What people can have done: a page that says what will happen, and a form that does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nightproof.web import acting
from nightproof.web.asking import ASKED, Asked
from nightproof.web.problems import problem
from nightproof.web.rendering import page
from nightproof.web.security.forms import form_id, form_of
from nightproof.web.site import Site, site_of


async def ask(request: Request) -> Response:
    """What would happen."""
    asked = await _asking(request)(site_of(request), request.query_params)
    return _shown(request, asked, 409 if asked.refused else 200)


async def act(request: Request) -> Response:
    """Have it done, once for each form."""
    site = site_of(request)
    asking = _asking(request)
    fields, form = form_of(request), form_id(request)
    begun = site.commands.begun(form)
    if begun is not None:
        return RedirectResponse(await asyncio.shield(begun), 303)
    if any("\0" in value for value in fields.values()):
        raise HTTPException(422, "a NUL character was sent; no command takes one")
    asked = await asking(site, fields)
    if asked.refused:
        return _shown(request, asked, 409)
    if asked.error or asked.plan is None:
        return _shown(request, asked, 422)
    if len(site.commands) >= acting.MOST:
        return problem(
            request, 503, "too many commands are under way", "Try again when some ended."
        )
    who = f"dashboard, {request.client.host if request.client else 'unknown'}"
    doing = site.commands.once(form, acting.carry_out(site, asked.plan, who))
    return RedirectResponse(await asyncio.shield(doing), 303)


def _asking(request: Request) -> Callable[[Site, Mapping[str, str]], Awaitable[Asked]]:
    found = ASKED.get(request.path_params["what"])
    if found is None:
        raise HTTPException(404)
    return found


def _shown(request: Request, asked: Asked, status: int) -> Response:
    return page(request, "act.html", status, asked=asked)


routes = [
    Route("/act/{what}", ask),
    Route("/act/{what}", act, methods=["POST"]),
]
