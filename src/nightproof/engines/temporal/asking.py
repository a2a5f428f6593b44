"""How a workflow asks workers: one activity at a time through a gate, with what is pending."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from nightproof import errors
from nightproof.engines.attempt.state import Ending
from nightproof.engines.temporal.execution import Execution
from nightproof.engines.temporal.messages import (
    FLUSH,
    PAUSE,
    FlushAsk,
    event_fp,
)
from nightproof.engines.temporal.parts import (
    Head,
    MintRecord,
    Pending,
    Refused,
    Told,
)
from nightproof.errors import LeaseLost, NightproofError, RunFailed
from nightproof.model.fingerprint import Occurrences
from nightproof.model.states import Kind

FLYING = 200
"""So many activities a run has under way at most; Temporal allows 2000."""
FOREVER = timedelta(days=3650)
"""How long a step may take: its own timeout and the heartbeat say when it is over."""
RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
"""For what is nobody's fault: a store that is away, a worker that does not know the step."""


class Asking:
    """The activities of one execution, and the entries that wait for the next of them."""

    def __init__(self, run: Execution) -> None:
        self._run = run
        self._gate = asyncio.Semaphore(FLYING)
        self._pending: list[Pending] = []
        self._late: list[Pending] = []
        self._times: dict[str, int] = {}
        self._asked = 0
        self._said = Occurrences()
        self.flying = 0
        """Activities under way, those that only write what the run row shows not counted."""

    def later(self, entry: Pending) -> None:
        """Have an entry written before whatever the next activity does."""
        self._pending.append(entry)

    def event(self, output: str, fp: bytes | None = None) -> None:
        """Have a line of the log written; once, however often this is replayed."""
        facts = self._run.facts
        mark = fp or self._said.next(event_fp(facts["id"], facts["token"], output))
        entry = Pending(kind=Kind.EVENT, fp=mark.hex(), output=output)
        if fp is not None and workflow.unsafe.is_replaying():
            # New code found something in an old history, whose activities have been sent:
            # the next one that really is takes it along.
            self._late.append(entry)
        else:
            self.later(entry)

    def head(self, mints: list[MintRecord] | None = None) -> Head:
        """What every activity is told, pending entries included."""
        run = self._run
        self._asked += 1
        made = Head(
            run=run.facts["id"],
            name=run.facts["name"],
            job=run.job.name,
            token=run.facts["token"],
            n=self._asked,
            strict=run.ask["strict"],
            options=run.ask["options"],
            pending=[*self._pending, *(() if workflow.unsafe.is_replaying() else self._late)],
        )
        if mints:
            made["mints"] = mints
        return made

    async def ask(
        self,
        activity: str,
        message: Mapping[str, Any],
        ident: str,
        *,
        mints: list[MintRecord] | None = None,
        local: bool = False,
        works: bool = True,
        last: bool = False,
    ) -> Any:
        """Carry out one activity; its answer.

        `ident` tells it from others in Temporal's history, which is compared on replay.
        `works` counts it as work of the run, `last` lets it through when nothing may begin
        any more. Raises what the answer refuses with.
        """
        run = self._run
        if not last:
            await run.turn()
        async with self._gate:
            if not last:
                await run.turn()
            counts = activity != PAUSE
            self.flying += counts
            try:
                if works:
                    await run.waits.go_on()
                    run.active += 1
                try:
                    answer = await self._flown(activity, message, ident, mints, local)
                finally:
                    run.active -= works
                    run.worked()
            finally:
                self.flying -= counts
        return self._heard(answer)

    async def _flown(
        self,
        activity: str,
        message: Mapping[str, Any],
        ident: str,
        mints: list[MintRecord] | None,
        local: bool,
    ) -> Any:
        head = self.head(mints)
        times = self._times[ident] = self._times.get(ident, 0) + 1
        name = ident if times == 1 else f"{ident}.{times}"
        content = {"head": head, **message}
        try:
            if local:
                answer = await workflow.execute_local_activity(
                    activity, content, result_type=dict, activity_id=name,
                    start_to_close_timeout=FOREVER, retry_policy=RETRY,
                )  # fmt: skip
            else:
                answer = await workflow.execute_activity(
                    activity, content, result_type=dict, activity_id=name,
                    start_to_close_timeout=FOREVER, retry_policy=RETRY,
                    heartbeat_timeout=timedelta(seconds=self._run.host.heartbeat),
                    cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
                    if "items" in message
                    else workflow.ActivityCancellationType.TRY_CANCEL,
                )  # fmt: skip
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from None
            raise _broken(activity, error) from error
        if "refused" in answer or answer.get("unwritten"):
            return answer  # what was pending may not be on disk: it goes along again
        written = {id(entry) for entry in head["pending"]}
        self._pending = [entry for entry in self._pending if id(entry) not in written]
        self._late = [entry for entry in self._late if id(entry) not in written]
        return answer

    def _heard(self, answer: Any) -> Any:
        run = self._run
        told = cast("Told", answer.get("told") or {})
        run.retries += told.get("retries", 0)
        for found in told.get("divergences", ()):
            if found not in run.divergences:
                run.divergences.append(found)
        for what, (before, after) in told.get("changed", {}).items():
            run.record.changed[what] = (before, after)
        run.mints.learn(told.get("mints", ()))
        refused = answer.get("refused")
        if refused is not None:
            error = error_of(refused)
            if isinstance(error, LeaseLost):
                run.stop(Ending("lost", error))
            raise error
        return answer

    async def flush(self) -> None:
        """Write what is pending now."""
        if self._pending:
            await self.ask(FLUSH, cast("FlushAsk", {}), "flush", works=False, last=True)


def error_of(refused: Refused) -> NightproofError:
    """The error that an answer refuses with."""
    kind = getattr(errors, refused["type"], None)
    if not (isinstance(kind, type) and issubclass(kind, NightproofError)):
        return RunFailed(refused["message"], refused["hint"], type=refused["type"])
    error = kind.__new__(kind)
    NightproofError.__init__(error, refused["message"], refused["hint"])
    for name, value in (("run", refused.get("run", "")), ("until", None), ("type", kind.__name__)):
        if not hasattr(error, name):
            setattr(error, name, value)
    return error


def _broken(activity: str, error: ActivityError) -> RunFailed:
    """An activity that neither answered nor is tried again: a defect, said as what it is."""
    cause = error.cause
    kind = (cause.type if isinstance(cause, ApplicationError) else None) or type(cause).__name__
    return RunFailed(f"activity '{activity}' broke: {kind}: {cause}", type=kind)
