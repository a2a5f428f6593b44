"""The workflow of a run: begin, the job's body, end; and what may come in between.

One class for all jobs, so that Temporal's own tools show the job's name as the
workflow's type. Bodies are not sandboxed and not versioned: what is on record is found by
fingerprint, and an execution that no longer fits its history is replaced by a new one
(:data:`nightproof.engines.temporal.starting.RETRY`).
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, NoReturn, TypeVar, cast

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, CancelledError, FailureError

from nightproof.durable.job import Job
from nightproof.engines.attempt.ending import stored
from nightproof.engines.attempt.state import Ending
from nightproof.engines.temporal.asking import FOREVER, RETRY
from nightproof.engines.temporal.execution import Host
from nightproof.engines.temporal.messages import (
    BEGIN,
    END,
    BeginAnswer,
    BeginAsk,
    EndAsk,
    OutcomeAnswer,
)
from nightproof.engines.temporal.runtime import WorkflowRuntime
from nightproof.engines.temporal.starting import STATUS, Carried, Request
from nightproof.engines.temporal.waiting import CHILD
from nightproof.errors import (
    CodeChanged,
    DeadlineExceeded,
    LeaseLost,
    MisuseError,
    NightproofError,
    StepFailed,
    StoreError,
)
from nightproof.provenance.seeds import adopt

POKE = "nightproof.poke"
STATE = "nightproof.state"
T = TypeVar("T")

_hosts: dict[str, Host] = {}


def serve(host: Host) -> None:
    """Lend this process's jobs to the workflows of a task queue; call it before polling."""
    _hosts[host.task_queue] = host


@workflow.defn(dynamic=True, sandboxed=False)
class JobWorkflow:
    """One execution of a run."""

    def __init__(self) -> None:
        self._runtime: WorkflowRuntime | None = None
        self._cancelled = False
        self._pokes = 0

    @workflow.signal(name=POKE)
    def poke(self) -> None:
        """Something came that the run may wait for: look."""
        self._pokes += 1
        if self._runtime is not None:
            self._runtime.waits.poke()

    @workflow.signal(name=CHILD)
    def child(self, news: dict[str, Any]) -> None:
        """A child run is parked, or goes on."""
        if self._runtime is not None:
            self._runtime.waits.child(news["run"], news["parked"], news["wake"])

    @workflow.query(name=STATE)
    def state(self) -> dict[str, Any]:
        """How far the run is: whether it only waits, for what, and the steps by name."""
        run = self._runtime
        if run is None:
            return {"idle": False, "waiting": "", "wake": None, "steps": {}}
        steps = {
            name: [one.total, one.executed, one.replayed, one.failed, one.retries]
            for name, one in run.progress.steps.items()
        }
        idle = run.waits.idle
        return {
            "idle": idle,
            "waiting": run.waits.parked if idle else "",
            "wake": run.waits.wake if idle else None,
            "steps": steps,
        }

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> OutcomeAnswer:
        """The outcome of the run; see `messages.OutcomeAnswer`."""
        ask = cast("Request", workflow.payload_converter().from_payload(args[0].payload, dict))
        work = asyncio.ensure_future(self._work(ask))
        while not work.done():
            try:
                await asyncio.wait((work,))
            except asyncio.CancelledError:
                # What has to be written is written all the same.
                self._cancelled = True
                if self._runtime is not None:
                    self._runtime.stop(Ending("cancelled"))
        return work.result()

    async def _work(self, ask: Request) -> OutcomeAnswer:
        info = workflow.info()
        host = _hosts.get(info.task_queue)
        if host is None or (job := host.jobs.get(ask["job"])) is None:
            # Fails the workflow task only: another worker may know the job.
            raise LookupError(f"this worker does not have the job '{ask['job']}'")
        begun = await _begin(ask)
        if "refused" in begun:
            _refuse(OutcomeAnswer(refused=begun["refused"]))
        if "recorded" in begun:
            return begun["recorded"]
        contract = _contract(job, ask)
        folder = contract.source_folder
        run = WorkflowRuntime(host, job, ask, begun, None if folder is None else str(folder))
        if (carried := ask.get("carried")) is not None:
            _carry_on(run, carried)
        self._runtime = run
        run.waits.pokes = self._pokes
        run.waits.parked = begun.get("waiting", "")  # as a continued execution has left it
        if self._cancelled or begun.get("cancelled"):
            run.stop(Ending("cancelled"))
        return await _Execution(run, begun).drive(contract)


