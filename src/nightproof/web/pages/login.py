"""The login, where a dashboard has a token."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nightproof.web.rendering import page
from nightproof.web.security.access import own_path
from nightproof.web.security.forms import form_of
from nightproof.web.site import site_of


async def ask(request: Request) -> Response:
    """The form."""
    onward = own_path(request.query_params.get("next", "/"))
    if request.state.signed_in or not site_of(request).access.token:
        return RedirectResponse(onward, 303)
    return _form(request, onward)


async def enter(request: Request) -> Response:
    """Look at the token that was given."""
    access = site_of(request).access
    form = form_of(request)
    onward = own_path(form.get("next", "/"))
    if not access.token:
        return RedirectResponse(onward, 303)
    address = request.client.host if request.client else ""
    wait = access.limiter.wait(address)
    if wait:
        told = f"Too many wrong tokens were given. Try again in {wait} s."
        answer = _form(request, onward, told, 429)
        answer.headers["retry-after"] = str(wait)
        return answer
    if not access.opens(form.get("token", "").strip(), address):
        return _form(request, onward, "That is not the token.", 403)
    answer = RedirectResponse(onward, 303)
    answer.headers.append("set-cookie", access.set_cookie(access.begin(signed_in=True)))
    return answer


async def leave(request: Request) -> Response:
    """End the session."""
    access = site_of(request).access
    access.end(request.state.session)
    site_of(request).live.poke()
    answer = RedirectResponse("/login" if access.token else "/", 303)
    answer.headers.append("set-cookie", access.set_cookie(None))
    return answer


def _form(request: Request, onward: str, wrong: str = "", status: int = 200) -> Response:
    # A browser that comes by a link on another site sends no cookie that is SameSite=Strict,
    # but it does when the next request is this page's own.
    elsewhere = request.headers.get("sec-fetch-site") == "cross-site"
    again = elsewhere and request.method == "GET" and "again" not in request.query_params
    return page(request, "login.html", status, onward=onward, wrong=wrong, again=again)


routes = [
    Route("/login", ask),
    Route("/login", enter, methods=["POST"]),
    Route("/logout", leave, methods=["POST"]),
]
