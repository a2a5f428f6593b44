"""``/live``: tells open pages by server-sent events that the journal has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from nightproof.model import clock
from nightproof.web.live import MOST_LISTENERS, Listener, Live
from nightproof.web.problems import problem
from nightproof.web.site import site_of

BEAT_SECONDS = 15.0
RETRY_MS = 2000
BEAT = ": still here\n\n"


async def live(request: Request) -> Response:
    """Events named ``changed``: fetch the page again.

    ``run=R`` asks only for what concerns a run. Whoever says what it has seen (``since``: the
    state that its page was made at, ``last`` or Last-Event-ID: the last event) hears at once
    unless nothing has changed since.
    """
    site = site_of(request)
    if site.live.full:
        told = f"{MOST_LISTENERS} pages are open already"
        return problem(request, 503, told, retry_after="30")
    if request.method == "HEAD":
        return Response(media_type="text/event-stream")
    query = request.query_params
    seen = request.headers.get("last-event-id") or query.get("last") or query.get("since", "")
    session = request.state.session
    news = _news(
        site.live, query.get("run", ""), seen,
        lambda: session.signed_in and site.access.over(session),
    )  # fmt: skip
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(news, headers=headers, media_type="text/event-stream")


async def _news(live: Live, run: str, seen: str, over: Callable[[], bool]) -> AsyncIterator[str]:
    with live.listening(run) as listener:
        yield f"retry: {RETRY_MS}\n\n"
        # In this order: a change between the two is noticed by the second.
        mark = await live.mark(listener)
        await live.look()
        if live.current(listener, seen, mark):
            listener.seen = mark
        else:
            listener.news.set()
        while not live.closed:
            told = await _next(live, listener)
            if over():
                yield _changed("over")  # the page asks again, and is led to the login
                return
            yield told
            if told is not BEAT:
                await clock.sleep(live.pause)


async def _next(live: Live, listener: Listener) -> str:
    """The next event, or a comment that shows that the line is alive."""
    try:
        async with asyncio.timeout(BEAT_SECONDS):
            while not live.closed:
                await listener.news.wait()
                listener.news.clear()
                mark = await live.mark(listener)
                if mark != listener.seen:
                    listener.seen = mark
                    return _changed(mark)
    except TimeoutError:
        pass
    return BEAT


def _changed(mark: str) -> str:
    return f"event: changed\nid: {mark}\ndata: {{}}\n\n"


routes = [Route("/live", live)]
