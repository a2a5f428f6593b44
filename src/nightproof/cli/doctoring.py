"""``nightproof doctor``: is the store healthy, and what to do where it is not."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nightproof import app
from nightproof.cli import store_check
from nightproof.cli.session import Session, emit
from nightproof.cli.table import out, painted, rows
from nightproof.config import Settings, redacted
from nightproof.errors import ConfigError, NightproofError, NotFound
from nightproof.journal.lease import Possession, possession
from nightproof.journal.protocol import Journal
from nightproof.journal.records import RunFilter
from nightproof.model import clock, identity
from nightproof.model.states import EffectState, RunStatus
from nightproof.views.documents import plain

LOW_BYTES = 200 * 1024 * 1024
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `state` is "ok", "look" or "problem"."""

    what: str
    state: str
    text: str


def doctor(session: Session, engine_url: str | None = None) -> int:
    """Examine everything; exit 1 where there is a problem."""
    settings = session.settings().override(temporal=engine_url)
    found: list[Finding] = []
    there = False
    try:
        found.append(Finding("versions", "ok", _versions(settings)))
        app.require_journal(settings)
        found.extend(Finding(*each) for each in store_check.server(settings))
        found += asyncio.run(_store(settings))
        there = True
    except NotFound as error:
        found.append(Finding("journal", "look", f"{error.message}: {error.hint}"))
    except NightproofError as error:
        found.append(Finding("journal", "problem", store_check.in_one_line(error)))
    with suppress(ConfigError):  # of the store's URL, which was said
        if there or app.blobs_folder(settings) is None:
            found += [Finding(*each) for each in store_check.blobs(settings)]
        found += [Finding(*each) for each in store_check.copies(settings)]
        found += _disk(settings)
    found += _engine(settings, engine_url)
    healthy = all(one.state != "problem" for one in found)
    if session.json:
        lines = [{"what": one.what, "state": one.state, "text": one.text} for one in found]
        emit(plain({"healthy": healthy, "store": redacted(settings.store), "findings": lines}))
    else:
        for one in found:
            out(f"{painted(one.state, one.state.ljust(8))} {one.what.ljust(9)} {one.text}")
    return 0 if healthy else 1


def _engine(settings: Settings, url: str | None) -> list[Finding]:
    from nightproof.cli import engine_check  # for those who use it

    if not engine_check.wanted(settings, url):
        return []
    return [Finding(*one) for one in engine_check.examine(settings)]


def _versions(settings: Settings) -> str:
    return (
        f"Python {platform.python_version()}, {app.store_versions(settings.store)}, "
        f"{platform.system()} {platform.release()}"
    )


async def _store(settings: Settings) -> list[Finding]:
    journal = app.open_journal(settings)
    try:
        found = [_sync(settings)]
        wrong = await journal.check()
        if wrong:
            first = " ".join(wrong[0].split())
            text = f"{len(wrong)} faults, the first: {first}. Run `nightproof doctor --salvage NEW.db`."
            found.append(Finding("journal", "problem", text))
            return found
        found.append(Finding("journal", "ok", f"{redacted(settings.store)} is whole"))
        found += [one async for one in _owners(journal, settings)]
        found += [one async for one in _doubts(journal)]
        return found
    finally:
        await journal.close()


def _sync(settings: Settings) -> Finding:
    if settings.durability == "full":
        return Finding("sync", "ok", "full: a checkpoint survives power loss")
    return Finding("sync", "look", 'normal: power loss may cost the newest; "full" keeps them')


async def _owners(journal: Journal, settings: Settings) -> AsyncIterator[Finding]:
    now, lease = clock.now_ms(), int(settings.lease * 1000)
    live = left = 0
    for row in await journal.runs(RunFilter(status=(RunStatus.RUNNING,), limit=-1)):
        state = possession(row, now, lease)
        if state is Possession.LIVE:
            live += 1
            yield Finding(
                "owner", "ok", f"{row.name} runs on {row.owner.label if row.owner else '?'}"
            )
        elif state is Possession.DOUBTFUL:
            text = f"{row.name}: its owner lives but its lease is out; is the process stopped?"
            yield Finding("owner", "look", text)
        elif row.parent is None:
            left += 1
            text = f"{row.name} was left by its process: nightproof resume {row.name}"
            yield Finding("owner", "look", text)
    if not live and not left:
        yield Finding("owners", "ok", "nothing is running, nothing was left behind")
    for row in await journal.due(now):
        if row.status is RunStatus.PARKED:
            text = f"{row.name} is due since it parked: nightproof resume {row.name}"
            yield Finding("parked", "look", text)


async def _doubts(journal: Journal) -> AsyncIterator[Finding]:
    for effect in await journal.effects():
        if effect.state is EffectState.FAILED:
            text = f"'{effect.key}': nightproof resolve {effect.run_name} '{effect.key}' …"
            yield Finding("effect", "look", f"outcome unknown: {text}")
    since = clock.now_ms() - 7 * DAY_MS
    lost = [
        boot
        for boot in await journal.boots(200, idle=True)
        if boot.stage == "boot" and boot.at >= since and identity.is_dead(boot.process)
    ]
    if not lost:
        yield Finding("boots", "ok", "every process of the last 7 days got to its run, or said why")
    for boot in lost[:10]:
        when = clock.from_ms(boot.at).isoformat(timespec="seconds")
        text = f"{when} pid {boot.process.pid} died before its run began: {boot.command}"
        yield Finding("boot", "look", text)


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = app.places(settings.store).folder
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GiB free in {folder}"
    if free < LOW_BYTES:
        yield Finding("disk", "problem", f"{text}: free some, or `nightproof gc`")
    else:
        yield Finding("disk", "ok", text)
    if not os.access(folder, os.W_OK):
        yield Finding("disk", "problem", f"{folder} may not be written by this user")


def salvage(session: Session, new: Path) -> int:
    """Copy what can be read; exit 1 where something was lost."""
    settings = session.settings()
    found = app.salvage(settings, new)
    if session.json:
        emit(plain({"new": str(new), "copied": found.copied, "lost": found.lost}))
    else:
        out("\n".join(rows(["TABLE", "ROWS"], [[k, str(v)] for k, v in found.copied.items()])))
        for line in found.lost[:50]:
            out(f"{painted('problem', 'lost')}  {line}")
        if len(found.lost) > 50:
            out(f"… and {len(found.lost) - 50} more: --json shows them")
        out(f"wrote {new}. Put it in the place of the damaged journal; what was lost runs again.")
    return 1 if found.lost else 0
