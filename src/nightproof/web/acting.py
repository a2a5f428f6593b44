"""Carrying out what a person decided on a page: a command, on record before and after."""

from __future__ import annotations

import asyncio
import shlex
from contextlib import suppress
from typing import NamedTuple

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from nightproof import app, config
from nightproof.errors import StoreError
from nightproof.serving.children import Ended, How
from nightproof.views import audit as trail
from nightproof.web.rendering import url
from nightproof.web.site import Site

SHORT_SECONDS = 10.0
LONG_SECONDS = 2.0
"""How long an answer waits for a command that takes a moment, and for one that takes a night."""
MOST = 32
"""So many commands may be under way at once."""
_SHOWN = 2000


class Plan(NamedTuple):
    """A command and what it is about; `words` has ``--`` in front of whatever people named.

    `back` is the page that shows what came of it.
    """

    act: str
    run: str
    words: tuple[str, ...]
    back: str
    long: bool = False
    given: bytes | None = None
    folder: str | None = None

    @property
    def command(self) -> str:
        """As people would give it."""
        return shlex.join(("nightproof", *self.words))


async def carry_out(site: Site, plan: Plan, who: str) -> str:
    """Do it; the address that shows what came of it.

    Returns when the command has ended, or goes on for long: its outcome is written then.
    """
    intent = trail.intent(who, plan.act, plan.run, plan.command, plan.given)
    number = await site.journal.audit(intent)
    site.live.poke()
    at = plan.words.index("--")
    words = [*plan.words[:at], "--json", *plan.words[at:]]
    # Not as an option: everybody can read those, and a URL may hold a password.
    environ = {"NIGHTPROOF_STORE": app.absolute(site.settings.store), config.ACTOR: who}
    how = How(plan.given, plan.folder, {**environ, "NIGHTPROOF_DEBUG": ""})
    ended = site.commands.start(f"act {number}", f"{plan.act} ({number})", words, how)
    following = site.commands.follow(_conclude(site, plan, number, ended))
    await asyncio.wait([following], timeout=LONG_SECONDS if plan.long else SHORT_SECONDS)
    return url(plan.back, told=number)


async def _conclude(site: Site, plan: Plan, number: int, ended: asyncio.Future[Ended]) -> None:
    end = await ended
    await site.journal.audited(number, end.code, outcome(plan.act, end)[:_SHOWN])
    site.live.poke()


def outcome(act: str, end: Ended) -> str:
    """What came of a command, in words."""
    told = end.document
    error = told.get("error") or {}
    if error.get("type") == "AlreadyRunning":
        return "another process is at work on the run"
    if end.code not in (0, trail.PARKED):
        lines = end.said.splitlines() or [end.how]
        said = [line for line in lines if line.startswith("nightproof: ")] or lines
        return str(error.get("message") or said[-1].removeprefix("nightproof: "))
    if act == "cancel":
        return "cancelled" if told.get("status") == "cancelled" else "the run was asked to cancel"
    if act == "signal":
        return f"'{told.get('signal')}' sent"
    if act == "resolve":
        happened = told.get("state") == "confirmed"
        says = "is taken as done" if happened else "will be tried again"
        return f"{told.get('key')} {says}"
    if act == "backfill":
        codes = [one.get("code") for one in told.get("runs") or []]
        return f"{codes.count(0)} of {len(codes)} done"
    return f"{end.run}: {end.how}" if act == "replicate" else end.how


class Told:
    """Puts what came of an act (``?told=ID``) at the top of whatever page is shown then."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and b"told=" in scope["query_string"]:
            request = Request(scope)
            number = request.query_params.get("told", "")
            # The login is open to all; what people had done is not.
            known = request.state.signed_in or not self._site.access.token
            if known and number.isdecimal() and len(number) < 18:
                with suppress(StoreError):  # the page itself says what is wrong with the store
                    request.state.told = await trail.audit(self._site.journal, int(number))
        await self._app(scope, receive, send)
