"""One attempt at one run: the runtime that a job's body sees."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import datetime
from threading import get_ident
from typing import TYPE_CHECKING, Any

from nightproof.config import Settings
from nightproof.durable.context import Artifact, MapCall, current
from nightproof.durable.job import Job
from nightproof.durable.step import Step
from nightproof.engines.attempt.effects import Effects
from nightproof.engines.attempt.ending import child_failure, stored
from nightproof.engines.attempt.files import artifact_path, read_digest, write_atomically
from nightproof.engines.attempt.ledger import Ledger
from nightproof.engines.attempt.mapper import Mapper
from nightproof.engines.attempt.mints import Mints
from nightproof.engines.attempt.progress import Progress
from nightproof.engines.attempt.state import Attempt, Ending, Host, Options
from nightproof.engines.attempt.steps import Steps
from nightproof.engines.attempt.waits import Waits
from nightproof.errors import CodeChanged, EffectHeld, StoreError
from nightproof.journal.records import RunRow
from nightproof.model import clock, crash
from nightproof.model.codec import Codec
from nightproof.model.fingerprint import Occurrences, fingerprint
from nightproof.model.states import Kind
from nightproof.provenance.hearing import Heard
from nightproof.provenance.seeds import run_seed, step_seed

if TYPE_CHECKING:
    from nightproof.engines.attempt.quotas import Quotas

DRAIN_POLL_SECONDS = 0.02
"""How often to look whether the steps in flight are done."""


class Run(Attempt):
    """The state of one attempt."""

    def __init__(
        self, engine: Host, job: Job[Any, Any], row: RunRow, ledger: Ledger, options: Options
    ) -> None:
        self.engine = engine
        self.job = job
        self.row = row
        self.ledger = ledger
        self.options = options
        self.loop = engine.loop
        self.settings: Settings = engine.settings
        self.threads = engine.threads
        self.concurrency = {**engine.settings.concurrency, **options.concurrency}
        self.seed = run_seed(row.job, row.digest)
        self.seen = Occurrences()
        self.progress = Progress()
        self.steps = Steps(self)
        self.mints = Mints(self)
        self.waits: Waits = Waits(self)
        self.effects = Effects(self)
        self._quotas: Quotas | None = None
        self.active = 0
        self.halting = False
        self.over = False
        self.resumed = False
        self.acting: set[str] = set()
        self.executed_inputs: dict[str, list[bytes]] = {}
        self.undoable: list[tuple[Step[..., Any], Any, Any, Any, bytes]] = []
        self.artifacts: list[dict[str, Any]] = []
        self.divergences: list[dict[str, Any]] = []
        self.ending: Ending | None = None
        self.heard: Heard | None = None
        self.task: asyncio.Task[Any] | None = None
        self._thread = get_ident()
        self._rng: Any = None
        self._never: asyncio.Future[Any] | None = None
        self._leaving: asyncio.Task[None] | None = None

    @property
    def runtime(self) -> Run:
        """Itself, as steps have it: who listens looks here, in body and step alike."""
        return self

    @property
    def contract(self) -> bytes:
        return self.row.contract

    @property
    def folders(self) -> list[str]:
        beside = self.job.target.rpartition(":")[0].rpartition("/")[0]
        kept = json.loads(self.row.options or b"{}").get("folder")
        return [beside, *([kept] if kept else [])]

    def call(
        self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        return self.steps.call(step, args, kwargs)

    def map(self, step: Any, call: MapCall) -> Coroutine[Any, Any, list[Any]]:
        return Mapper(self, step, call).collect()

    def stream(self, step: Any, call: MapCall) -> AsyncIterator[Any]:
        return Mapper(self, step, call).stream()

    def effect(
        self, effect: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        return self.effects.call(effect, args, kwargs)

    async def child(self, job: Any, contract: Any) -> Any:
        """A child run: a run of its own, whose result this one records."""
        text = self.engine.encode_contract(job, contract)
        fp = self.seen.next(fingerprint(b"\0child", [job.name.encode(), text]))
        found = self.ledger.recorded.pop(fp, None)
        if found is not None and (data := await self.ledger.whole(found)) is not None:
            if found.kind == Kind.FAILURE:
                self.progress.of(job.name).failed += 1
                kept = json.loads(data)
                raise child_failure(kept["run"], kept)
            self.progress.of(job.name).replayed += 1
            return job.result.decode(data)
        if self.halting:
            await self.never()
        self.active += 1
        try:
            outcome = await self.engine.child(self, job, contract)
        finally:
            self.active -= 1
        error = outcome.error
        if isinstance(error, (StoreError, CodeChanged)):
            raise error
        name = _name_json(outcome.name)
        if error is not None:
            self.progress.of(job.name).failed += 1
            kept = {"run": outcome.name, **stored(error)}
            await self.ledger.append(
                self.ledger.entry(Kind.FAILURE, fp, json.dumps(kept).encode(), None, name)
            )
            raise child_failure(outcome.name, kept) from error
        self.progress.of(job.name).executed += 1
        blob = outcome.result_blob
        await self.ledger.append(
            self.ledger.entry(Kind.CHILD, fp, None if blob else outcome.result, blob, name)
        )
        return outcome.value

    async def artifact(self, path: str, content: str | bytes, media_type: str | None) -> Artifact:
        data = content.encode() if isinstance(content, str) else content
        target = artifact_path(self.engine.artifacts_root, self.row.name, path)
        if self.heard is not None:
            self.heard.written.add(str(target))
        digest = await asyncio.to_thread(_sha256, data)
        fp = self.seen.next(fingerprint(b"\0artifact", [str(path).encode(), digest.encode()]))
        found = self.ledger.recorded.pop(fp, None)
        if crash.armed:
            crash.hit("artifact:before", path)
        if found is None or await asyncio.to_thread(read_digest, target) != digest:
            await asyncio.to_thread(write_atomically, target, data)
        if crash.armed:
            crash.hit("artifact:mid", path)
        if found is None:
            note = {"path": str(target), "name": path, "sha256": digest, "size": len(data)}
            if media_type:
                note["mediaType"] = media_type
            await self.ledger.append(
                self.ledger.entry(Kind.ARTIFACT, fp, json.dumps(note).encode())
            )
        if crash.armed:
            crash.hit("artifact:after", path)
        self.artifacts.append({"path": str(target), "sha256": digest, "manifest": None})
        return Artifact(str(target), digest, len(data))

    def value(self, name: str, make: Callable[[], Any], annotation: Any) -> Any:
        """A recorded value; written with the next commit, which precedes its first use."""
        codec: Codec[Any] = Codec(annotation, f"{name}()")
        fp = self.seen.next(fingerprint(b"\0value", [name.encode()]))
        found = self.ledger.recorded.pop(fp, None)
        if found is not None and found.output is not None:
            return codec.decode(found.output)
        data = codec.encode(make())
        self.ledger.lane.later(self.ledger.entry(Kind.VALUE, fp, data))
        return codec.decode(data)

    def rng(self) -> Any:
        if self._rng is None:
            self._rng = self.rng_for(b"\0body")
        return self._rng

    def rng_for(self, fp: bytes) -> Any:
        from random import Random

        return Random(int.from_bytes(step_seed(self.seed, fp), "big"))

    def seeds_libraries(self) -> bool:
        """Whether a library with a global generator of its own is loaded."""
        return self.engine.numeric_libraries_loaded()

    async def sleep_until(self, name: str, until: datetime | float) -> None:
        await self.waits.sleep_until(name, until)

    async def wait_for(self, name: str, annotation: Any, timeout: float | None) -> Any:
        return await self.waits.wait_for(name, annotation, timeout)

    def note(self, kind: str, data: dict[str, Any]) -> None:
        """Add to the run's log; may be called in any thread."""
        if kind == "served" and data.get("status") == "mismatched":
            found = {"step": data.get("step", ""), "message": data.get("message", "")}
            if found not in self.divergences:
                self.divergences.append(found)
        if get_ident() == self._thread:
            self.ledger.note(kind, data)
        else:
            self.loop.call_soon_threadsafe(self.ledger.note, kind, data)

    def diverged(self, found: dict[str, Any]) -> None:
        """Report that this attempt did something else than what is recorded."""
        self.divergences.append(found)
        self.note("divergence", found)

    @property
    def quotas(self) -> Quotas:
        """Its permits and costs; made for a run that has a quota."""
        if self._quotas is None:
            from nightproof.engines.attempt.quotas import Quotas  # start-up time

            self._quotas = Quotas(self, self.ledger.journal, self.engine.purses)
        return self._quotas

    def spend(self, amounts: dict[str, float]) -> None:
        self.quotas.spend(amounts)

    def put_blob(self, data: bytes) -> tuple[str, int]:
        return self.ledger.put_blob(data)

    def get_blob(self, digest: str) -> bytes:
        return self.ledger.blobs.get(digest)

    async def lives(self, run_name: str) -> bool:
        """Whether another run has a live owner."""
        return await self.engine.lives(run_name)

    def never(self) -> asyncio.Future[Any]:
        """What work that must not begin any more waits for."""
        if self._never is None:
            self._never = self.loop.create_future()
        return self._never

    def stop(self, ending: Ending) -> None:
        """End the body; the first reason counts."""
        if self.ending is None:
            self.ending = ending
            self.halting = True
            if self.task is not None:
                self.task.cancel()

    def park(self, until: float | None, reason: str) -> None:
        """Leave the run to whoever resumes it at or after `until` (seconds)."""
        self.stop(Ending("parked", None, until, reason))

    async def leave(self, ending: Ending, grace: float | None = None) -> None:
        """Begin nothing more, let what is in flight finish, then end the body."""
        self.halting = True
        until = None if grace is None else clock.monotonic() + grace
        while self.active and self.ending is None:
            if until is not None and clock.monotonic() >= until:
                break
            await clock.sleep(DRAIN_POLL_SECONDS)
        self.stop(ending)

    async def settle(self) -> None:
        """After the body: what it left in flight finishes, what waits never begins."""
        self.halting = True
        while self.active and self.ending is None:
            await clock.sleep(DRAIN_POLL_SECONDS)

    def release(self) -> None:
        """Let go of what waits for a turn that will not come."""
        self.halting = self.over = True
        if self._never is not None:
            self._never.cancel()

    def hold(self, effect: str, key: str, why: str) -> asyncio.Future[Any]:
        """Stop for a person's decision about an effect; await what is returned."""
        if self.over:
            raise EffectHeld(f"effect '{effect}' [{key}] has an unknown outcome ({why})")
        reason = decision(self.row.name, effect, key, why)
        self._leaving = self.loop.create_task(self.leave(Ending("held", None, None, reason)))
        return self.never()

    async def body(self, contract: Any) -> Any:
        """Run the job's function with this run as its context."""
        current.set(self)
        if self.job.normalise and not self.resumed:
            names = [name for name, _ in self.job.normalise]
            message = f"to be compared after normalising {', '.join(names)}"
            self.note("normalise", {"names": names, "message": message})
        return await self.job.fn(contract)


def decision(run_name: str, effect: str, key: str, why: str) -> str:
    """What a run waits for that is held for a person's decision."""
    return (
        f"effect '{effect}' [{key}] has an unknown outcome ({why}); find out whether it "
        f"happened, then: nightproof resolve {run_name} '{key}' --happened, or --retry"
    )


def _sha256(data: bytes) -> str:
    from hashlib import sha256

    return sha256(data).hexdigest()


def _name_json(name: str) -> bytes:
    return json.dumps([name]).encode()
