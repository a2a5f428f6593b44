"""``nightproof schedule backfill``: the nights of a range, a few at a time."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

from nightproof import app
from nightproof.cli import recording, scheduling, signals, targets
from nightproof.cli.scheduling import Declared
from nightproof.cli.session import Session, emit, note
from nightproof.errors import UsageError
from nightproof.journal.protocol import Journal
from nightproof.model import clock
from nightproof.serving.children import Children, Ended, How
from nightproof.views.documents import plain
from nightproof.views.schedules import EARLIEST

T = TypeVar("T")
_MOST = 10_000
_DAY = timedelta(days=1)


def backfill(
    session: Session, text: str, first: str, last: str, name: str | None, parallel: int,
    dry_run: bool,
) -> int:  # fmt: skip
    """Run every time from day `first` to day `last` (local, both included) that has not run.

    What failed is tried again; what completed stays as it is. The exit code is that of
    the worst run.
    """
    one = scheduling.pick(text, name)
    fires = _fires(one, _day(first, "--from"), _day(last, "--to"))
    if dry_run:
        if session.json:
            emit({"schedule": one.plan.name, "fires": [each.isoformat() for each in fires]})
        else:
            print("\n".join(each.isoformat() for each in fires))
        return 0
    target = targets.absolute(text)
    words = ["--from", first, "--to", last, f"--name={one.plan.name}", *recording.dashed(target)]
    number = asyncio.run(_noted(session, lambda journal: recording.begin(
        journal, "backfill", "", "schedule", "backfill", *words
    )))  # fmt: skip
    ends, stopped = asyncio.run(_each(session, target, one, fires, parallel))
    if session.json:
        emit(plain({"schedule": one.plan.name, "runs": [_document(end) for end in ends]}))
    failed = [end for end in ends if end.code != 0]
    left = len(fires) - len(ends)
    told = f"{len(ends) - len(failed)} of {len(fires)} done"
    told += f", {left} not begun" if left else ""
    note(told)
    codes = {end.code if end.code >= 0 else 1 for end in failed}
    codes |= {signals.TEMPFAIL} if stopped else set()
    code = next((code for code in (1, 2, signals.TEMPFAIL) if code in codes), 0)
    asyncio.run(_noted(session, lambda journal: recording.finish(journal, number, code, told)))
    return code


async def _noted(session: Session, write: Callable[[Journal], Awaitable[T]]) -> T:
    journal = app.open_journal(session.settings())
    try:
        return await write(journal)
    finally:
        await journal.close()


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text} is not a date", "For example 2026-10-15.") from None


def _fires(one: Declared, first: date, last: date) -> list[datetime]:
    if last < first:
        raise UsageError(f"--to {last} is before --from {first}")
    now = clock.now()
    start = datetime.combine(max(first, EARLIEST), time(), UTC) - 2 * _DAY
    end = min(datetime.combine(min(last, now.date()), time(), UTC) + 2 * _DAY, now)
    found: list[datetime] = []
    for moment in one.plan.times.fires(start, end):
        if first <= moment.date() <= last:
            found.append(moment)
        if len(found) > _MOST:
            raise UsageError(f"these are more than {_MOST} times", "Choose a shorter range.")
    if not found:
        raise UsageError(
            f"{one.plan.name} ({one.plan.times}) was not due from {first} to {last}",
            "Times that are yet to come are not run.",
        )
    return found


async def _each(
    session: Session, target: str, one: Declared, fires: Sequence[datetime], parallel: int
) -> tuple[list[Ended], bool]:
    ends: list[Ended] = []
    stop = asyncio.Event()

    def ended(end: Ended) -> None:
        ends.append(end)
        run = f"  {end.run}" if end.run else ""
        (note if session.json else print)(f"{end.key}{run}  {end.how}")

    children = Children(note, ended)

    def ask() -> None:
        if stop.is_set():
            children.ask(signal.SIGKILL)
        stop.set()
        children.ask()
        children.changed.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask)
    for fire in fires:
        while len(children) >= parallel and not stop.is_set():
            await children.wait()
        if stop.is_set():
            break
        words = ["schedule", "fire", target, fire.isoformat(), "--name", one.plan.name, "--again"]
        # Not as an option: everybody can read those, and a URL may hold a password.
        how = How(environ={"NIGHTPROOF_STORE": session.store} if session.store else {})
        children.start(fire.isoformat(), fire.date().isoformat(), [*words, "--json"], how)
    while len(children):
        await children.wait()
    return sorted(ends), stop.is_set()


def _document(end: Ended) -> dict[str, Any]:
    return {"fire": end.key, "code": end.code, **end.document}
