"""From claim to outcome: verify, replay, run the body, and record how it ended."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from zlib import crc32

from nightproof.blobs.claims import spills
from nightproof.blobs.protocol import Blobs
from nightproof.durable.job import Job
from nightproof.engines.attempt import ending as endings
from nightproof.engines.attempt.environment import Environment
from nightproof.engines.attempt.launching import Launch
from nightproof.engines.attempt.run import Run
from nightproof.engines.attempt.state import Ending, Options, Outcome
from nightproof.engines.attempt.witnessing import Witness
from nightproof.errors import (
    BlobError,
    CodeChanged,
    DeadlineExceeded,
    EffectHeld,
    Interrupted,
    LeaseLost,
    NightproofError,
    RunCancelled,
    RunParked,
    StepFailed,
    StoreError,
)
from nightproof.journal.protocol import Journal
from nightproof.journal.records import Finish, RunRow
from nightproof.model import clock, crash
from nightproof.model.code import comparable
from nightproof.model.states import Kind, RunStatus
from nightproof.provenance.seeds import adopt

_COUNTED = (Kind.RESULT, Kind.CHILD, Kind.EFFECT)


async def recorded(
    journal: Journal, blobs: Blobs, job: Job[Any, Any], row: RunRow, options: Options
) -> Outcome:
    """The outcome of a run that is already complete."""
    changed = {}
    if code_changed(job, row):
        if options.strict:
            raise CodeChanged(
                f"run {row.name} is complete, but the code of job '{job.name}' has changed since",
                "Run it afresh with --replicate, or without --strict to take the recorded result.",
            )
        changed[f"job '{job.name}'"] = (row.code, job.code)
    outcome = _outcome(row, RunStatus.COMPLETED)
    data = row.result
    if data is not None and row.result_crc not in (None, crc32(data)):
        raise BlobError(f"the recorded result of run {row.name} is damaged in the journal")
    if row.result_blob is not None:
        data = await asyncio.to_thread(blobs.get, row.result_blob)
    outcome.result, outcome.result_blob = data, row.result_blob
    outcome.value = job.result.decode(data if data is not None else b"null")
    outcome.code_changed = changed
    outcome.from_record = True
    tally = await journal.tally(row.id)
    outcome.replayed = sum(count for kind, _, count in tally if kind in _COUNTED)
    delivered = await journal.entries(row.id, kinds=(Kind.ARTIFACT,))
    for entry in delivered:
        note = json.loads(entry.output or b"{}")
        outcome.artifacts.append({"path": note["path"], "sha256": note["sha256"], "manifest": None})
    if delivered:
        from nightproof.engines.attempt import stamping  # only for runs with artifacts

        await stamping.placed(journal, row.id, outcome.artifacts, delivered[-1].seq)
    return outcome


def code_changed(job: Job[Any, Any], row: RunRow) -> bool:
    """Whether the job's body is not what the run was recorded with."""
    return bool(row.code) and row.code != job.code and comparable(row.code, job.code)


def _outcome(row: RunRow, status: RunStatus) -> Outcome:
    return Outcome(row.name, row.job, status)


async def attempt(
    run: Run,
    launch: Launch,
    before: RunStatus | None,
    environment: Environment,
    witness: Witness,
    lost: str = "",
) -> Outcome:
    """Drive the body to its end and record it.

    `lost` says why the result of a run that was complete has to be worked out again.
    """
    if launch.watch is not None:
        launch.watch(run)
    try:
        await _prepare(run, launch, before)
        if run.resumed and launch.options.strict:
            await environment.refuse_another()
        witness.open(launch.options.strict)
    except BaseException as refusal:
        await refused(run, before, refusal)
        raise
    adopt(run.job.fn.__globals__)
    for kind, data in launch.notes.items():
        run.note(kind, data)
    if lost:
        what = f"job '{run.job.name}'"
        run.note("result-lost", {"step": what, "message": f"{what} runs again: {lost}"})
    deadline = _arm_deadline(run)
    task = run.task = run.loop.create_task(run.body(launch.contract))
    environment.begin()
    witness.begin()
    if run.ending is not None:
        task.cancel()
    value, error = None, None
    try:
        try:
            value = await task
        except Exception as raised:
            error = raised
        await run.settle()
        await environment.finish()
        await witness.finish()
    except asyncio.CancelledError:
        if run.ending is None:
            # The caller's own task was cancelled: leave the run resumable.
            run.stop(Ending("interrupted"))
            await asyncio.gather(task, return_exceptions=True)
            await finish(run, RunStatus.RUNNING, "interrupted")
            raise
        await environment.finish()
        await witness.finish()
        return await _stopped(run, run.ending)
    finally:
        environment.leave()
        witness.leave()
        run.release()
        if deadline is not None:
            deadline.cancel()
    if error is None:
        return await _completed(run, value)
    if run.ending is not None and not isinstance(error, StepFailed):
        return await _stopped(run, run.ending)
    return await _failed(run, error)


async def refused(run: Run, before: RunStatus | None, error: BaseException) -> None:
    """The attempt never began: a new run has failed, another stays what it was."""
    if before is None and isinstance(error, NightproofError):
        stored = json.dumps(endings.stored(error)).encode()
        await release(run, "refused", RunStatus.FAILED, stored)
    elif before in (RunStatus.FAILED, RunStatus.CANCELLED):
        await release(run, "refused", before, run.row.error)
    else:
        await release(run, "refused")


