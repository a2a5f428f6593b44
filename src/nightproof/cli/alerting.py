"""``nightproof alerts …`` and ``nightproof metrics``."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from nightproof import app
from nightproof.cli.session import Session, complain, emit, note
from nightproof.cli.table import local, out, painted, rows
from nightproof.errors import ConfigError, NightproofError, UsageError
from nightproof.model import clock
from nightproof.observe import Incident, Watcher, rules, sinks
from nightproof.observe.textfile import write
from nightproof.views.documents import plain

_EXAMPLE = 'Write [tool.nightproof.alerts] and below it slack = "env:SLACK_WEBHOOK_URL".'


def show(session: Session, days: int) -> int:
    """The incidents that last, and those of the last days; exit 1 where one lasts."""
    reader = app.open_reader(session.settings())
    since = clock.now_ms() - days * 86_400_000
    found = [Incident.of(row) for row in asyncio.run(reader.incidents(since))]
    if session.json:
        emit(plain({"incidents": [one.document() for one in found]}))
    elif not found:
        note("nothing is wrong, as far as a watcher has looked")
    else:
        body = [
            [painted("problem", "open") if one.cleared is None else "over",
             local(one.opened.isoformat()), one.kind, one.job or "-", one.note]
            for one in found
        ]  # fmt: skip
        out("\n".join(rows(["", "since", "kind", "job", "what"], body)))
    return int(any(one.cleared is None for one in found))


def check(session: Session) -> int:
    """Look once and tell what is new, for those who do not serve; exit 1 where a sink failed."""
    settings = session.settings()
    watcher = Watcher(settings)
    app.require_journal(settings)

    async def look() -> list[Incident]:
        journal = app.open_journal(settings)
        try:
            return await watcher(journal)
        finally:
            await journal.close()

    told = asyncio.run(look())
    if session.json:
        emit(plain({"told": [one.document() for one in told], "problems": watcher.problems}))
    else:
        for one in told:
            out(str(one))
    for problem in watcher.problems:
        complain(NightproofError(problem))
    return int(bool(watcher.problems))


def test(session: Session) -> int:
    """Send every sink two messages that say they are a test; exit 1 where one failed."""
    found = sinks.configured(session.settings().alerts)
    if not found:
        raise ConfigError("no alert sink is configured", _EXAMPLE)
    now = clock.now()
    opened = Incident(
        "test", "test", "nightproof", "", now - timedelta(seconds=30), None,
        "this is a test of the alerts; nothing is wrong",
    )  # fmt: skip
    results: list[dict[str, Any]] = []
    for sink in found:
        error = ""
        try:
            sink.send([opened], f"nightproof: {opened.note}")
        except NightproofError as problem:
            error = problem.message
        results.append({"sink": sink.name, "ok": not error, "error": error or None})
        if not session.json:
            shown = painted("ok") if not error else painted("problem", "failed")
            out(f"{sink.name}  {shown}" + (f"  {error}" if error else ""))
    if session.json:
        emit(plain({"sinks": results}))
    return int(not all(one["ok"] for one in results))


def metrics(session: Session, textfile: Path | None) -> int:
    """The store's metrics on stdout, or as a textfile for node_exporter."""
    settings = session.settings()
    reader = app.open_reader(settings)
    text = asyncio.run(Watcher(settings, []).metrics(reader))
    if textfile is None:
        out(text, end="")
    else:
        write(textfile, text)
    return 0


def shipped(output: Path | None) -> int:
    """The alert rules for Prometheus that belong to the metrics."""
    text = rules()
    if output is None:
        out(text, end="")
        return 0
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from None
    return 0
