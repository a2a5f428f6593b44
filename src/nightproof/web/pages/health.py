"""For probes and scrapers: ``/healthz`` and ``/metrics``."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from nightproof.views.documents import plain
from nightproof.web import health as numbers
from nightproof.web.site import site_of

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


async def health(request: Request) -> Response:
    """Whether the schedule is served; where there is a token, strangers hear only that."""
    site = site_of(request)
    status, document = 200, {"status": "ok"}
    if site.server is not None:
        status, document = numbers.health(site.server)
    if site.access.token and not request.state.signed_in:
        document = {"status": document["status"]}
    text = json.dumps(plain(document), ensure_ascii=False, indent=2) + "\n"
    return Response(text, status, media_type="application/json")


async def metrics(request: Request) -> Response:
    """The numbers of the server and of the store."""
    site = site_of(request)
    own = "" if site.server is None else numbers.metrics(site.server)
    site.scraper.looked, site.scraper.failures = None, 0
    if site.watcher is not None:
        site.scraper.looked, site.scraper.failures = site.watcher.looked, site.watcher.failures
    return PlainTextResponse(own + await site.scraper.metrics(site.journal), media_type=_PROMETHEUS)


routes = [Route("/healthz", health), Route("/metrics", metrics)]