async def _begin(ask: Request) -> BeginAnswer:
    info = workflow.info()
    carried = ask.get("carried")
    message = BeginAsk(
        job=ask["job"],
        contract=ask["contract"],
        replicate=ask["replicate"],
        options=ask["options"],
        strict=ask["strict"],
        remembered=ask["remembered"],
        parent=ask["parent"],
        target=ask["target"],
        workflow=info.workflow_id,
        started_ms=int(workflow.time() * 1000),
        token=carried["token"] if carried is not None else None,
        notes={} if carried is not None else ask["notes"],
    )
    found = await workflow.execute_activity(
        BEGIN, message, result_type=dict, start_to_close_timeout=FOREVER, retry_policy=RETRY,
        heartbeat_timeout=timedelta(seconds=_hosts[info.task_queue].heartbeat),
    )  # fmt: skip
    return cast("BeginAnswer", found)


def _contract(job: Job[Any, Any], ask: Request) -> Any:
    """The contract, where its relative paths start included."""
    import json  # as everywhere for what was remembered

    folder = json.loads(ask["remembered"] or "{}").get("folder")
    return job.contract_type.load(ask["contract"].encode()).in_folder(folder)


def _carry_on(run: WorkflowRuntime, carried: Carried) -> None:
    """Go on as the same attempt, in a new history."""
    run.resumed = carried["resumed"]
    run.retries = carried["retries"]
    run.divergences = list(carried["divergences"])
    run.record.changed.update(carried["changed"])


def _refuse(answer: OutcomeAnswer) -> NoReturn:
    refused = answer.get("refused")
    error = answer.get("error") or {}
    kind = refused["type"] if refused is not None else str(error.get("type"))
    told = refused["message"] if refused is not None else str(error.get("message"))
    raise ApplicationError(told, answer, type=kind, non_retryable=True)


