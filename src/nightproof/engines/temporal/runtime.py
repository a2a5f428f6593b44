"""The runtime of a job's body inside a workflow: what is on record, or an activity."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, cast

from temporalio import workflow

from nightproof.durable.context import Artifact, MapCall, current
from nightproof.durable.job import Job
from nightproof.durable.step import Routine, Step
from nightproof.engines.attempt.progress import Progress
from nightproof.engines.attempt.state import Ending
from nightproof.engines.attempt.steps import recorded_failure
from nightproof.engines.temporal.asking import Asking
from nightproof.engines.temporal.children import Children
from nightproof.engines.temporal.execution import Calls, Host
from nightproof.engines.temporal.mapping import Chunks
from nightproof.engines.temporal.messages import (
    ARTIFACT,
    ArtifactNote,
    BeginAnswer,
    StepAnswer,
    Undo,
)
from nightproof.engines.temporal.minting import WorkflowMints
from nightproof.engines.temporal.parts import Pending
from nightproof.engines.temporal.record import Record, short
from nightproof.engines.temporal.starting import Request
from nightproof.engines.temporal.waiting import HELD_SECONDS, Waiting
from nightproof.errors import CodecError, MisuseError, StepFailed
from nightproof.journal.records import Recorded
from nightproof.model.codec import Codec
from nightproof.model.fingerprint import fingerprint
from nightproof.model.states import Kind
from nightproof.provenance.seeds import run_seed, step_seed


class WorkflowRuntime:
    """One execution of a run's workflow, as the job's body sees it."""

    heard = None
    """What the body reads goes to nobody."""

    def __init__(
        self, host: Host, job: Job[Any, Any], ask: Request, begun: BeginAnswer, folder: str | None
    ) -> None:
        self.host = host
        self.job = job
        self.ask = ask
        self.facts = begun["run"]
        self.folder = folder
        self.park_after = host.park_after
        self.concurrency = {**host.concurrency, **ask["options"]["concurrency"]}
        self.seed = run_seed(job.name, self.facts["digest"])
        self.seen = Calls()
        self.progress = Progress()
        self.asking = Asking(self)
        self.record = Record(self, begun)
        self.mints = WorkflowMints(self)
        self.waits = Waiting(self)
        self.children = Children(self)
        self.active = 0
        self.flights = 0
        """Child runs that are waited for."""
        self.cancelling: list[str] = []
        """The workflows of children to cancel with this run."""
        self.halting = False
        self.renewing = False
        self.resumed = begun.get("before") is not None
        self.news = 0
        self.retries = 0
        self.undoable: list[Undo] = []
        self.artifacts: list[ArtifactNote] = []
        self.divergences: list[dict[str, Any]] = []
        self.ending: Ending | None = None
        self.task: asyncio.Task[Any] | None = None
        self._rng: Any = None
        self._never: asyncio.Future[Any] | None = None
        self._over = False

    @property
    def runtime(self) -> WorkflowRuntime:
        """Itself, as steps have it: who listens looks here, in body and step alike."""
        return self

    @property
    def ledger(self) -> Record:
        """The record, by the name that the parts of every engine know it by."""
        return self.record

    @property
    def contract(self) -> bytes:
        """The run's contract, as JSON."""
        return self.ask["contract"].encode()

    @property
    def folders(self) -> list[str]:
        """The folders of the job's file and, where it has one, of the contract's."""
        beside = self.job.target.rpartition(":")[0].rpartition("/")[0]
        return [beside, *([self.folder] if self.folder else [])]

    # The body's calls.

    async def call(self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of a step."""
        if step.mints:
            return await self.mints.call(step, args, kwargs)
        self.record.know(step)
        values = step.arguments.bind(args, kwargs)
        parts = step.arguments.parts(values)
        known = self.mints.substitute(step.arguments, values, parts)
        fp, before = self.seen.counted(fingerprint(step.prefix, known))
        found = self.record.take(fp)
        if found is not None:
            try:
                return await self._replayed(step, found, parts, fp)
            except CodecError as error:
                self.record.lost(found, error.message)
            except LookupError:
                pass  # its own activity looks for it
        step.arguments.refuse_unsendable(values)
        answer = await self.step(step, "step", parts, fp, before, "", known)
        value = self.value_of(step, answer)
        self.undo_later(step, parts, fp)
        return value

    async def _replayed(
        self, step: Step[..., Any], found: Recorded, parts: list[bytes], fp: bytes
    ) -> Any:
        """What is on record of a call; LookupError where it has to be worked out."""
        data = short(found)
        if step.result.has_refs or found.kind not in (Kind.RESULT, Kind.FAILURE):
            raise LookupError
        if data is not None and found.kind == Kind.FAILURE:
            self.progress.of(step.name).failed += 1
            raise recorded_failure(step, data)
        if data is not None:
            value = step.result.decode(data)
            self.progress.of(step.name).replayed += 1
        else:
            answer = await self.record.recall(found)
            if answer is None:
                raise LookupError
            value = self.value_of(step, answer)
        self.undo_later(step, parts, fp)
        return value

    def undo_later(self, step: Step[..., Any], parts: list[bytes], fp: bytes) -> None:
        """Remember a completed step that says how it is undone."""
        if step.undo is not None and fp not in self.record.undone:
            args = [part.decode() for part in parts]
            self.undoable.append(
                Undo(step=step.name, module=step.fn.__module__, args=args, fp=fp.hex())
            )

    async def step(
        self,
        routine: Routine[..., Any],
        op: str,
        parts: list[bytes],
        fp: bytes,
        before: int,
        label: str,
        known: list[bytes] | None = None,
    ) -> StepAnswer:
        """Have a worker run a step, an effect or a mint, as often as it asks for a pause."""
        message = {
            "op": op,
            "step": routine.name,
            "module": routine.fn.__module__,
            "args": [part.decode() for part in parts],
            "fp": fp.hex(),
            "occurrence": before,
            "label": label,
        }
        mints = self.mints.records(known, parts) if known else []
        local = isinstance(routine, Step) and routine.pure
        while True:
            seen = self.waits.pokes
            answer = await self.asking.ask(
                routine.name, message, fp.hex(), mints=mints, local=local
            )
            self.check(fp, answer)
            self.record.heard(f"step '{routine.name}'", answer.get("code"), routine.code)
            if "rest" in answer:
                until, reason = answer["rest"]["until"], answer["rest"]["reason"]
                await self.waits.rest(until, reason, seen if until is None else None)
            elif "held" in answer:
                await self.waits.rest(None, answer["held"]["reason"], seen, HELD_SECONDS)
            else:
                return cast("StepAnswer", answer)

    def check(self, fp: bytes, answer: Mapping[str, Any]) -> None:
        """An answer counts only for the call that it was given to.

        Temporal hands answers out by position. Where the body has changed, another call
        may stand there; then this execution ends and a new one goes by fingerprints.
        """
        if answer.get("fp") != fp.hex():
            error = workflow.NondeterminismError(
                f"an answer for call {answer.get('fp')} came where {fp.hex()} was asked"
            )
            self.stop(Ending("replaced", cast("Any", error)))
            raise error

    def value_of(self, routine: Routine[..., Any], answer: StepAnswer, key: str = "") -> Any:
        """The value of an answer; raises StepFailed for a failure. Counts it."""
        counter = self.progress.of(routine.name)
        if "failed" in answer:
            failed = answer["failed"]
            counter.failed += 1
            raise StepFailed(
                routine.name, failed["type"], failed["message"], failed["attempts"], key
            )
        if "raw64" in answer:
            raw = base64.b64decode(answer["raw64"])
            value: Any = routine.result.from_raw(raw, answer["form"].encode())
        else:
            text = answer["ok"]
            value = routine.result.decode(text.encode()) if text else None
        if answer.get("executed"):
            counter.executed += 1
            self.news += 1
        else:
            counter.replayed += 1
        return value

    def map(self, step: Any, call: MapCall) -> Coroutine[Any, Any, list[Any]]:
        """All results of a map."""
        return Chunks(self, step, call).collect()

    def stream(self, step: Any, call: MapCall) -> AsyncIterator[Any]:
        """The results of a map one by one."""
        return Chunks(self, step, call).stream()

    async def effect(self, effect: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of an effect."""
        self.record.know(effect)
        values = effect.arguments.bind(args, kwargs)
        parts = effect.arguments.parts(values)
        known = self.mints.substitute(effect.arguments, values, parts)
        fp, before = self.seen.counted(fingerprint(b"\0effect" + effect.prefix, known))
        key = effect.key_of(values)
        data = short(found := self.record.take(fp))
        if found is not None and data is not None:
            if found.kind == Kind.FAILURE:
                self.progress.of(effect.name).failed += 1
                raise recorded_failure(effect, data, key)
            self.progress.of(effect.name).replayed += 1
            return effect.result.decode(data) if data else None
        if found is not None and (recalled := await self.record.recall(found)) is not None:
            return self.value_of(effect, recalled, key)
        effect.arguments.refuse_unsendable(values)
        answer = await self.step(effect, "effect", parts, fp, before, key, known)
        return self.value_of(effect, answer, key)

    def child(self, job: Any, contract: Any) -> Coroutine[Any, Any, Any]:
        """A child run: a workflow of its own."""
        return self.children.run(job, contract)

    async def artifact(self, path: str, content: str | bytes, media_type: str | None) -> Artifact:
        """A file: an activity writes it, beside the worker and as a blob."""
        data = content.encode() if isinstance(content, str) else content
        digest = sha256(data).hexdigest()
        fp = self.seen.next(fingerprint(b"\0artifact", [path.encode(), digest.encode()]))
        self.news += self.record.take(fp) is None  # the activity sees to a file that is gone
        kept: dict[str, Any] = (
            {"content": content}
            if isinstance(content, str)
            else {"content64": base64.b64encode(content).decode()}
        )
        message = {"path": path, "media_type": media_type, "fp": fp.hex(), **kept}
        answer = await self.asking.ask(ARTIFACT, message, fp.hex())
        note: ArtifactNote = answer["artifact"]
        self.artifacts.append(note)
        return Artifact(note["path"], digest, len(data))

    def value(self, name: str, make: Callable[[], Any], annotation: Any) -> Any:
        """A recorded value; written before whatever the next activity does."""
        codec: Codec[Any] = Codec(annotation, f"{name}()")
        fp = self.seen.next(fingerprint(b"\0value", [name.encode()]))
        data = short(self.record.take(fp))
        if data:
            return codec.decode(data)
        # The workflow's own clock: the same when this execution is replayed.
        data = codec.encode(workflow.now() if annotation is datetime else make())
        self.asking.later(Pending(kind=Kind.VALUE, fp=fp.hex(), output=data.decode()))
        return codec.decode(data)

    def rng(self) -> Any:
        """The generator of the body."""
        if self._rng is None:
            self._rng = self.rng_for(b"\0body")
        return self._rng

    def rng_for(self, fp: bytes) -> Any:
        """The generator of one step."""
        from random import Random

        return Random(int.from_bytes(step_seed(self.seed, fp), "big"))

    async def sleep_until(self, name: str, until: datetime | float) -> None:
        """Wait, durably."""
        await self.waits.sleep_until(name, until)

    async def wait_for(self, name: str, annotation: Any, timeout: float | None) -> Any:
        """Wait for a signal."""
        return await self.waits.wait_for(name, annotation, timeout)

    def note(self, kind: str, data: dict[str, Any]) -> None:
        """Add to the run's log."""
        if kind == "served" and data.get("status") == "mismatched":
            found = {"step": data.get("step", ""), "message": data.get("message", "")}
            if found not in self.divergences:
                self.divergences.append(found)
        text = json.dumps({"kind": kind, **data}, ensure_ascii=False, default=str)
        self.asking.event(text.encode("utf-8", "replace").decode())

    def spend(self, amounts: dict[str, float]) -> None:
        """A body takes no permits, so there is nothing to correct. Raises MisuseError."""
        raise MisuseError(
            f"spend({', '.join(amounts)}) was called outside a step",
            "Call it in the step that has the quota.",
        )

    def put_blob(self, data: bytes) -> tuple[str, int]:
        """Store a value that a Ref refers to."""
        stored = self.host.blobs.put(data)
        return stored.digest, stored.size

    def get_blob(self, digest: str) -> bytes:
        """A blob's bytes."""
        return self.host.blobs.get(digest)

    # Going on and stopping.

    def never(self) -> asyncio.Future[Any]:
        """What work that must not begin any more waits for."""
        if self._never is None:
            self._never = asyncio.get_running_loop().create_future()
            if self._over:
                self._never.cancel()  # who comes late holds a place of the end's
        return self._never

    async def turn(self) -> None:
        """Wait here for ever where nothing may begin any more; raises where the body is to end."""
        if not self.renewing and self.news and self._long_history():
            self.renewing = self.halting = True
            self.worked()
        if self.ending is not None:
            raise asyncio.CancelledError  # it cleans up: that must not begin anything
        if self.halting:
            await self.never()

    def _long_history(self) -> bool:
        info = workflow.info()
        if self.host.events is not None:
            return info.get_current_history_length() > self.host.events
        return info.is_continue_as_new_suggested()

    def worked(self) -> None:
        """Something has ended: a history that is too long can go on in a new one."""
        if self.renewing and not self.active:
            self.stop(Ending("renewed"))
        self.waits.consider()

    def stop(self, ending: Ending) -> None:
        """End the body; the first reason counts, but a new history must not lose a cancellation."""
        before = self.ending.reason if self.ending is not None else ""
        if not before or (before == "renewed" and ending.reason == "cancelled"):
            self.ending = ending
            self.halting = True
            if self.task is not None:
                self.task.cancel()

    def release(self) -> None:
        """Let go of what waits for a turn that will not come."""
        self.halting = self._over = True
        if self._never is not None:  # else there may be no loop any more: an evicted workflow
            self._never.cancel()

    async def settle(self) -> None:
        """After the body: what it left in flight finishes, what waits never begins."""
        self.halting = True
        await workflow.wait_condition(lambda: not self.active or self.ending is not None)

    async def body(self, contract: Any) -> Any:
        """Run the job's function with this run as its context."""
        current.set(cast("Any", self))
        return await self.job.fn(contract)
