"""``nightproof schedule deploy``: declared schedules as Temporal Schedules."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from nightproof import app
from nightproof.cli import dispatching
from nightproof.cli.scheduling import Declared, declared
from nightproof.cli.session import Session, emit, note
from nightproof.config import Settings
from nightproof.errors import UsageError

if TYPE_CHECKING:
    from nightproof.engines.temporal.schedules import Change, Wanted

_SIGNS = {"create": "+", "update": "~", "remove": "-", "keep": "="}


def deploy(
    session: Session, texts: Sequence[str], url: str | None, prune: bool, dry_run: bool
) -> int:
    """Make Temporal's schedules those that the targets declare, and say what has changed."""
    app.require_temporal()
    settings = session.settings().override(temporal=url)
    wanted = list(texts or settings.serve)
    if not wanted and not prune:
        raise UsageError(
            "no target was given", 'Name one, or write serve = ["jobs.py"] into the settings.'
        )
    found = declared(wanted)
    changes = asyncio.run(_deploy(settings, found, prune, dry_run))
    if session.json:
        emit({"dryRun": dry_run, "schedules": [_document(one) for one in changes]})
        return 0
    for one in changes:
        told = one.after or one.before
        if one.what == "update" and one.before != one.after:
            told = f"{one.before}  ->  {one.after}"
        elif one.what == "update":
            told = f"{told}  (its times were edited on the server)"
        print(f"{_SIGNS[one.what]} {one.name}  {told}")
    counts = [
        f"{sum(one.what == what for one in changes)} {word}"
        for what, word in (
            ("create", "created"), ("update", "updated"), ("remove", "removed"), ("keep", "as it was"),
        )
        if any(one.what == what for one in changes)
    ]  # fmt: skip
    print(f"{', '.join(counts) or 'nothing'}{': nothing was done yet' if dry_run else ''}")
    return 0


async def _deploy(
    settings: Settings, found: Sequence[Declared], prune: bool, dry_run: bool
) -> list[Change]:
    from nightproof.engines.temporal import schedules
    from nightproof.engines.temporal.connection import connect

    connection = await connect(settings, app.open_blobs(settings))
    late = timedelta(seconds=settings.late)
    wanted = [wanted_of(one, late) for one in found]
    changes = await schedules.deploy(connection, wanted, prune=prune, dry_run=dry_run)
    if not dry_run and found:
        journal = app.open_journal(settings)
        try:
            for one in found:
                await dispatching.keep(journal, one.plan)
        finally:
            await journal.close()
    if found and not await connection.pollers():
        queue = connection.address.task_queue
        note(f"nobody works on task queue '{queue}': nights wait until a worker is started with")
        note("  nightproof worker " + " ".join(sorted({_file(one.plan.target) for one in found})))
    return changes


def wanted_of(one: Declared, late: timedelta) -> Wanted:
    """A declared schedule as the engine wants it."""
    from nightproof.engines.temporal.schedules import Wanted

    plan = one.plan
    return Wanted(plan.name, plan.target, plan.times, plan.missed, plan.catch_up, late)


def _file(target: str) -> str:
    return target.rpartition(":")[0] or target


def _document(one: Change) -> dict[str, Any]:
    return {"schedule": one.name, "change": one.what, "before": one.before, "after": one.after}
