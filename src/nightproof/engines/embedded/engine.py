"""Runs jobs in the caller's event loop, on a journal that it is given."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nightproof.blobs.protocol import Blobs
from nightproof.config import Settings
from nightproof.contract.base import Contract
from nightproof.durable.context import Scope, current
from nightproof.durable.job import Job
from nightproof.engines.attempt import closing
from nightproof.engines.attempt.environment import Environment, Environments
from nightproof.engines.attempt.launching import Launch
from nightproof.engines.attempt.ledger import Ledger
from nightproof.engines.attempt.owning import gone
from nightproof.engines.attempt.run import Run
from nightproof.engines.attempt.state import Attempt, Ending, Outcome
from nightproof.engines.attempt.threads import Threads
from nightproof.engines.attempt.witnessing import Witness, Witnesses
from nightproof.engines.embedded.heartbeat import Heartbeat
from nightproof.errors import (
    AlreadyRunning,
    BlobError,
    ContractError,
    Interrupted,
    LeaseLost,
    RunParked,
)
from nightproof.journal.commit import GroupCommit
from nightproof.journal.lease import Possession, possession
from nightproof.journal.protocol import Journal
from nightproof.journal.records import Claimed, Owner, RunRow, Wanted
from nightproof.model import clock, identity
from nightproof.model.states import RunStatus
from nightproof.provenance import audit, seeds

if TYPE_CHECKING:
    from nightproof.engines.attempt.quotas import Purses
    from nightproof.engines.attempt.vouching import Vouching
    from nightproof.observe.telemetry import Trace

CONTROL_SECONDS = 0.25
"""How often to look for cancellations and signals from other processes."""


class Engine:
    """The embedded engine. One per event loop and store."""

    def __init__(
        self,
        journal: Journal,
        blobs: Blobs,
        settings: Settings,
        artifacts_root: Path,
        boot: int = 0,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.journal = journal
        self.blobs = blobs
        self.settings = settings
        self.artifacts_root = artifacts_root
        self.commits = GroupCommit(journal, self.loop)
        self.threads = Threads()
        self.live: dict[int, Run] = {}
        self.stopping = False
        self._environments = Environments()
        self._purses: Purses | None = None
        self._vouching: Vouching | None = None
        self._witnesses = Witnesses()
        self._owner = Owner(identity.here(), boot, int(settings.lease * 1000))
        self._heartbeat = Heartbeat(journal, settings.lease, self._lost_in_thread)
        self._control: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None
        journal.hear(self._heard)
        seeds.install(_own_generator)
        if settings.witness:
            audit.install(current.get)

    @property
    def alone(self) -> bool:
        """Whether only one run is live, so that commits need not be shared."""
        return len(self.live) == 1

    @property
    def purses(self) -> Purses:
        """The permits of quotas that this engine holds, for all its runs."""
        if self._purses is None:
            from nightproof.engines.attempt.quotas import Purses  # start-up time

            self._purses = Purses()
        return self._purses

    @property
    def vouching(self) -> Vouching:
        """The effects that this engine is performing."""
        if self._vouching is None:
            from nightproof.engines.attempt.vouching import Vouching  # start-up time

            self._vouching = Vouching(self.journal, self.settings.lease)
        return self._vouching

    def numeric_libraries_loaded(self) -> bool:
        """Whether a library with a global generator of its own is loaded."""
        return "numpy" in sys.modules or "torch" in sys.modules

    def encode_contract(self, job: Job[Any, Any], contract: Any) -> bytes:
        """The contract's JSON, after checking that it is one the job takes."""
        if not isinstance(contract, Contract):
            raise ContractError(
                f"job '{job.name}' needs a Contract, got {type(contract).__name__}",
                "Derive the class of its parameter from nightproof.Contract.",
            )
        return contract.to_json().encode()

    async def run(self, launch: Launch) -> Outcome:
        """Run or resume; the outcome says how it ended.

        Raises AlreadyRunning where another live attempt owns the run, and whatever
        `launch.verify` raises.
        """
        job, contract = launch.job, launch.contract
        text = self.encode_contract(job, contract)
        want = Wanted(
            job.name, contract.digest, text, launch.replicate, launch.target or job.target,
            job.code, launch.parent, _remembered(launch),
        )  # fmt: skip
        claimed = await self._claim(want)
        lost = ""
        if not claimed.owned:
            try:
                return await closing.recorded(
                    self.journal, self.blobs, job, claimed.run, launch.options
                )
            except BlobError as error:
                lost = error.message
                replicate = claimed.run.replicate
                claimed = await self._claim(want._replace(replicate=replicate, reopen=True))
        row = claimed.run
        self._heartbeat.add(row.id, row.token)
        lane = self.commits.lane(row.id, row.token, -1)
        ledger = Ledger(self.journal, self.blobs, lane, row.name)
        run = Run(self, job, row, ledger, launch.options)
        self.live[row.id] = run
        if row.cancel:
            run.stop(Ending("cancelled"))
        if self.stopping:
            run.stop(Ending("interrupted"))
        self._look_later()
        traced = await self._traced(row) if "opentelemetry.sdk.trace" in sys.modules else None
        outcome = None
        try:
            environment = Environment(run, self._environments)
            witness = Witness(run, contract, self._witnesses)
            outcome = await closing.attempt(run, launch, claimed.before, environment, witness, lost)
            return outcome
        finally:
            if traced is not None:
                await traced.end(self.journal, outcome)
            self._heartbeat.remove(row.id)
            del self.live[row.id]

    async def _traced(self, row: RunRow) -> Trace | None:
        """The attempt's span, where somebody has configured OpenTelemetry."""
        unheard = copy_context()  # what this reads is not what the job reads
        unheard.run(current.set, cast("Any", self))
        tracer = unheard.run(_tracer)
        if tracer is None:
            return None
        from nightproof.observe.telemetry import Trace  # loaded just now

        return Trace(row, await self.journal.last_seq(row.id), tracer)

    async def child(self, parent: Attempt, job: Job[Any, Any], contract: Any) -> Outcome:
        """A run inside a run; replicates have replicates of the same number."""
        begun: list[Run] = []
        launch = Launch(
            job, contract, parent.row.replicate, parent.options, parent.row.id, watch=begun.append
        )
        while True:
            try:
                outcome = await self.run(launch)
            except asyncio.CancelledError:
                if parent.ending is not None and parent.ending.reason == "cancelled":
                    for run in begun:
                        await self.journal.request_cancel(run.row.id)
                raise
            except AlreadyRunning:
                await parent.waits.rest(
                    clock.now().timestamp() + CONTROL_SECONDS, f"child run of '{job.name}'"
                )
                continue
            if outcome.status is RunStatus.PARKED:
                # The parent waits for what its child waits for, and parks when it is idle.
                error = outcome.error
                until = error.until if isinstance(error, RunParked) else None
                parent.active -= 1
                try:
                    await parent.waits.rest(
                        until.timestamp() if until else None, f"child run {outcome.name}"
                    )
                finally:
                    parent.active += 1
            elif isinstance(outcome.error, Interrupted):
                parent.stop(Ending("interrupted"))
                await parent.never()
            elif not isinstance(outcome.error, LeaseLost):
                return outcome

    async def _claim(self, want: Wanted) -> Claimed:
        """Own the run, or say who does."""
        claimed = await self.journal.claim(want, self._owner)
        while not claimed.owned and claimed.run.status is not RunStatus.COMPLETED:
            row = claimed.run
            if row.id in self.live or not await gone(self.journal, row, self.settings.lease):
                raise _already_running(row)
            # A replicate that was just made must not become the next one.
            again = want._replace(replicate=row.replicate)
            claimed = await self.journal.claim(again, self._owner, takeover=row.token)
        return claimed

    async def lives(self, run_name: str) -> bool:
        """Whether a run has a live owner."""
        row = await self.journal.find(run_name)
        if row is None:
            return False
        state = possession(row, clock.now_ms(), int(self.settings.lease * 1000))
        return state in (Possession.LIVE, Possession.DOUBTFUL)

    def stop(self) -> None:
        """Begin no more steps, let those in flight finish, and leave the runs resumable."""
        if self.stopping:
            return
        self.stopping = True
        for run in list(self.live.values()):
            run.halting = True
            self.loop.create_task(run.leave(Ending("interrupted"), self.settings.grace))

    def _lost_in_thread(self, runs: frozenset[int]) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._lost, runs)

    def _lost(self, runs: frozenset[int]) -> None:
        for number in runs:
            if (run := self.live.get(number)) is not None:
                run.stop(
                    Ending("lost", LeaseLost(f"another process has taken over run {run.row.name}"))
                )

    def _look_later(self) -> None:
        if self._control is None:
            self._control = self.loop.call_later(CONTROL_SECONDS, self._look)

    def _look(self) -> None:
        self._control = None
        if self.live:
            self._looking = self.loop.create_task(self._heed())
            self._look_later()

    def _heard(self) -> None:
        """The store tells that there may be something to heed."""
        if self.live and (self._looking is None or self._looking.done()):
            self._looking = self.loop.create_task(self._heed())

    async def _heed(self) -> None:
        """Act on what other processes have asked for."""
        if not await self.journal.changed():
            return
        for number in await self.journal.cancelled(self.live):
            self.live[number].stop(Ending("cancelled"))
        for run in self.live.values():
            if run.waits.for_signals:
                run.waits.arrived.set()

    def abandon(self) -> None:
        """Let go when the loop was closed without :meth:`close`."""
        self._heartbeat.close()
        if self._vouching is not None:
            self._vouching.close()
        self.threads.close()

    async def close(self) -> None:
        """Give everything back."""
        if self._control is not None:
            self._control.cancel()
        if self._looking is not None:
            self._looking.cancel()  # it would look into a journal that is closed
        self._heartbeat.close()
        if self._vouching is not None:
            self._vouching.close()
        self.threads.close()
        await self.journal.close()


