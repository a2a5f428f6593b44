"""``nightproof schedule``: when jobs are due, and what runs for a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from nightproof import app
from nightproof.cli import targets
from nightproof.cli.session import Session, emit
from nightproof.cli.table import out, painted, rows
from nightproof.cli.targets import Target
from nightproof.durable.schedule import Schedule
from nightproof.errors import NotFound, UsageError
from nightproof.journal.protocol import Reader
from nightproof.model import clock
from nightproof.serving.plan import Planned, plan
from nightproof.views.documents import plain

_LOOK_BACK = timedelta(days=40)


class Declared(NamedTuple):
    """A schedule as a target declares it."""

    target: Target
    schedule: Schedule[Any]
    plan: Planned


class Last(NamedTuple):
    """What ran last for a schedule."""

    fire: datetime
    run: str
    status: str


def declared(texts: Sequence[str]) -> list[Declared]:
    """Every schedule that the targets declare, checked. Raises UsageError where there is none."""
    found: list[Declared] = []
    for text in texts:
        here = [
            Declared(target, schedule, plan(schedule, target.text))
            for target in targets.every(text)
            for schedule in target.job.schedules
        ]
        if not here:
            raise UsageError(
                f"{text} schedules nothing",
                'Decorate a function with @job.nightly("04:30", tz="Europe/Berlin"). '
                "`nightproof serve` without a target has the dashboard all the same.",
            )
        for one in here:
            one.schedule.times.check()
        found += [one for one in here if one.plan not in [other.plan for other in found]]
    names = [one.plan.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"two jobs have the schedule {name}",
                "Jobs of one store need different names: @job(name=...).",
            )
    return found


def show(
    session: Session, texts: Sequence[str], count: int, deployed: bool | None = None,
    url: str | None = None,
) -> int:  # fmt: skip
    """Show when each schedule is due next, and what ran last.

    With `deployed` also whether Temporal has it; None: where an engine `url` is given, or
    Temporal is the engine.
    """
    settings = session.settings().override(temporal=url)
    wanted = list(texts or settings.serve)
    if not wanted:
        raise UsageError(
            "no target was given", 'Name one, or write serve = ["jobs.py"] into the settings.'
        )
    found = declared(wanted)
    now = clock.now()
    lasts: dict[str, Last] = {}
    try:
        reader = app.open_reader(settings)
    except NotFound:
        pass  # nothing has run yet
    else:
        lasts = asyncio.run(_lasts(reader, [one.plan.name for one in found]))
    there: dict[str, dict[str, Any]] | None = None
    if deployed or (deployed is None and (url is not None or settings.engine == "temporal")):
        from nightproof.cli import deployed as asking  # for those on Temporal

        there = asking.shown(settings)
    if session.json:
        documents = [_document(one.plan, lasts.get(one.plan.name), now, count) for one in found]
        if there is not None:
            documents = [{**one, "deployed": there.get(one["schedule"])} for one in documents]
        emit(plain({"schedules": documents}))
        return 0
    _print(found, lasts, there, now, count)
    return 0


def _print(
    found: Sequence[Declared], lasts: dict[str, Last], there: dict[str, dict[str, Any]] | None,
    now: datetime, count: int,
) -> None:  # fmt: skip
    body = []
    for one in found:
        coming = [_shown(moment) for moment in islice(one.plan.times.fires(now), count)]
        last = lasts.get(one.plan.name)
        told = "-"
        if last is not None:
            at = last.fire.astimezone(one.plan.times.place)
            told = f"{_shown(at)}  {painted(last.status)}  {last.run}"
        body.append([one.plan.name, str(one.plan.times), coming[0] if coming else "never", told])
        body += [["", "", moment, ""] for moment in coming[1:]]
    head = ["SCHEDULE", "WHEN", "NEXT", "LAST"]
    if there is not None:
        head.insert(2, "TEMPORAL")
        for line in body:
            line.insert(2, _there(there.get(line[0])) if line[0] else "")
    out("\n".join(rows(head, body)))


def _there(known: dict[str, Any] | None) -> str:
    if known is None:
        return "not deployed"
    return "paused" if known["paused"] else "deployed"


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M %z}"


def _document(one: Planned, last: Last | None, now: datetime, count: int) -> dict[str, Any]:
    told = None
    if last is not None:
        told = {"fire": last.fire.isoformat(), "run": last.run, "status": last.status}
    coming = [moment.isoformat() for moment in islice(one.times.fires(now), count)]
    return {**one.document(), "next": coming, "last": told}


async def _lasts(reader: Reader, names: Sequence[str]) -> dict[str, Last]:
    now = clock.now_ms()
    found = {}
    for name in names:
        fires = await reader.fires(name, now - int(_LOOK_BACK.total_seconds() * 1000), now)
        for row in fires[-1:]:
            run = await reader.find(row.run)
            status = "collected" if row.contract is None else "fixed"
            if run is not None and run.name == row.run:
                status = str(run.status)
            found[name] = Last(clock.from_ms(row.at), row.run, status)
    return found


def pick(text: str, name: str | None) -> Declared:
    """The schedule of a target, by its name where there are several. Raises UsageError."""
    found = declared([text])
    if name is not None:
        named = [one for one in found if name in (one.plan.name, one.plan.name.partition("/")[2])]
        if not named:
            known = ", ".join(one.plan.name for one in found)
            raise UsageError(f"{text} has no schedule {name}", f"It has {known}.")
        found = named
    if len(found) > 1:
        names = ", ".join(one.plan.name for one in found)
        raise UsageError(f"{text} has several schedules: {names}", "Give one with --name.")
    return found[0]


def moment(text: str, one: Declared) -> datetime:
    """A time that the schedule is due at. Raises UsageError for any other."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise UsageError(f"{text} is not a time with an offset", "Like 2026-11-22T04:30+09:00.")
    before = found.astimezone(UTC) - timedelta(seconds=1)
    for due in one.plan.times.fires(before, found.astimezone(UTC)):
        return due
    raise UsageError(
        f"{one.plan.name} ({one.plan.times}) is not due at {text}",
        "`nightproof schedule show` lists the next times.",
    )
