"""What surrounds every answer: who may ask, how much may be sent, which headers it carries."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from nightproof.errors import NightproofError
from nightproof.model import clock
from nightproof.web.problems import BROKEN, problem
from nightproof.web.rendering import clean
from nightproof.web.security import forms, headers
from nightproof.web.security.access import Access
from nightproof.web.site import Site

MOST_BYTES = 1 << 20
"""Of a request's body."""
STREAMED = ("/search/file",)
"""Addresses that take more, piece by piece, and look after it themselves."""
BODY_SECONDS = 20.0
"""How long the next piece of a body may take."""
DRAIN_SECONDS = 1.0
DRAIN_BYTES = 256 * 1024
OPEN = ("/login", "/healthz")
BEARER = ("/api", "/metrics")
_OTHERS = ("cross-site", "same-site")
SAID_AGAIN_SECONDS = 60.0


class Guard:
    """An application that is asked only what it may be asked; `say` is told what fails."""

    def __init__(self, app: Starlette, site: Site, say: Callable[[str], None]) -> None:
        self.app = app
        self.site = site
        self._say = say
        self._said: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        scope["app"] = self.app
        sender = _Sender(scope, send, self.site.access)
        taker = _Taker(scope, receive)
        request = Request(scope, taker)
        try:
            refusal = await self._refusal(request, taker)
            answer = refusal or self.app
            if refusal is not None and request.method not in ("GET", "HEAD"):
                await taker.drain()
            await answer(scope, taker, sender)
            if answer is self.app and request.state.live is not None and scope["path"] != "/live":
                self.site.live.took(sender.took)
        except (ClientDisconnect, _Gone):
            return
        except HTTPException as error:
            await self._answer(request, taker, sender, error.status_code)
        except Exception as error:  # noqa: BLE001 - a page that fails must not end the server
            self._tell(scope, error)
            await self._answer(request, taker, sender, 500)

    async def _answer(self, request: Request, taker: _Taker, sender: _Sender, status: int) -> None:
        """Say that it failed, where nothing has been said yet."""
        if sender.started:
            return
        await taker.drain()
        try:
            told = BROKEN if status == 500 else ()
            answer = problem(request, status, *told, connection="close")
        except Exception as error:  # noqa: BLE001 - what surrounds the page fails too
            self._tell(request.scope, error)
            answer = PlainTextResponse("this page failed\n", status)
        await answer(request.scope, request.receive, sender)

    def _tell(self, scope: Scope, error: Exception) -> None:
        frame = traceback.extract_tb(error.__traceback__)[-1:]
        where = f" ({frame[0].name}, line {frame[0].lineno})" if frame else ""
        path = scope.get("raw_path", b"").decode("ascii", "replace")[:200]
        told = f"{path} failed: {type(error).__name__}: {clean(error)[:500]}{where}"
        told = " ".join(told.split())
        now = clock.monotonic()
        self._said = {one: at for one, at in self._said.items() if now - at < SAID_AGAIN_SECONDS}
        if told not in self._said:
            self._said[told] = now
            self._say(told)

    async def _refusal(self, request: Request, taker: _Taker) -> Response | None:
        """What is answered instead of the page, if anything."""
        access, state, method = self.site.access, request.state, request.method
        hosts = request.headers.getlist("host")
        state.live, state.form, state.form_id = None, forms.parsed(b""), ""
        state.session = access.session(_cookies(request.headers))
        state.signed_in = state.session.signed_in
        # A browser always says whom it asks; an old probe may not.
        if len(hosts) > 1 or (hosts and not access.hosted(hosts[0])):
            return _misdirected(request)
        if _embedded(request):
            return problem(
                request, 403, "this was asked for by a page of another site",
                "Open it by itself.", connection="close",
            )  # fmt: skip
        path = str(request.scope["path"])
        open_to_all = path in OPEN or path.startswith("/static/")
        if not open_to_all:
            refused = self._not_signed_in(request, path)
            if refused is not None:
                return refused
            try:
                await self.site.journal.present()
            except NightproofError as error:
                return problem(request, 503, error.message, error.hint, connection="close")
            state.live = self.site.live.state
        if method in ("GET", "HEAD"):
            return None
        allowed = self._methods(request.scope)
        if allowed and method not in allowed:
            return problem(request, 405, allow=", ".join(sorted(allowed)), connection="close")
        if not allowed:
            return problem(request, 404, connection="close")
        return await self._forged(request, taker, "".join(hosts))

    def _not_signed_in(self, request: Request, path: str) -> Response | None:
        access = self.site.access
        if not access.token or request.state.signed_in:
            return None
        by_script = path in BEARER or path.startswith("/api/")
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if by_script and kind.lower() == "bearer":
            address = request.client.host if request.client else ""
            wait = access.limiter.wait(address)
            if wait:
                return problem(
                    request, 429, "too many wrong tokens were given",
                    f"Try again in {wait} s.", retry_after=str(wait), connection="close",
                )  # fmt: skip
            if access.opens(given.strip(), address):
                return None
        if by_script or path == "/live" or request.method not in ("GET", "HEAD"):
            told = "this needs a login", "Sign in, or give the token as `Authorization: Bearer …`."
            return problem(request, 401, *told, www_authenticate="Bearer", connection="close")
        # As it was sent: a path is quoted twice, and the login page must lead back to the same.
        raw = request.scope.get("raw_path", b"/").decode("ascii", "replace")
        query = request.scope["query_string"].decode("ascii", "replace")
        back = quote(raw + (f"?{query}" if query else ""), safe="")
        return RedirectResponse(f"/login?next={back}" if len(back) < 8000 else "/login", 303)

    def _methods(self, scope: Scope) -> set[str]:
        """How an address may be asked; nothing where there is none."""
        found: set[str] = set()
        for route in self.app.routes:
            if route.matches(scope)[0] is not Match.NONE:
                found |= getattr(route, "methods", None) or {"GET", "HEAD"}
        return found

    async def _forged(self, request: Request, taker: _Taker, host: str) -> Response | None:
        """A refusal for a post that does not come from this dashboard's own pages."""
        access = self.site.access
        sent = request.headers
        site, origin = sent.get("sec-fetch-site"), sent.get("origin")
        if site not in (None, "same-origin") or not (origin is None or access.own(origin, host)):
            return problem(
                request, 403, "this was sent by a page of another site",
                f"Behind a proxy, set public_url to the address that people use (not {origin})."
                if site == "same-origin" else "Nothing was done.", connection="close",
            )  # fmt: skip
        given = sent.get(forms.HEADER.decode(), "")
        if forms.is_form(request.scope):
            try:
                request.state.form = forms.parsed(await request.body())
            except ValueError:
                return problem(request, 400, connection="close")
            given = given or request.state.form.get(forms.FIELD, "")
            taker.again(await request.body())
        found = access.form_id(request.state.session, given)
        if found is None:
            return problem(
                request, 403, "this form is no longer valid, and nothing was done",
                "It is of an earlier session or an earlier start of the dashboard. "
                "Open its page again.", connection="close",
            )  # fmt: skip
        request.state.form_id = found
        return None


