"""``nightproof worker``: carry out the workflows and activities of some jobs on Temporal."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from nightproof import app
from nightproof.cli import dispatching, scheduling, signals, targets
from nightproof.cli.scheduling import Declared
from nightproof.cli.session import Session, complain, emit, isolated, note
from nightproof.cli.targets import Target
from nightproof.config import Settings
from nightproof.contract.base import Contract
from nightproof.durable.context import current
from nightproof.errors import NightproofError, TargetError, UsageError
from nightproof.journal.protocol import Journal
from nightproof.model import clock, crash
from nightproof.provenance import audit

if TYPE_CHECKING:
    from nightproof.cli.telling import Pings
    from nightproof.engines.temporal.connection import Connection
    from nightproof.engines.temporal.worker import Worker

SEEN_SECONDS = 60.0
"""How often a worker tells the store that its schedules are served."""


class Loaded:
    """The jobs of the targets, those that could not be loaded, and the schedules."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.targets: dict[str, Target] = {}
        self.failed: dict[str, NightproofError] = {}
        self.schedules: list[Declared] = []
        for text in texts:
            try:
                self._load(text)
            except NightproofError as error:
                self.failed[text] = error

    def _load(self, text: str) -> None:
        found = targets.every(text)
        if not found:
            raise TargetError(f"{text} has no job", "Decorate an async function with @job.")
        for one in found:
            known = self.targets.get(one.job.name)
            if known is not None and known.job is not one.job:
                raise TargetError(
                    f"{one.text} and {known.text} are both the job '{one.job.name}'",
                    "Jobs of one worker need different names: @job(name=...).",
                )
        self.targets |= {one.job.name: one for one in found}
        if any(one.job.schedules for one in found):
            self.schedules += [
                one
                for one in scheduling.declared([text])
                if one.plan.name not in [other.plan.name for other in self.schedules]
            ]


def work(session: Session, given: Sequence[str], url: str | None, slots: int | None) -> int:
    """Carry out the command: work until SIGTERM or Ctrl-C."""
    if isolated() is not None:
        raise UsageError("a worker cannot be isolated yet", "Start it without --isolate.")
    app.require_temporal()
    settings = session.settings().override(temporal=url)
    wanted = list(given or settings.serve)
    if not wanted:
        raise UsageError(
            "no target was given", 'Name one, or write serve = ["jobs.py"] into the settings.'
        )
    return asyncio.run(_work(session, settings, wanted, slots))


async def _work(session: Session, settings: Settings, wanted: list[str], slots: int | None) -> int:
    crash.arm_from_environment()
    journal = app.open_journal(settings)
    number = 0
    try:
        number = await app.boot(journal, "worker: starting")
        app.refuse_a_bad_key(settings)
        if settings.witness:
            # From here on, so that what a job's import reads is heard.
            audit.install(current.get)
            audit.own()
        loaded = Loaded(wanted)
        for error in loaded.failed.values():
            complain(error)
        if not loaded.targets:
            raise UsageError("no target could be loaded", "See above; correct or remove them.")
        return await _serve(session, settings, journal, number, loaded, slots)
    except NightproofError as error:
        if number:
            with suppress(NightproofError):
                await app.boot(journal, f"{type(error).__name__}: {error.message}"[:200], number)
        raise
    finally:
        await journal.close()


async def _serve(
    session: Session, settings: Settings, journal: Journal, number: int, loaded: Loaded,
    slots: int | None,
) -> int:  # fmt: skip
    # temporalio takes a while to import: others need not wait for it
    from nightproof.engines.temporal import client, starting, worker
    from nightproof.engines.temporal.activities import Activities
    from nightproof.engines.temporal.connection import connect

    async def verify(contract: Any) -> None:
        await app.verify(settings, contract)

    async def begin(target: Target, contract: Contract) -> None:
        ask = starting.request(
            target.job, contract, target=target.text, attributes=connection.attributes
        )
        await client.start(connection, ask)

    blobs = app.open_blobs(settings)
    connection = await connect(settings, blobs, journal.refer, register=True)
    jobs = {name: one.job for name, one in loaded.targets.items()}
    activities = Activities(
        journal, blobs, settings, app.artifacts_root(settings), jobs, boot=number, verify=verify,
        targets={name: one.text for name, one in loaded.targets.items()},
    )  # fmt: skip
    late = timedelta(seconds=settings.late)
    pings = _pings(settings, journal)
    working = worker.Worker(
        connection, activities, jobs, blobs, settings, slots=slots or worker.SLOTS,
        fire=dispatching.Dispatcher(journal, loaded.schedules, late, begin), beside=pings,
    )  # fmt: skip
    _heed_signals(working)
    told = f"worker: {len(jobs)} jobs on {connection.address}"
    await app.boot(journal, told[:200], number)
    _introduce(session, connection, loaded, slots or worker.SLOTS)
    seen = asyncio.ensure_future(_keep(journal, connection, loaded.schedules))
    try:
        ended = await working.run()
    finally:
        seen.cancel()
        if pings is not None:
            await pings.close()
        await activities.close()
    if not ended:
        note("left what did not end within its grace: other workers do it again")
        sys.stderr.flush()
        os._exit(0)
    note("drained")
    return 0


def _pings(settings: Settings, journal: Journal) -> Pings | None:
    """What goes with runs, where that is configured."""
    if not (settings.textfile or "ping" in settings.alerts):
        return None
    from nightproof.cli import telling  # for who has configured it

    return telling.Pings(settings, journal)


async def _keep(journal: Journal, connection: Connection, declared: Sequence[Declared]) -> None:
    """Tell the store now and then which schedules Temporal fires for this worker."""
    from nightproof.engines.temporal import schedules

    while declared:
        with suppress(NightproofError):  # a server or store that is away comes back
            there = await schedules.deployed(connection)
            for one in declared:
                if one.plan.name in there and not there[one.plan.name].schedule.state.paused:
                    await dispatching.keep(journal, one.plan)
        await clock.sleep(SEEN_SECONDS)


def _introduce(session: Session, connection: Connection, loaded: Loaded, slots: int) -> None:
    """One document, or a few lines, when everything is ready."""
    names = sorted(loaded.targets)
    if session.json:
        emit({
            "status": "ready", "pid": os.getpid(), "engine": str(connection.address),
            "slots": slots, "searchAttributes": connection.attributes,
            "jobs": [{"job": name, "target": loaded.targets[name].text} for name in names],
            "schedules": [one.plan.name for one in loaded.schedules],
            "failed": [
                {"target": text, "message": error.message, "hint": error.hint}
                for text, error in loaded.failed.items()
            ],
        })  # fmt: skip
        sys.stdout.flush()
        return
    here = f"{connection.address.task_queue} on {connection.address.target}"
    some = f", {len(loaded.failed)} of the targets failed" if loaded.failed else ""
    print(
        f"{clock.now().astimezone():%H:%M:%S}  working for {', '.join(names)}: task queue {here}, "
        f"namespace {connection.address.namespace}, {slots} at a time (pid {os.getpid()}){some}",
        flush=True,
    )
    if not connection.attributes:
        note("  the namespace has no search attributes NightproofJob, …Contract, …Status: runs")
        note("  cannot be searched by them in Temporal; everything else works")


def _heed_signals(working: Worker) -> None:
    loop = asyncio.get_running_loop()
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            note("nightproof: stopped at once; other workers do again what was under way")
            sys.stderr.flush()
            os._exit(signals.TEMPFAIL)
        asked = True
        note("nightproof: draining: no new work, what is under way may end; once more to stop")
        working.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
