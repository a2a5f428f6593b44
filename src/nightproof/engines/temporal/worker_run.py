"""A run as one worker sees it: the parts of the embedded engine, over a journal that is shared.

Steps, effects, mints and quotas are the very ones of every attempt. What differs is how
they wait: an activity that would have to wait for long ends, with an answer that says so.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from nightproof.blobs.protocol import Blobs
from nightproof.config import Settings
from nightproof.contract.base import Contract
from nightproof.durable.job import Job
from nightproof.engines.attempt.environment import Environments
from nightproof.engines.attempt.ledger import Ledger
from nightproof.engines.attempt.mints import Mint, Mints
from nightproof.engines.attempt.quotas import Purses
from nightproof.engines.attempt.run import Run, decision
from nightproof.engines.attempt.state import Attempt, Options, Outcome
from nightproof.engines.attempt.threads import Threads
from nightproof.engines.attempt.vouching import Vouching
from nightproof.engines.attempt.waits import CHUNK_SECONDS, NOTHING_SECONDS, Waits
from nightproof.engines.attempt.witnessing import Witnesses
from nightproof.engines.temporal.messages import change_fp
from nightproof.engines.temporal.parts import Head, MintRecord, Told
from nightproof.engines.temporal.patience import Patient
from nightproof.engines.temporal.registry import Registry
from nightproof.engines.temporal.surroundings import WorkerEnvironment, WorkerWitness
from nightproof.engines.temporal.worker_effects import WorkerEffects
from nightproof.errors import EffectHeld, MisuseError, StoreBusy
from nightproof.journal.commit import GroupCommit
from nightproof.journal.lease import Possession, possession
from nightproof.journal.protocol import Journal
from nightproof.journal.records import CodeRow, Entry, Forget, Recorded, RunRow
from nightproof.model import clock
from nightproof.model.states import Kind


class Resting(BaseException):
    """Nothing can be done before `until` (seconds); user code must not catch it."""

    def __init__(self, until: float | None, reason: str) -> None:
        super().__init__(until, reason)
        self.until = until
        self.reason = reason


class Holding(BaseException):
    """An effect waits for a person's decision; user code must not catch it."""

    def __init__(self, effect: str, key: str, why: str) -> None:
        super().__init__(effect, key, why)
        self.effect = effect
        self.key = key
        self.why = why


