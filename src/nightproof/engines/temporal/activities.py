"""The activities of a worker: what of a run's work is done in this process.

An activity answers with what is on record, and with what the workflow has to do where
nothing is yet: wait, ask a person, give up. It raises only what Temporal shall try again:
a store that is away, a step that another worker may know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from nightproof.blobs.protocol import Blobs
from nightproof.config import Settings
from nightproof.durable.context import current
from nightproof.durable.job import Job
from nightproof.engines.attempt.ledger import brief
from nightproof.engines.attempt.state import Options
from nightproof.engines.temporal import calls, delivering, ending, pending, recalling
from nightproof.engines.temporal.beginning import Beginning, Verify
from nightproof.engines.temporal.chunks import Chunk, together
from nightproof.engines.temporal.heart import Heart, leaves
from nightproof.engines.temporal.messages import (
    ARTIFACT,
    BEGIN,
    END,
    FLUSH,
    OUTAGE,
    PAUSE,
    RECALL,
    TAKE,
    UNKNOWN_STEP,
    ArtifactAsk,
    BeginAsk,
    ChunkAsk,
    EndAsk,
    PauseAsk,
    RecallAsk,
    StepAsk,
    TakeAsk,
)
from nightproof.engines.temporal.parts import Head, Refused
from nightproof.engines.temporal.worker_run import Holding, Resting, WorkerHost, WorkerRun
from nightproof.errors import (
    AlreadyRunning,
    LeaseLost,
    NightproofError,
    StoreDamaged,
    StoreError,
    StoreReadOnly,
    StoreTooNew,
)
from nightproof.journal.protocol import Journal
from nightproof.model import clock
from nightproof.model.states import RunStatus
from nightproof.provenance import audit, seeds
from nightproof.provenance.seeds import adopt

RUNS = 256
"""So many runs that nothing is at work on are kept ready for their next activity."""
_LASTING = (StoreReadOnly, StoreDamaged, StoreTooNew)
_ASK_AGAIN_SECONDS = 10.0

Work = Callable[[WorkerRun, Heart], Awaitable[dict[str, Any]]]


class Activities:
    """What one worker process does for the runs of some jobs.

    `targets` says for each job by which text a command finds it; `verify` refuses inputs
    that are not what a contract says. The journal stays open when this closes.
    """

    def __init__(
        self,
        journal: Journal,
        blobs: Blobs,
        settings: Settings,
        artifacts_root: Path,
        jobs: Mapping[str, Job[Any, Any]],
        *,
        boot: int = 0,
        verify: Verify | None = None,
        targets: Mapping[str, str] | None = None,
    ) -> None:
        self.host = WorkerHost(journal, blobs, settings, artifacts_root)
        self.jobs = jobs
        self._beginning = Beginning(self.host, boot, verify, targets or {})
        self._runs: dict[tuple[int, int], WorkerRun] = {}
        self._opening: dict[tuple[int, int], asyncio.Lock] = {}
        seeds.install(_own_generator)
        if settings.witness:
            audit.install(current.get)

    def all(self) -> list[Callable[..., Any]]:
        """What a temporalio Worker registers."""
        return [
            self.begin, self.recall, self.take, self.artifact, self.pause, self.flush, self.end,
            self.call,
        ]  # fmt: skip

    async def warm(self) -> None:
        """Look at the environment now, so that no step of the first run waits for it."""
        from nightproof.engines.attempt import environment  # no part of an import

        for job in self.jobs.values():
            host = self.host
            await environment.prepare(host.environments, job, host.settings, host.blobs)

    async def drain(self) -> None:
        """Begin nothing more: what a map has not begun goes back, what sleeps does so elsewhere."""
        self.host.draining.set()

    async def close(self) -> None:
        """Write what is left and let go of everything but the journal."""
        for run in self._runs.values():
            try:
                await run.witness.finish()
                await run.ledger.written()
            except NightproofError:
                continue  # what remains are lines of the log
            finally:
                run.depart()
        self._runs.clear()
        self.host.vouching.close()
        self.host.threads.close()

    @activity.defn(name=BEGIN)
    async def begin(self, ask: BeginAsk) -> dict[str, Any]:
        """Claim a run, and say what is on record of it."""
        job = self._job(ask["job"])
        async with Heart(self.host.draining):
            try:
                begun = await self._beginning.begin(job, ask)
                return {**begun, "code": job.code}
            except NightproofError as error:
                raise_outage(error)
                return {"refused": refused(error)}

    @activity.defn(name=RECALL)
    async def recall(self, ask: RecallAsk) -> dict[str, Any]:
        """Get what is on record and too long for the index."""

        async def work(run: WorkerRun, _: Heart) -> dict[str, Any]:
            return cast("dict[str, Any]", await recalling.recall(run, ask))

        return await self._work(ask["head"], work, look_around=False)

    @activity.defn(name=TAKE)
    async def take(self, ask: TakeAsk) -> dict[str, Any]:
        """Look for a signal."""
        return await self._work(
            ask["head"], lambda run, _: pending.take(run, ask), look_around=False
        )

    @activity.defn(name=ARTIFACT)
    async def artifact(self, ask: ArtifactAsk) -> dict[str, Any]:
        """Deliver a file."""
        return await self._work(ask["head"], lambda run, _: delivering.artifact(run, ask))

    @activity.defn(name=PAUSE)
    async def pause(self, ask: PauseAsk) -> dict[str, Any]:
        """Show what the run waits for."""
        return await self._work(
            ask["head"], lambda run, _: pending.pause(run, ask), look_around=False
        )

    @activity.defn(name=FLUSH)
    async def flush(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Write what is pending."""
        return await self._work(ask["head"], _nothing, look_around=False)

    @activity.defn(name=END)
    async def end(self, ask: EndAsk) -> dict[str, Any]:
        """Record how the run ended."""
        head = ask["head"]
        answer = await self._work(head, lambda run, _: ending.end(run, ask))
        if answer.get("status") not in (None, str(RunStatus.RUNNING)):
            self._forget((head["run"], head["token"]))
        return answer

    @activity.defn(dynamic=True)
    async def call(self, arguments: Sequence[RawValue]) -> dict[str, Any]:
        """A step, an effect, an expiring value, or some items of a map."""
        ask: dict[str, Any] = activity.payload_converter().from_payload(arguments[0].payload, dict)
        op = ask["op"]
        if op == "chunk":
            answer = await self._chunk(cast("ChunkAsk", ask))
            answer["fp"] = ask["items"][0][2]
            return answer
        one = cast("StepAsk", ask)

        async def work(run: WorkerRun, _: Heart) -> dict[str, Any]:
            return cast("dict[str, Any]", await self._single(run, one))

        answer = await self._work(one["head"], work)
        answer["fp"] = one["fp"]
        return answer

    async def _single(self, run: WorkerRun, ask: StepAsk) -> Any:
        if ask["op"] == "effect":
            effect = run.host.registry.effect(run.job, ask["module"], ask["step"])
            if effect is None:
                raise _unknown("effect", ask["step"], ask["module"])
            adopt(effect.fn.__globals__)
            return {**await calls.effect(run, effect, ask), "code": effect.code}
        step = run.host.registry.step(run.job, ask["module"], ask["step"])
        if step is None:
            raise _unknown("step", ask["step"], ask["module"])
        answer = await (calls.mint if ask["op"] == "mint" else calls.step)(run, step, ask)
        return {**answer, "code": step.code}

    async def _chunk(self, ask: ChunkAsk) -> dict[str, Any]:
        async def work(run: WorkerRun, heart: Heart) -> dict[str, Any]:
            step = run.host.registry.step(run.job, ask["module"], ask["step"])
            if step is None:
                raise _unknown("step", ask["step"], ask["module"])
            answer = await Chunk(run, step, ask, heart).work()
            return {**answer, "code": step.code}

        count = len(ask["items"])
        back = {
            "values": [None] * count, "raw": {}, "failures": {}, "missing": list(range(count)),
            "executed": 0, "replayed": 0, "failed": 0,
        }  # fmt: skip
        return await self._work(ask["head"], work, back)

    async def _work(
        self,
        head: Head,
        work: Work,
        back: dict[str, Any] | None = None,
        look_around: bool = True,
    ) -> dict[str, Any]:
        """Do the work of one activity and make its answer of whatever becomes of it.

        `back` is the answer of a worker that leaves; by default the workflow asks again.
        """
        run: WorkerRun | None = None
        async with Heart(self.host.draining) as heart:
            try:
                run = await self._run(head)
                run.users += 1
                await pending.write(run, head)
                answer = await self._answer(run, work(run, heart))
                shown = look_around and await run.surrounded()
                if shown or head["pending"] or not answer.get("pure"):
                    await run.ledger.written()
            except Exception as error:
                self._drop_broken(run)
                raise_outage(error)
                return {"refused": refused(error)}
            except asyncio.CancelledError:
                if not leaves():
                    raise
                now = clock.now().timestamp()
                left = back or {"rest": {"until": now, "reason": "a worker that goes on"}}
                return {**left, "unwritten": True}
            finally:
                if run is not None:
                    run.users -= 1
        told = run.tell()
        made = answer.get("told", {}).get("mints", [])
        if told or made:
            # A later record of a value is the newer one.
            mints = {one["fp"]: one for one in (*told.get("mints", []), *made)}
            answer["told"] = {**told, "mints": list(mints.values())}
        return answer

    async def _answer(self, run: WorkerRun, work: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        try:
            try:
                return await work
            except BaseExceptionGroup as group:
                raise (_leaving(group) or group) from group
        except Resting as rest:
            return {"rest": together([rest])}
        except Holding as held:
            return {
                "held": {
                    "effect": held.effect, "key": held.key, "why": held.why,
                    "reason": run.decision(held),
                }
            }  # fmt: skip

    async def _run(self, head: Head) -> WorkerRun:
        """The run, as this worker knows it or gets to know it now."""
        key = head["run"], head["token"]
        known = self._runs.get(key)
        if known is None:
            job = self._job(head["job"])
            lock = self._opening.setdefault(key, asyncio.Lock())
            try:
                async with lock:
                    known = self._runs.get(key)
                    if known is None:
                        known = await self._open(head, job)
                        self._make_room()
                        self._runs[key] = known
            finally:
                self._opening.pop(key, None)
        else:
            self._runs[key] = self._runs.pop(key)  # the last to go
        known.adopt(head)
        return known

    async def _open(self, head: Head, job: Job[Any, Any]) -> WorkerRun:
        row = await self.host.journal.find(head["name"])
        if row is None or row.token != head["token"]:
            raise LeaseLost(
                f"run {head['name']} belongs to another execution by now",
                "Nothing needs to be done; the other one goes on.",
            )
        given = head["options"]
        options = Options(given["effects"], head["strict"], given["concurrency"], given["answers"])
        run = WorkerRun(self.host, job, row, options)
        await run.ledger.load_codes()
        run.begin()
        adopt(job.fn.__globals__)
        return run

    def _make_room(self) -> None:
        idle = [key for key, run in self._runs.items() if not run.users]
        for key in idle[: max(0, len(self._runs) - RUNS)]:
            self._forget(key)

    def _drop_broken(self, run: WorkerRun | None) -> None:
        """A lane that has failed once writes no more; the next activity gets another."""
        if run is not None and run.ledger.lane.broken is not None:
            self._forget((run.row.id, run.row.token))

    def _forget(self, key: tuple[int, int]) -> None:
        run = self._runs.pop(key, None)
        if run is not None:
            run.depart()

    def _job(self, name: str) -> Job[Any, Any]:
        job = self.jobs.get(name)
        if job is None:
            raise _unknown("job", name, "")
        return job


async def _nothing(_: WorkerRun, __: Heart) -> dict[str, Any]:
    return {}


def _leaving(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """What ends the activity, where a TaskGroup of the user has wrapped it."""
    found: BaseException | None = group.split((Resting, Holding))[0]
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def _unknown(kind: str, name: str, module: str) -> ApplicationError:
    where = f" of module '{module}'" if module else ""
    return ApplicationError(
        f"this worker does not know the {kind} '{name}'{where}. Start workers with the code that "
        f"has it; a {kind} has to be at the top level of a module. Another worker may know it.",
        type=UNKNOWN_STEP,
    )


def raise_outage(error: Exception) -> None:
    """Where something is away, have Temporal try again until it is back."""
    if isinstance(error, ApplicationError):
        raise error
    if isinstance(error, (StoreError, OSError)) and not isinstance(error, _LASTING):
        raise ApplicationError(brief(error), type=OUTAGE) from error


def refused(error: Exception) -> Refused:
    """An error as an answer: the run fails with it, where trying again for ever would hide it."""
    kind = type(error).__name__
    if not isinstance(error, NightproofError):
        return Refused(type=kind, message=f"{kind}: {brief(error)}", hint="")
    found = Refused(type=kind, message=brief(error), hint=error.hint)
    if isinstance(error, AlreadyRunning):
        found["run"] = error.run
    return found


def _own_generator() -> Any:
    from nightproof.durable.context import Scope

    found = current.get()
    return found.rng if isinstance(found, Scope) else None