def _already_running(row: RunRow) -> AlreadyRunning:
    after = "it is taken over by the next `nightproof run` or `resume` when that process dies."
    if row.owner is not None and row.owner.is_workflow:
        after = f"`nightproof cancel {row.name}` ends it there."
    return AlreadyRunning(
        f"run {row.name} is already running on "
        f"{row.owner.label if row.owner else 'another process'}",
        f"Follow it with `nightproof watch {row.name}`; {after}",
        run=row.name,
    )


def _remembered(launch: Launch) -> bytes:
    """What a resume or replicate needs besides the contract: where relative paths start, the level.

    And what a watcher needs: after how long the run has stalled.
    """
    kept: dict[str, Any] = {"effects": True} if launch.options.effects else {}
    if (folder := launch.contract.source_folder) is not None:
        kept["folder"] = str(folder.absolute())
    if launch.job.stall is not None:
        kept["stall"] = launch.job.stall  # for the watcher, which does not load jobs
    if level := os.environ.get("NIGHTPROOF_ISOLATION"):
        kept["isolate"] = level
    return json.dumps(kept).encode()


def _tracer() -> Any:
    from nightproof.observe import telemetry  # needs the SDK, which few jobs load

    return telemetry.tracer()


def _own_generator() -> Any:
    found = current.get()
    return found.rng if isinstance(found, Scope) else None