class WorkerHost:
    """What the runs in a worker process share; see engines/attempt/state.py:Host."""

    def __init__(
        self, journal: Journal, blobs: Blobs, settings: Settings, artifacts_root: Path
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.journal = journal
        self.blobs = blobs
        self.settings = settings
        self.artifacts_root = artifacts_root
        self.commits = GroupCommit(Patient(journal), self.loop)
        self.threads = Threads()
        self.purses = Purses()
        self.vouching = Vouching(journal, settings.lease)
        self.registry = Registry()
        self.environments = Environments()
        self.witnesses = Witnesses()
        self.draining = asyncio.Event()
        """Set when the process is about to leave: nothing begins, and nobody sleeps."""
        self._made: dict[Callable[[], Any], Any] = {}

    @property
    def alone(self) -> bool:
        """Never: commits are shared by whatever activities are at work."""
        return False

    def made(self, factory: Callable[[], Any]) -> Any:
        """What an Ambient parameter's factory makes, made once."""
        if factory not in self._made:
            self._made[factory] = factory()
        return self._made[factory]

    def encode_contract(self, job: Job[Any, Any], contract: Any) -> bytes:
        """See Host."""
        if not isinstance(contract, Contract):
            raise MisuseError(f"job '{job.name}' needs a Contract")
        return contract.to_json().encode()

    def numeric_libraries_loaded(self) -> bool:
        """Whether a library with a global generator of its own is loaded."""
        return "numpy" in sys.modules or "torch" in sys.modules

    async def child(self, parent: Attempt, job: Job[Any, Any], contract: Any) -> Outcome:
        """Child runs are workflows: no step begins one."""
        del parent, contract
        raise MisuseError(f"job '{job.name}' was called inside a step")

    async def lives(self, run_name: str) -> bool:
        """Whether a run has a live owner."""
        row = await self.journal.find(run_name)
        if row is None:
            return False
        state = possession(row, clock.now_ms(), int(self.settings.lease * 1000))
        return state in (Possession.LIVE, Possession.DOUBTFUL)


class WorkerLedger(Ledger):
    """The way to add to a run that other processes add to."""

    def __init__(self, host: WorkerHost, row: RunRow, job: Job[Any, Any]) -> None:
        lane = host.commits.shared_lane(row.id, row.token)
        super().__init__(host.journal, host.blobs, lane, row.name)
        self._registry = host.registry
        self._job = job

    async def load_codes(self) -> None:
        """Learn which code the run has recorded results with."""
        used = {code for _, code, _ in await self.journal.tally(self.lane.run) if code}
        self._codes = await self.journal.codes(used)

    @property
    def codes(self) -> Mapping[int, CodeRow]:
        """The code on record by its id."""
        return self._codes

    def code_changed(self, what: str, before: str, after: str) -> None:
        """As every ledger; each worker sees it, and one line says it."""
        if self.strict:
            super().code_changed(what, before, after)  # raises
        self.changed[what] = (before, after)
        self.line(
            "code-changed",
            {"what": what, "before": before, "after": after},
            change_fp(self.lane.token, what, before, after),
        )

    def line(self, kind: str, data: dict[str, Any], fp: bytes) -> None:
        """As :meth:`note`, written once however often it is handed in."""
        text = json.dumps({"kind": kind, **data}, ensure_ascii=False, default=str)
        self.lane.later(self.entry(Kind.EVENT, fp, text.encode("utf-8", "replace")))

    async def outcomes(self, fps: list[bytes]) -> dict[bytes, Entry]:
        """What is on record under the fingerprints: of several tries the first that was written."""
        return await self.journal.recorded(self.lane.run, fps)

    async def outcome(self, fp: bytes) -> Entry | None:
        """As :meth:`outcomes`, for one."""
        return (await self.outcomes([fp])).get(fp)

    async def forget(self, entry: Entry) -> None:
        """Let another outcome take the place of one that is of no use any more."""
        await self.lane.put(Forget(entry.fp, entry.seq))

    async def written(self) -> None:
        """Wait until all that was handed in is on disk."""
        lane = self.lane
        used, self.used_blobs = self.used_blobs, []
        lane.writes.extend(used)
        if lane.entries or lane.writes or lane.future or lane.broken:
            await lane.sync()

    def parameters(self, name: str) -> list[str]:
        """The stored parameters of a step, in order."""
        step = self._registry.step(self._job, self._job.fn.__module__, name)
        return step.arguments.names if step is not None else []


def as_recorded(entry: Entry) -> Recorded:
    """An entry as a resume would load it."""
    size = len(entry.output or b"")
    return Recorded(entry.seq, entry.kind, entry.code, entry.fp, size, entry.output, entry.blob)


class WorkerWaits(Waits):
    """Short waits are slept in the activity; a long one ends it."""

    def __init__(self, run: WorkerRun) -> None:
        super().__init__(run)
        self._worker = run

    async def rest(
        self,
        end: float | None,
        reason: str,
        event: asyncio.Event | None = None,
        longest: float | None = None,
    ) -> None:
        """Suspend until `end` (seconds); raises Resting where that is long, or nobody may stay."""
        del event  # nothing in a worker waits for one
        run = self._worker
        began = clock.monotonic()
        draining = run.host.draining
        while True:
            left = None if end is None else end - clock.now().timestamp()
            if left is not None and longest is not None:
                left = min(left, longest - (clock.monotonic() - began))
            if left is not None and left <= NOTHING_SECONDS:
                return
            if not run.over and (
                draining.is_set() or left is None or left > run.settings.park_after
            ):
                raise Resting(end, reason)
            chunk = CHUNK_SECONDS if left is None else min(left, CHUNK_SECONDS)
            if run.over:
                await clock.sleep(chunk)
                continue
            try:
                async with asyncio.timeout(chunk):
                    await draining.wait()
            except TimeoutError:
                continue


OLDER = 4
"""So many forms of an expiring value an answer tells of: those that may have been made for it."""


class WorkerMints(Mints):
    """Expiring values that other workers may have made, and that the workflow remembers."""

    def __init__(self, run: WorkerRun) -> None:
        super().__init__(run)
        self._worker = run

    def adopt(self, record: MintRecord) -> None:
        """Take over a value that came with a message."""
        run = self._worker
        fp = bytes.fromhex(record["fp"])
        mint = self._by_fp.get(fp)
        if mint is None:
            step = run.host.registry.step(run.job, record["module"], record["step"])
            if step is None:
                return
            parts = [part.encode() for part in record["args"]]
            args, kwargs = step.arguments.call(step.arguments.values(parts, run.host.made))
            mint = self._by_fp[fp] = Mint(fp, step, args, kwargs, parts)
        newest = mint.value, mint.made, mint.serial
        decode = mint.step.result.decode
        for older in record.get("older", ()):
            mint.value = decode(older.encode())
            self._remember(mint)
        mint.value = decode(record["value"].encode())
        self._remember(mint)
        if newest[1] is not None and newest[1] >= record["made"]:
            mint.value, mint.made, mint.serial = newest
        else:
            mint.made, mint.serial = record["made"], max(mint.serial, record["serial"])

    def record(self, mint: Mint) -> MintRecord:
        """A value as messages carry it; the workflow knows what it was long ago."""
        encode = mint.step.result.encode
        known = [value for value, owner in self.by_value.items() if owner is mint][-OLDER:]
        return MintRecord(
            fp=mint.fp.hex(),
            step=mint.step.name,
            module=mint.step.fn.__module__,
            args=[part.decode() for part in mint.parts],
            value=encode(mint.value).decode(),
            made=mint.made or 0.0,
            serial=mint.serial,
            older=[encode(value).decode() for value in known if value != mint.value],
        )

    def of(self, fp: bytes) -> MintRecord:
        """The record of the value with this fingerprint, which was called for."""
        return self.record(self._by_fp[fp])

    async def _recall(self, mint: Mint) -> None:
        found = await self._worker.ledger.outcome(mint.fp)
        if found is not None:
            self._worker.ledger.recorded[mint.fp] = as_recorded(found)
        await super()._recall(mint)

    async def _make(self, mint: Mint) -> None:
        ledger = self._worker.ledger
        if (stale := await ledger.outcome(mint.fp)) is not None:
            await ledger.forget(stale)
        await super()._make(mint)
        self._worker.made.append(mint)


class WorkerRun(Run):
    """One run in one worker process, for as long as its activities come here."""

    engine: WorkerHost
    ledger: WorkerLedger
    mints: WorkerMints

    def __init__(self, host: WorkerHost, job: Job[Any, Any], row: RunRow, options: Options) -> None:
        super().__init__(host, job, row, WorkerLedger(host, row, job), options)
        self.host = host
        self.ledger.strict = options.strict
        self.waits = WorkerWaits(self)
        self.mints = WorkerMints(self)
        self.effects = WorkerEffects(self)
        self.users = 0
        """Activities that are at work on it here."""
        self.made: list[Mint] = []
        """Values that were made here and not yet told."""
        self._told = Told(retries=0, divergences=[], changed={})
        contract = job.contract_type.load(row.contract)
        self.environment = WorkerEnvironment(self, host.environments)
        self.witness = WorkerWitness(self, contract, host.witnesses)

    def begin(self) -> None:
        """Record what surrounds the run in this worker; hear what it reads."""
        self.witness.open(self.options.strict)
        self.environment.begin()
        self.witness.begin()

    async def surrounded(self) -> bool:
        """Hand in what an activity has shown of its surroundings; whether it has."""
        environment = await self.environment.settle()
        return await self.witness.settle() or environment

    def depart(self) -> None:
        """Record and hear nothing more."""
        self.environment.leave()
        self.witness.leave()
        self.release()

    def nested(self) -> None:
        """The work that begins now counts the effects inside it from zero."""
        WorkerEffects.count_anew()

    def adopt(self, head: Head) -> None:
        """Take over the expiring values that came with a message."""
        for record in head.get("mints", ()):
            self.mints.adopt(record)

    def tell(self) -> Told:
        """What came up since this was last asked."""
        told = Told()
        before = self._told
        retries = sum(step.retries for step in self.progress.steps.values())
        if retries > before["retries"]:
            told["retries"] = retries - before["retries"]
            before["retries"] = retries
        if self.divergences:
            told["divergences"], self.divergences = self.divergences, []
        known = before["changed"]
        changed = {what: two for what, two in self.ledger.changed.items() if what not in known}
        if changed:
            told["changed"] = changed
            before["changed"].update(changed)
        self.undoable.clear()  # the workflow remembers what can be undone
        if self.made:
            clear = not self.host.settings.temporal_key  # a secret of a step's own stays here then
            made = {one.fp: one for one in self.made if not (clear and one.step.secret)}
            told["mints"] = [self.mints.record(mint) for mint in made.values()]
            self.made.clear()
        return told

    def never(self) -> NoReturn:
        """This run has broken or ended here: its activities end too, to be tried again."""
        raise self.ledger.lane.broken or StoreBusy(f"run {self.row.name} has ended in this worker")

    def hold(self, effect: str, key: str, why: str) -> asyncio.Future[Any]:
        """End the activity: the workflow waits for a person's decision."""
        if self.over:
            raise EffectHeld(f"effect '{effect}' [{key}] has an unknown outcome ({why})")
        raise Holding(effect, key, why)

    def decision(self, held: Holding) -> str:
        """What to say that the run waits for."""
        return decision(self.row.name, held.effect, held.key, held.why)
