"""``nightproof serve``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from nightproof import app
from nightproof.cli import signals, targets
from nightproof.cli.session import Session, emit, note
from nightproof.config import Settings
from nightproof.errors import UsageError
from nightproof.journal.protocol import Journal
from nightproof.model import clock
from nightproof.observe import Watcher
from nightproof.serving import pages
from nightproof.serving.children import Ended
from nightproof.serving.http import Listener
from nightproof.serving.reading import Targets
from nightproof.serving.server import Server

LOOPBACK = "127.0.0.1"
KILL_AFTER_SECONDS = 5.0
"""How much longer than its grace a child may take to stop."""


def serve(session: Session, given: Sequence[str], port: int, once: bool, parallel: int) -> int:
    """Carry out the command; with `once` the exit code is that of the worst child."""
    if session.json and not once:
        raise UsageError("--json needs --once: a server has no one answer", "GET /healthz is JSON.")
    settings = session.settings()
    wanted = list(given or settings.serve)
    return asyncio.run(_serve(session, settings, wanted, port, once, parallel))


async def _serve(
    session: Session, settings: Settings, wanted: list[str], port: int, once: bool, parallel: int
) -> int:
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
    listener = Listener(
        {
            "/healthz": lambda: pages.health(server),
            "/metrics": lambda: pages.metrics(server, watcher.metrics),
        },
        say,
    )
    try:
        await app.boot(journal, "serve")
        await server.load()
        _heed_signals(server, source)
        _introduce(server)
        if once:
            ends = await server.once()
            await _drain(server, settings)
            return _told(session, ends, server.stopping)
        at = await listener.start(LOOPBACK, port)
        say(f"serving on http://{LOOPBACK}:{at}/healthz (pid {os.getpid()})")
        await server.serve()
        await _drain(server, settings)
        await server.rest()
        say("drained")
        return 0
    finally:
        listener.close()
        await journal.close()


def _introduce(server: Server) -> None:
    if not server.plans:
        note("no schedule is served: runs that crashed or wait are resumed all the same")
        note('  `nightproof serve jobs.py`, or serve = ["jobs.py"] in the settings, names targets')
    now = clock.now()
    for one in server.plans:
        coming = next(one.times.fires(now), None)
        server.say(f"{one.name}: {one.times}, next {coming.isoformat() if coming else 'never'}")


def _heed_signals(server: Server, source: Targets) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if server.stopping:
            note("nightproof: stopped at once; runs go on when something serves again")
            server.children.ask(signal.SIGKILL)
            sys.stderr.flush()
            os._exit(signals.TEMPFAIL)
        note("nightproof: draining: runs finish what is under way; once more to stop at once")
        server.stop()

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
    print(f"{clock.now().astimezone():%H:%M:%S}  {line}", flush=True)


def _to_stderr(line: str) -> None:
    note(f"{clock.now().astimezone():%H:%M:%S}  {line}")
