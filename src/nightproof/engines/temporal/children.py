"""Child runs: workflows of their own, which outlive a parent that is replaced or continued."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

from temporalio import workflow
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from nightproof.durable.job import Job
from nightproof.engines.attempt.ending import child_failure, stored
from nightproof.engines.attempt.state import Options
from nightproof.engines.temporal.codec import run_of
from nightproof.engines.temporal.execution import Execution
from nightproof.engines.temporal.messages import OutcomeAnswer
from nightproof.engines.temporal.parts import Pending
from nightproof.engines.temporal.record import short
from nightproof.engines.temporal.starting import request, started
from nightproof.errors import RunCancelled
from nightproof.journal.records import run_name
from nightproof.model.fingerprint import fingerprint
from nightproof.model.states import Kind

AGAIN_SECONDS = (1.0, 2.0, 5.0, 15.0, 60.0)
"""How long to wait for a child that somebody else runs, before looking again; the last for ever."""


class Children:
    """The child runs of one run."""

    def __init__(self, run: Execution) -> None:
        self._run = run

    async def run(self, job: Job[Any, Any], contract: Any) -> Any:
        """The result of a child run, which the parent records; raises as its failure did."""
        run = self._run
        text = contract.to_json().encode()
        fp = run.seen.next(fingerprint(b"\0child", [job.name.encode(), text]))
        found = run.record.take(fp)
        data = short(found)
        counter = run.progress.of(job.name)
        if found is not None and data is not None:
            if found.kind == Kind.FAILURE:
                counter.failed += 1
                kept = json.loads(data)
                raise child_failure(kept["run"], kept)
            counter.replayed += 1
            return job.result.decode(data)
        if found is not None and (recalled := await run.record.recall(found)) is not None:
            if "failed" in recalled:
                kept = dict(recalled["failed"])
                counter.failed += 1
                raise child_failure(str(kept["run"]), kept)
            counter.replayed += 1
            return job.result.decode(recalled["ok"].encode())
        outcome = await self._outcome(job, contract)
        run.news += 1
        name = run_name(job.name, contract.digest, run.facts["replicate"])
        inputs = json.dumps([name])
        if "error" in outcome:
            counter.failed += 1
            kept = {"run": name, **outcome["error"]}
            run.asking.later(
                Pending(kind=Kind.FAILURE, fp=fp.hex(), output=json.dumps(kept), inputs=inputs)
            )
            raise child_failure(name, kept)
        counter.executed += 1
        run.asking.later(
            Pending(kind=Kind.CHILD, fp=fp.hex(), output=outcome["result"], inputs=inputs)
        )
        return job.result.decode(outcome["result"].encode())

    async def _outcome(self, job: Job[Any, Any], contract: Any) -> OutcomeAnswer:
        """Start the child, or wait for who runs it, until it has an outcome."""
        run = self._run
        given = run.ask["options"]
        options = Options(
            given["effects"], run.ask["strict"], given["concurrency"], given["answers"]
        )
        ask = request(
            job, contract, replicate=run.facts["replicate"], options=options,
            parent=run.facts["id"], attributes=run.ask["attributes"],
        )  # fmt: skip
        tries = 0
        while True:
            await run.turn()
            await run.asking.flush()  # what has made the contract, like now(), is on record first
            await run.waits.go_on()
            try:
                return await self._once(started(ask))
            except WorkflowAlreadyStartedError:
                pause = AGAIN_SECONDS[min(tries, len(AGAIN_SECONDS) - 1)]
                tries += 1
                name = run_name(job.name, contract.digest, run.facts["replicate"])
                await run.waits.rest(workflow.time() + pause, f"child run {name}")

    async def _once(self, arguments: dict[str, Any]) -> OutcomeAnswer:
        run = self._run
        name = run_of(arguments["id"])
        run.flights += 1
        run.waits.awaited.add(name)
        try:
            handle = await workflow.start_child_workflow(
                **arguments,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
                result_type=dict,
            )
            return cast("OutcomeAnswer", await handle)
        except ChildWorkflowError as error:
            if run.ending is not None:
                raise asyncio.CancelledError from None
            return _failed(arguments["id"], error)
        finally:
            run.waits.child(name, False, None)
            run.waits.awaited.discard(name)
            run.flights -= 1
            run.waits.consider()
            if run.ending is not None and run.ending.reason == "cancelled":
                # Not awaited: the child ends in its own time.
                run.cancelling.append(arguments["id"])


def _failed(workflow_id: str, error: ChildWorkflowError) -> OutcomeAnswer:
    """What became of a child that did not complete."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.details:
        told: OutcomeAnswer = cause.details[0]
        refused = told.get("refused")
        if refused is not None and refused["type"] == "AlreadyRunning":
            raise WorkflowAlreadyStartedError(workflow_id, "")
        if refused is not None:
            kept = {"type": refused["type"], "message": refused["message"]}
            return OutcomeAnswer(error=kept)
        return told
    if is_cancelled_exception(error):
        return OutcomeAnswer(error=stored(RunCancelled("it was cancelled")))
    kind = type(cause).__name__ if cause is not None else "ChildWorkflowError"
    return OutcomeAnswer(error={"type": kind, "message": str(cause or error)})
