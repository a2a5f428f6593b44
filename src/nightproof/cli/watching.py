"""``nightproof watch``: follow a run through its journal, from any process."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field

from nightproof import views
from nightproof.cli.outcome import exit_code
from nightproof.cli.reading import opened, told
from nightproof.cli.session import Session, emit, note, terminal
from nightproof.cli.table import local, out, painted
from nightproof.errors import Interrupted, NightproofError, RunFailed, RunParked
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.model import clock
from nightproof.views.documents import plain

GRACE_SECONDS = 1.0
"""A run without an owner gets so long to be taken over before the watch ends."""

ASK_SECONDS = 20.0
"""How often Temporal is asked whether it still has the run."""


@dataclass
class Counted:
    """One step's counters, as bars want them."""

    total: int | None
    done: int
    replayed: int = 0
    retries: int = 0


@dataclass
class State:
    """What the bars show."""

    steps: dict[str, Counted] = field(default_factory=dict)
    waiting: dict[int, str] = field(default_factory=dict)
    over: bool = False


def watch(session: Session, name: str, interval: float) -> int:
    """Follow the run; exit 0 completed, 1 failed or cancelled, 75 left or parked."""
    try:
        summary = asyncio.run(_watch(session, name, interval))
    except KeyboardInterrupt:
        return 130
    if session.json:
        emit(plain(summary))
    else:
        out("\n".join(told(summary)))
    return exit_code(_error(summary.run))


def _error(run: views.RunView) -> NightproofError | None:
    status = views.word(run)
    if status == "completed":
        return None
    if status == "interrupted":
        return Interrupted("")
    return RunParked("") if status == "parked" else RunFailed("")


async def _watch(session: Session, name: str, interval: float) -> views.RunSummary:
    reader = opened(session)
    row = await views.open_run(reader, name)
    state = State()
    bars = None
    if terminal(sys.stderr) and not session.json:
        from nightproof.cli import progress  # rich, for a terminal only

        bars = asyncio.ensure_future(progress.follow(state, row.name, lambda: state.over))
    first = await views.counts(reader, row)
    before = {step.step: step.done for step in first}
    printed = 0
    quiet_since: float | None = None
    asked = clock.monotonic()
    while True:
        row = await views.open_run(reader, row.name)
        distant = row.owner is not None and row.owner.is_workflow
        if distant and clock.monotonic() - asked > ASK_SECONDS:
            from nightproof.cli import poking  # for runs that Temporal has

            await poking.free_if_lost(session.settings(), row)
            asked = clock.monotonic()
        if bars is not None:
            await count(reader, row, state, before)
        elif not session.json:
            printed = await _print_new(reader, row, printed)
        shown = views.view(row)
        if shown.alive:
            quiet_since = None
        else:
            quiet_since = quiet_since if quiet_since is not None else clock.monotonic()
            left = row.status == "running" and clock.monotonic() - quiet_since < GRACE_SECONDS
            if not left:
                break
        await clock.sleep(interval)
    state.over = True
    if bars is not None:
        await bars
    if views.word(shown) == "interrupted":
        note(f"nobody works on {row.name} any more")
    return await views.summary(reader, row)


async def count(reader: Reader, row: RunRow, state: State, before: dict[str, int]) -> None:
    """Bring `state` up to date; `before` is what each step had done when the display began."""
    for one in await views.counts(reader, row):
        done = one.done + one.failed
        state.steps[one.step] = Counted(one.total, done, min(done, before.get(one.step, 0)))
    state.waiting = {0: row.waiting} if row.waiting else {}


async def _print_new(reader: Reader, row: RunRow, printed: int) -> int:
    lines = await views.timeline(reader, row)
    for line in lines[printed:]:
        out(f"{local(line.at)}  {painted(line.kind)}  {line.text}", flush=True)
    return max(printed, len(lines))