class _Gone(Exception):
    """The line does not take an answer: whoever asked broke the protocol, or left."""


class _Taker:
    """Receives a body: not too much of it, and not too slowly."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._most = None if scope["path"] in STREAMED else MOST_BYTES
        self._seen = 0
        self._more = True
        self._again: bytes | None = None
        given = Headers(scope=scope).get("content-length", "0")
        self._announced = int(given) if given.isdecimal() else 0

    def again(self, body: bytes) -> None:
        """Give a body that was read once more."""
        self._again = body

    async def drain(self) -> None:
        """Read a little of what nobody wants: a line closed with unread data loses the answer."""
        read = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._more and read < DRAIN_BYTES:
                    message = await self._receive()
                    self._more = bool(message.get("more_body", False))
                    read += len(message.get("body", b""))

    async def __call__(self) -> Message:
        if self._again is not None:
            body, self._again = self._again, None
            return {"type": "http.request", "body": body, "more_body": False}
        if not self._more:
            return await self._receive()
        if self._most is not None and self._announced > self._most:
            raise HTTPException(413)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408) from None
        self._more = bool(message.get("more_body", False))
        self._seen += len(message.get("body", b""))
        if self._most is not None and self._seen > self._most:
            raise HTTPException(413)
        return message


class _Sender:
    """Sends an answer with what every answer carries."""

    def __init__(self, scope: Scope, send: Send, access: Access) -> None:
        self._scope = scope
        self._send = send
        self._access = access
        self._begun = clock.perf()
        self.took = 0.0
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            found = MutableHeaders(raw=message.setdefault("headers", []))
            path = str(self._scope["path"])
            versioned = self._scope["query_string"].startswith(b"v=")
            headers.complete(found, path, versioned, message["status"])
            self.took = clock.perf() - self._begun
            found["server-timing"] = f"app;dur={self.took * 1000:.1f}"
            session = self._scope["state"].get("session")
            made = session is not None and session.used and not session.known
            if made and "set-cookie" not in found:
                found.append("set-cookie", self._access.set_cookie(session))
        try:
            await self._send(message)
        except Exception as error:
            raise _Gone from error


def _cookies(sent: Headers) -> list[tuple[str, str]]:
    """Names and values: another page of this machine may have set one a second time."""
    pairs = (
        one.strip().partition("=") for line in sent.getlist("cookie") for one in line.split(";")
    )
    return [(name, value) for name, _, value in pairs]


def _embedded(request: Request) -> bool:
    """Whether another site's page asks for a part of itself: it could time the answer.

    Following a link to a page is another thing. Source: the fetch metadata of browsers.
    """
    sent = request.headers
    if request.method not in ("GET", "HEAD") or sent.get("sec-fetch-site") not in _OTHERS:
        return False
    return (sent.get("sec-fetch-mode"), sent.get("sec-fetch-dest")) != ("navigate", "document")


def _misdirected(request: Request) -> Response:
    told = "this dashboard has another name"
    hint = (
        "Open it by the address that `nightproof serve` says, or set public_url to the one "
        "that people use."
    )
    if str(request.scope["path"]).startswith("/api"):
        return problem(request, 421, told, hint, connection="close")
    return PlainTextResponse(f"{told}\n{hint}\n", 421, {"connection": "close"})
