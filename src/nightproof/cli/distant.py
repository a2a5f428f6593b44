"""``nightproof run --engine temporal``: start a run's workflow, follow it, say how it ended."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightproof import app, views
from nightproof.cli.session import note, terminal
from nightproof.cli.targets import Target
from nightproof.cli.watching import State, count
from nightproof.config import Settings, redacted
from nightproof.contract import checking
from nightproof.contract.base import Contract
from nightproof.engines.attempt import Options, Outcome, closing
from nightproof.errors import (
    AlreadyRunning,
    BlobError,
    EffectHeld,
    EngineError,
    Interrupted,
    NightproofError,
    RunCancelled,
    RunParked,
    StoreError,
    UsageError,
)
from nightproof.journal.lease import Possession, possession
from nightproof.journal.protocol import Journal
from nightproof.journal.records import RunRow, run_name
from nightproof.model import clock
from nightproof.model.states import RunStatus

if TYPE_CHECKING:
    from nightproof.engines.temporal.client import Begun
    from nightproof.engines.temporal.connection import Connection

LOOK_SECONDS = 0.25
"""How often to look into the journal."""
UNHEARD_SECONDS = 3.0
"""A run that no worker has begun for so long: is there one?"""
AGAIN_SECONDS = 60.0
TROUBLE_SECONDS = 5.0
"""How often to ask whether workers get anywhere."""
BACK_SECONDS = 1.0
"""How often to ask for a server that is away."""
HEEDED_SECONDS = 3.0
"""So long a parked workflow may take to look whether it can go on."""


def warn(settings: Settings) -> None:
    """Say what workers on other machines could not reach; refuse a journal that nobody could."""
    where = app.places(settings.store)
    if not where.server and where.file is None:
        raise UsageError(
            "--engine temporal needs a journal that workers can open, and this one is in memory",
            "Give --store postgresql://… (or sqlite:///… where the workers are on this machine).",
        )
    if not where.server:
        note(f"nightproof: workers have to be on this machine: the journal is {settings.store}")
    elif app.blobs_folder(settings) is not None:
        note(
            "nightproof: workers have to be on this machine: blobs are in a folder "
            f"({redacted(settings.blobs) or 'the default'})"
        )


async def attempt(
    journal: Journal, settings: Settings, target: Target, contract: Contract, replicate: int,
    options: Options,
) -> Outcome:  # fmt: skip
    """Run or resume on Temporal, and follow it to its end.

    Raises AlreadyRunning where the run is at work, here or there, EngineError where the
    server cannot be reached or has lost the run.
    """
    from nightproof.engines.temporal import client, starting
    from nightproof.engines.temporal.connection import connect

    job = target.job
    checking.ensure_clean(contract)
    blobs, root = app.open_blobs(settings), app.artifacts_root(settings)
    connection: Connection | None = None
    number = replicate if replicate >= 0 else 1
    while True:
        name = run_name(job.name, contract.digest, number)
        before = await _exactly(journal, name)
        if replicate < 0 and before is not None:
            number += 1
            continue
        if before is not None and before.status is RunStatus.COMPLETED:
            # A result that was lost is worked out again, files that are elsewhere are got.
            with suppress(BlobError):
                known = await closing.recorded(journal, blobs, job, before, options)
                if all(Path(one["path"]).is_file() for one in known.artifacts):
                    return known
        _refuse_where_it_runs(before, settings)
        if connection is None:
            connection = await connect(settings, blobs, journal.refer)
        begun = await client.start(
            connection,
            starting.request(
                job, contract, replicate=number, options=options, target=target.text,
                attributes=connection.attributes,
            ),
        )  # fmt: skip
        if not begun.joined:
            follower = Follower(journal, connection, name, target)
            answer = await follower.follow(begun, before)
            if isinstance(answer, Outcome):
                return answer
            return await client.outcome(answer, name, job, blobs, root)
        if replicate >= 0:
            return await joined(journal, connection, name, target)
        number += 1


async def joined(journal: Journal, connection: Connection, name: str, target: Target) -> Outcome:
    """The answer where the run's workflow is there already: parked, or at work."""
    from nightproof.engines.temporal import control

    row = await _exactly(journal, name)
    await control.poke(connection, name)
    follower = Follower(journal, connection, name, target)
    until = clock.monotonic() + HEEDED_SECONDS
    while row is not None and row.status is RunStatus.PARKED and clock.monotonic() < until:
        await clock.sleep(LOOK_SECONDS)  # it looks into the journal, and may go on
        if (parked := await follower.parked()) is not None:
            return parked
    await follower.look_for_workers()
    raise AlreadyRunning(
        f"run {name} is already running on {control.label(name)}",
        f"Follow it with `nightproof watch {name}`; the workers carry it on.",
        run=name,
    )


async def _exactly(journal: Journal, name: str) -> RunRow | None:
    row = await journal.find(name)
    return row if row is not None and row.name == name else None


def _refuse_where_it_runs(row: RunRow | None, settings: Settings) -> None:
    """Raise AlreadyRunning for a run that a process works on."""
    if row is None or row.owner is None or row.owner.is_workflow:
        return
    if possession(row, clock.now_ms(), int(settings.lease * 1000)) is Possession.LIVE:
        raise AlreadyRunning(
            f"run {row.name} is already running on {row.owner.label}",
            f"Follow it with `nightproof watch {row.name}`; Temporal can take it over when that "
            "process is dead.",
            run=row.name,
        )