class _Execution:
    """From the body's first line to how it ended."""

    def __init__(self, run: WorkflowRuntime, begun: BeginAnswer) -> None:
        self._run = run
        self._code = begun.get("code")
        carried = run.ask.get("carried")
        self._before = carried["executed"] if carried is not None else {}
        last = carried["last_seq"] if carried is not None else begun.get("last_seq", -1)
        self._last_seq = last

    async def drive(self, contract: Any) -> OutcomeAnswer:
        """Run the body and record how it ended."""
        run = self._run
        adopt(run.job.fn.__globals__)
        deadline = self._arm_deadline()
        try:
            run.record.heard(f"job '{run.job.name}'", self._code, run.job.code)
        except CodeChanged as changed:
            return await self._failed(changed)
        run.task = asyncio.ensure_future(run.body(contract))
        if run.ending is not None:
            run.task.cancel()
        value: Any = None
        error: Exception | None = None
        try:
            try:
                value = await run.task
            except NotImplementedError as raised:
                error = _beyond(run.job, raised)
            except Exception as raised:
                error = raised
            await run.settle()
        except asyncio.CancelledError:
            pass  # run.ending says why
        finally:
            run.release()
            if deadline is not None:
                deadline.cancel()
        why = run.ending
        if why is not None and not isinstance(error, StepFailed):
            return await self._stopped(why)
        if error is not None:
            return await self._failed(error)
        return await self._completed(value)

    def _arm_deadline(self) -> asyncio.TimerHandle | None:
        run = self._run
        limit = run.job.deadline
        if limit is None:
            return None
        error = DeadlineExceeded(
            f"run {run.facts['name']} took longer than its deadline of {limit:g} s",
            "Raise @job(deadline=...) or find out what was slow with `nightproof steps`.",
        )
        left = run.facts["created_ms"] / 1000 + limit - workflow.time()
        loop = asyncio.get_running_loop()
        return loop.call_later(max(left, 0.0), run.stop, Ending("deadline", error))

    async def _completed(self, value: Any) -> OutcomeAnswer:
        try:
            text = self._run.job.result.encode(value).decode()
            self._run.job.result.decode(text.encode())
        except NightproofError as error:
            return await self._failed(error)
        answer = await self._end("completed", result=text)
        if "refused" in answer or answer.get("status") != "completed":
            _refuse(answer)
        return answer

    async def _failed(self, error: BaseException) -> OutcomeAnswer:
        if isinstance(error, LeaseLost):
            _refuse(_refusal(error))
        if isinstance(error, (StoreError, CodeChanged)):
            await self._end("released", error=_told(error))
            _refuse(_refusal(error))
        kept = stored(error)
        if isinstance(error, NightproofError) and error.hint:
            kept["hint"] = error.hint  # the client shows what to do
        _refuse(await self._end("failed", error=kept))

    async def _stopped(self, why: Ending) -> OutcomeAnswer:
        run = self._run
        if why.reason == "renewed":
            await run.asking.flush()
            if run.ending is why:
                workflow.continue_as_new(Request({**run.ask, "carried": self._carried()}))
        if why.reason == "replaced":
            raise cast("Any", why.error)
        if why.reason == "lost":
            _refuse(_refusal(why.error or LeaseLost("another execution has taken over")))
        if why.reason == "deadline":
            return await self._failed(why.error or DeadlineExceeded("deadline"))
        for child in run.cancelling:
            with suppress(FailureError):  # it has ended meanwhile
                await workflow.get_external_workflow_handle(child).cancel()
        await self._end("cancelled")
        raise CancelledError(f"run {run.facts['name']} was cancelled")

    def _carried(self) -> Carried:
        run = self._run
        executed = dict(self._before)
        for name, one in run.progress.steps.items():
            executed[name] = executed.get(name, 0) + one.executed
        return Carried(
            token=run.facts["token"],
            executed=executed,
            resumed=run.resumed,
            last_seq=self._last_seq,
            retries=run.retries,
            divergences=run.divergences,
            changed=run.record.changed,
        )

    async def _end(self, status: str, **how: Any) -> OutcomeAnswer:
        """Record the end: undo, divergences, manifests, the run's row."""
        run = self._run
        executed, replayed = run.progress.executed, run.progress.replayed
        # What earlier executions of this attempt did is on record for this one.
        earlier = min(sum(self._before.values()), replayed)
        message = {
            "status": status,
            "resumed": run.resumed,
            "undoable": [] if status == "released" else run.undoable,
            "unasked": sorted(found.seq for found in run.record.unasked()),
            "last_seq": self._last_seq,
            "executed": executed + earlier,
            "replayed": replayed - earlier,
            "failed": run.progress.failed,
            "artifacts": run.artifacts,
            "divergences": run.divergences,
            "changed": run.record.changed,
            **how,
        }
        asked = cast("EndAsk", message)
        try:
            answer = await run.asking.ask(END, asked, f"end-{status}", works=False, last=True)
        except NightproofError as error:
            # An execution that could not end would be tried for ever, and hold the run.
            if status != "released" and not isinstance(error, LeaseLost):
                await self._end("released", error=_told(error))
            _refuse(_refusal(error))
        if run.ask["attributes"]:
            workflow.upsert_search_attributes([STATUS.value_set(status)])
        return cast("OutcomeAnswer", answer)


def _beyond(job: Job[Any, Any], error: NotImplementedError) -> Exception:
    """What a body gets that wants a thread or a connection of a workflow's event loop."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or not frames[-1].filename.endswith("asyncio/events.py"):
        return error
    return MisuseError(
        f"the body of job '{job.name}' called {frames[-1].name}(), which there is not in a workflow",
        "On Temporal a body only decides: put threads, files and connections into a step.",
    )


def _told(error: BaseException) -> dict[str, Any]:
    kept = error if isinstance(error, NightproofError) else None
    return {
        "type": type(error).__name__,
        "message": kept.message if kept is not None else str(error),
        "hint": kept.hint if kept is not None else "",
    }


def _refusal(error: BaseException) -> OutcomeAnswer:
    return OutcomeAnswer(refused=cast("Any", _told(error)))