async def _prepare(run: Run, launch: Launch, before: RunStatus | None) -> None:
    if launch.verify is not None:
        await launch.verify(launch.contract)
    ledger, row = run.ledger, run.row
    ledger.strict = launch.options.strict
    if before is None:
        return
    run.resumed = True
    await ledger.load(retry_failures=before in (RunStatus.FAILED, RunStatus.CANCELLED))
    if code_changed(run.job, row):
        ledger.code_changed(f"job '{run.job.name}'", row.code, run.job.code)
    if ledger.damaged:
        run.note(
            "damaged",
            {
                "message": f"{ledger.damaged} journal entries are damaged; their steps run again",
                "count": ledger.damaged,
            },
        )


def _arm_deadline(run: Run) -> asyncio.TimerHandle | None:
    limit = run.job.deadline
    if limit is None:
        return None
    left = run.row.created / 1000 + limit - clock.now().timestamp()
    error = DeadlineExceeded(
        f"run {run.row.name} took longer than its deadline of {limit:g} s",
        "Raise @job(deadline=...) or find out what was slow with `nightproof steps`.",
    )
    return run.loop.call_later(max(0.0, left), run.stop, Ending("deadline", error))


async def _completed(run: Run, value: Any) -> Outcome:
    try:
        data = run.job.result.encode(value)
        value = run.job.result.decode(data)
    except NightproofError as error:
        return await _failed(run, error)
    if run.resumed:
        if run.ledger.undone:
            return await _failed(run, endings.half_undone(run))
        await endings.divergences(run)
    if run.artifacts and (refusal := await _unstamped(run)) is not None:
        return refusal
    if crash.armed:
        crash.hit("complete:before", run.job.name)
    blob = None
    if spills(data):
        blob = await run.ledger.spill(data)
    await finish(
        run,
        RunStatus.COMPLETED,
        "completed",
        result=None if blob else data,
        result_blob=blob,
        code=run.job.code,
    )
    if crash.armed:
        crash.hit("complete:after", run.job.name)
    outcome = _counted(run, RunStatus.COMPLETED)
    outcome.value = value
    outcome.result, outcome.result_blob = data, blob
    return outcome


async def _unstamped(run: Run) -> Outcome | None:
    """Write the manifests; where that fails, the run stays resumable: all its work is done."""
    from nightproof.engines.attempt import stamping  # only for runs with artifacts

    try:
        await stamping.stamp(run)
    except LeaseLost as error:
        return _counted(run, RunStatus.RUNNING, error)
    except NightproofError as error:
        await release(run, "manifest failed")
        return _counted(run, RunStatus.RUNNING, error)
    return None


async def _failed(run: Run, error: BaseException) -> Outcome:
    if isinstance(error, LeaseLost):
        return _counted(run, RunStatus.RUNNING, error)
    if isinstance(error, (StoreError, CodeChanged)):
        await release(run, "store failed")
        return _counted(run, RunStatus.RUNNING, error)
    problems = await _undo(run)
    stored = endings.stored(error)
    if problems:
        stored["undo"] = problems
    await finish(run, RunStatus.FAILED, "failed", error=json.dumps(stored).encode())
    return _counted(run, RunStatus.FAILED, error)


async def _undo(run: Run) -> list[str]:
    if not run.undoable:
        return []
    return await endings.undo(run)


async def _stopped(run: Run, why: Ending) -> Outcome:
    name = run.row.name
    again = f"`nightproof resume {name}` goes on from there."
    if why.reason == "lost":
        return _counted(run, RunStatus.RUNNING, why.error)
    if why.reason == "deadline":
        return await _failed(run, why.error or DeadlineExceeded("deadline"))
    if why.reason == "cancelled":
        await finish(run, RunStatus.CANCELLED, "cancelled")
        return _counted(run, RunStatus.CANCELLED, RunCancelled(f"run {name} was cancelled", again))
    if why.reason in ("parked", "held"):
        wake = None if why.wake is None else int(why.wake * 1000)
        await finish(run, RunStatus.PARKED, why.reason, wake=wake, waiting=why.waiting)
        until = None if wake is None else clock.from_ms(wake)
        kind = EffectHeld if why.reason == "held" else RunParked
        message = f"run {name} is parked: it waits for {why.waiting}"
        if why.reason == "held":
            message = f"run {name} stopped: {why.waiting}"
        return _counted(run, RunStatus.PARKED, kind(message, again, until=until))
    await finish(run, RunStatus.RUNNING, "interrupted")
    error = Interrupted(f"run {name} was interrupted and can be resumed", again)
    return _counted(run, RunStatus.RUNNING, error)


async def finish(run: Run, status: RunStatus, outcome: str, **fields: Any) -> None:
    """Write how the attempt ended, and give the run back; see the record of that name."""
    lane = run.ledger.lane
    lane.writes.extend(run.ledger.used_blobs)
    run.ledger.used_blobs = []
    lane.writes.append(Finish(status, clock.now_ms(), outcome, **fields))
    waiting = lane.sync_alone() if run.engine.alone else lane.sync()
    if waiting is not None:
        await waiting


async def release(
    run: Run,
    outcome: str,
    status: RunStatus = RunStatus.RUNNING,
    error: bytes | None = None,
) -> None:
    """Give the lease back as well as the store allows."""
    try:
        run.ledger.lane.broken = None
        await finish(run, status, outcome, error=error)
    except NightproofError:
        # The store that failed before fails again; the lease ends with this process.
        return


def _counted(run: Run, status: RunStatus, error: BaseException | None = None) -> Outcome:
    outcome = _outcome(run.row, status)
    outcome.error = error
    outcome.executed = run.progress.executed
    outcome.replayed = run.progress.replayed
    outcome.failed = run.progress.failed
    outcome.artifacts = run.artifacts
    outcome.divergences = run.divergences
    outcome.code_changed = run.ledger.changed
    return outcome