class Follower:
    """Watches one run on Temporal through its journal."""

    def __init__(self, journal: Journal, connection: Connection, name: str, target: Target) -> None:
        self._journal = journal
        self._connection = connection
        self._name = name
        self._target = target
        self._told_at: float | None = None
        self._asked_at = clock.monotonic()
        self._remarks: set[str] = set()

    async def follow(self, begun: Begun, before: RunRow | None) -> Any:
        """What the workflow answers; an Outcome where it parks, or where we are to leave."""
        from nightproof.engines.temporal import client

        leave = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, leave.set)
        answer = asyncio.ensure_future(self._answer(client.result, begun))
        leaving = asyncio.ensure_future(leave.wait())
        bars = asyncio.ensure_future(self._bars(before))
        since, token = clock.monotonic(), before.token if before is not None else 0
        try:
            while True:
                await asyncio.wait(
                    (answer, leaving), timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if answer.done():
                    return await answer
                if leave.is_set():
                    return await self._left()
                try:
                    if (parked := await self._look(token, since)) is not None:
                        return parked
                except (EngineError, StoreError) as error:
                    self._remark(error)
        except RunCancelled as error:
            outcome = self._outcome(RunStatus.CANCELLED, error)
            row = await _exactly(self._journal, self._name)
            return outcome if row is None else await self._counted(row, outcome)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            for task in (answer, leaving, bars):
                task.cancel()
            await asyncio.gather(answer, leaving, bars, return_exceptions=True)

    async def _answer(self, result: Any, begun: Begun) -> Any:
        """The workflow's answer, however long the server is away meanwhile."""
        from nightproof.engines.temporal.connection import Away

        while True:
            try:
                return await result(self._connection, begun)
            except Away as error:
                self._remark(error)
                await clock.sleep(BACK_SECONDS)

    async def _look(self, token: int, since: float) -> Outcome | None:
        """The outcome of a run that has parked; a word where nobody has begun it."""
        row = await _exactly(self._journal, self._name)
        await self._look_for_trouble()
        if row is None or row.token == token:
            if clock.monotonic() - since > UNHEARD_SECONDS:
                await self.look_for_workers()
            return None
        return await self.parked() if row.status is RunStatus.PARKED else None

    def _remark(self, error: NightproofError) -> None:
        """Say once that something is away: the run goes on without us."""
        if error.message not in self._remarks:
            self._remarks.add(error.message)
            note(f"nightproof: {error.message}; the run goes on, and so does this wait")

    async def _look_for_trouble(self) -> None:
        """Say once what workers try again and again without success."""
        from nightproof.engines.temporal import control

        if clock.monotonic() - self._asked_at < TROUBLE_SECONDS:
            return
        self._asked_at = clock.monotonic()
        for text in await control.troubles(self._connection, self._name):
            if text not in self._remarks:
                self._remarks.add(text)
                note(f"nightproof: workers try it again until it works: {text}")

    async def parked(self) -> Outcome | None:
        """The outcome of a run that waits for long; None where it is at work."""
        from nightproof.engines.temporal import control

        row = await _exactly(self._journal, self._name)
        if row is None or row.status is not RunStatus.PARKED:
            return None
        if not await control.idle(self._connection, self._name):
            return None
        until = None if row.wake is None else clock.from_ms(row.wake)
        again = f"Workers go on by themselves; `nightproof watch {self._name}` follows it."
        if "nightproof resolve" in row.waiting:
            error: RunParked = EffectHeld(f"run {self._name} stopped: {row.waiting}", again)
        else:
            message = f"run {self._name} is parked: it waits for {row.waiting}"
            error = RunParked(message, again, until=until)
        return await self._counted(row, self._outcome(RunStatus.PARKED, error))

    async def look_for_workers(self) -> None:
        """Say so where nobody works on the task queue; again once a minute."""
        now = clock.monotonic()
        if self._told_at is not None and now - self._told_at < AGAIN_SECONDS:
            return
        self._told_at = now
        address = self._connection.address
        with suppress(EngineError):  # it is said elsewhere
            if await self._connection.pollers():  # one that has just left still counts
                self._told_at = now - AGAIN_SECONDS + TROUBLE_SECONDS
            else:
                note(
                    f"nightproof: nobody works on task queue '{address.task_queue}' of "
                    f"{address.target}: start a worker with"
                )
                note(f"  nightproof worker {self._target.text}")

    async def _bars(self, before: RunRow | None) -> None:
        if not terminal(sys.stderr):
            return
        from nightproof.cli import progress  # rich, for a terminal only

        state = State()
        shown = asyncio.ensure_future(progress.follow(state, self._name, lambda: state.over))
        try:
            known: dict[str, int] = {}
            if before is not None:
                known = {one.step: one.done for one in await views.counts(self._journal, before)}
            while True:
                with suppress(StoreError):
                    row = await _exactly(self._journal, self._name)
                    if row is not None:
                        await count(self._journal, row, state, known)
                await clock.sleep(LOOK_SECONDS)
        finally:
            state.over = True
            await shown

    async def _left(self) -> Outcome:
        name = self._name
        message = f"run {name} goes on, on Temporal"
        follow = f"Follow it with `nightproof watch {name}`"
        with suppress(StoreError):
            if await _exactly(self._journal, name) is None:
                message = f"run {name} waits on Temporal until a worker takes it up"
                follow = f"Start one with `nightproof worker {self._target.text}`"
        error = Interrupted(message, f"{follow}, end the run with `nightproof cancel {name}`.")
        return self._outcome(RunStatus.RUNNING, error)

    def _outcome(self, status: RunStatus, error: BaseException) -> Outcome:
        return Outcome(self._name, self._target.job.name, status, error=error)

    async def _counted(self, row: RunRow, outcome: Outcome) -> Outcome:
        for one in await views.counts(self._journal, row):
            outcome.executed += one.done
            outcome.failed += one.failed
        return outcome
