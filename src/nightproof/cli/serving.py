"""``nightproof serve``."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from nightproof import app
from nightproof.cli import signals, targets
from nightproof.cli.session import Session, emit, note
from nightproof.config import Settings
from nightproof.errors import UsageError
from nightproof.journal.protocol import Journal
from nightproof.model import clock
from nightproof.observe import Watcher
from nightproof.serving.children import Ended
from nightproof.serving.reading import Targets
from nightproof.serving.server import Server
from nightproof.views.legible import legible
from nightproof.web.security import tokens

if TYPE_CHECKING:
    from nightproof.web.dashboard import Dashboard

Place = tuple[str, int]
"""Host and port of the dashboard."""
_WEB = ("starlette", "jinja2", "uvicorn", "markdown_it")
KILL_AFTER_SECONDS = 5.0
"""How much longer than its grace a child may take to stop."""


def serve(session: Session, given: Sequence[str], at: Place, once: bool, parallel: int) -> int:
    """Carry out the command; with `once` the exit code is that of the worst child."""
    if session.json and not once:
        raise UsageError("--json needs --once: a server has no one answer", "GET /healthz is JSON.")
    settings = session.settings()
    wanted = list(given or settings.serve)
    return asyncio.run(_serve(session, settings, wanted, None if once else at, parallel))


async def _serve(
    session: Session, settings: Settings, wanted: list[str], at: Place | None, parallel: int
) -> int:
    """Without a place for the dashboard: only what is due now."""
    token = tokens.taken(os.environ)
    places = [targets.place_of(text) for text in wanted]
    files = [place for place in places if isinstance(place, Path)]
    source = Targets([targets.absolute(text) for text in wanted], files)
    journal = app.open_journal(settings)
    say = _to_stderr if session.json else _to_stdout
    watcher = Watcher(settings)

    async def watch(journal: Journal) -> None:
        for incident in await watcher(journal):
            say(str(incident).replace("\n", "\n          "))
        for problem in watcher.problems:
            say(problem)

    server = Server(
        journal, source, say, int(settings.lease * 1000), timedelta(seconds=settings.late),
        session.store, parallel, watch, watcher.interval,
    )  # fmt: skip
    dashboard = None
    try:
        await app.boot(journal, "serve")
        await server.load()
        dashboard = None if at is None else _dashboard(settings, say, server, token, watcher)
        _heed_signals(server, source, dashboard)
        _introduce(server)
        if at is None:
            ends = await server.once()
            await _drain(server, settings)
            return _told(session, ends, server.stopping)
        if dashboard is not None:
            dashboard.start(*at)
        say(
            f"serving{f' on {dashboard.url}' if dashboard and dashboard.url else ''} (pid {os.getpid()})"
        )
        if settings.public_url and dashboard is not None:
            say(f"the dashboard is for people at {settings.public_url}")
        await server.serve()
        await _drain(server, settings)
        await server.rest()
        say("drained")
        return 0
    finally:
        if dashboard is not None:
            await asyncio.to_thread(dashboard.stop)
        await journal.close()


def _dashboard(
    settings: Settings,
    say: Callable[[str], None],
    server: Server,
    token: str,
    watcher: Watcher,
) -> Dashboard | None:
    """The dashboard; None where its packages are missing."""
    if any(importlib.util.find_spec(name) is None for name in _WEB):
        say("no dashboard, /healthz or /metrics: they need `pip install 'nightproof[web]'`")
        return None
    from nightproof.web.dashboard import Dashboard  # heavy, and not everybody has it

    return Dashboard(settings, say, server, token, watcher)


def _introduce(server: Server) -> None:
    if not server.plans:
        note("no schedule is served: runs that crashed or wait are resumed all the same")
        note('  `nightproof serve jobs.py`, or serve = ["jobs.py"] in the settings, names targets')
    now = clock.now()
    for one in server.plans:
        coming = next(one.times.fires(now), None)
        server.say(f"{one.name}: {one.times}, next {coming.isoformat() if coming else 'never'}")


def _heed_signals(server: Server, source: Targets, dashboard: Dashboard | None) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if server.stopping:
            note("nightproof: stopped at once; runs go on when something serves again")
            server.children.ask(signal.SIGKILL)
            if dashboard is not None:
                dashboard.kill()
            sys.stderr.flush()
            os._exit(signals.TEMPFAIL)
        server.stop()  # first: who reads the line may ask /healthz, which another thread answers
        note("nightproof: draining: runs finish what is under way; once more to stop at once")
        if dashboard is not None:
            dashboard.drain()

    def reload() -> None:
        source.again = True
        server.wake.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)


async def _drain(server: Server, settings: Settings) -> None:
    await server.children.drain(settings.grace + KILL_AFTER_SECONDS)


def _told(session: Session, ends: Sequence[Ended], stopped: bool) -> int:
    if session.json:
        emit({"ended": [_document(one) for one in ends]})
    codes = {one.code for one in ends} | ({signals.TEMPFAIL} if stopped else set())
    return next(
        (code for code in (1, 2, signals.TEMPFAIL) if code in codes), int(min(codes, default=0) < 0)
    )


def _document(end: Ended) -> dict[str, Any]:
    return {"work": end.key, "code": end.code, "seconds": round(end.seconds, 3), **end.document}


def _to_stdout(line: str) -> None:
    _say(line, sys.stdout)


def _to_stderr(line: str) -> None:
    _say(line, sys.stderr)


def _say(line: str, to: TextIO) -> None:
    """Jobs write what they like: a log keeps it, a terminal does not obey it."""
    line = legible(line) if to.isatty() else line
    print(f"{clock.now().astimezone():%H:%M:%S}  {line}", file=to, flush=True)
