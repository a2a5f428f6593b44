"""Runs on Temporal, from outside: start one, wait for it, say how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    TerminatedError,
    WorkflowAlreadyStartedError,
)
from temporalio.service import RPCError, RPCStatusCode

from nightproof import errors
from nightproof.blobs.protocol import Blobs
from nightproof.durable.job import Job
from nightproof.engines.attempt.files import artifact_path, read_digest, write_atomically
from nightproof.engines.attempt.state import Outcome
from nightproof.engines.temporal.connection import Connection, refused
from nightproof.engines.temporal.messages import ArtifactNote, OutcomeAnswer
from nightproof.engines.temporal.parts import Refused
from nightproof.engines.temporal.starting import Request, started
from nightproof.errors import (
    AlreadyRunning,
    EngineError,
    NightproofError,
    RunCancelled,
    RunFailed,
    StepFailed,
)
from nightproof.model.states import RunStatus


class Begun(NamedTuple):
    """The workflow of a run; `joined` where it was there before."""

    handle: WorkflowHandle[Any, Any]
    joined: bool


class FailedElsewhere(RunFailed):
    """The run failed in a worker, by an exception of class `type` that this process never saw."""

    @property
    def shown_type(self) -> str:
        """The class by whose name it is shown."""
        return self.type


async def start(connection: Connection, ask: Request) -> Begun:
    """Start the workflow of a run, or find the one that is running. Raises EngineError."""
    given = started(ask)
    client = connection.client
    try:
        handle = await client.start_workflow(**given, task_queue=connection.address.task_queue)
    except WorkflowAlreadyStartedError:
        return Begun(client.get_workflow_handle(given["id"]), True)
    except RPCError as error:
        raise refused(error, connection.address) from None
    return Begun(handle, False)


async def result(connection: Connection, begun: Begun) -> OutcomeAnswer:
    """How the run ended, when it has.

    Raises EngineError where Temporal has lost or ended it, Away where it does not answer.
    """
    name = begun.handle.id.partition("/")[2]
    try:
        found: OutcomeAnswer = await begun.handle.result()
        return found
    except WorkflowFailureError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.details:
            told: OutcomeAnswer = cause.details[0]
            return told
        if isinstance(cause, CancelledError):
            raise RunCancelled(
                f"run {name} was cancelled", f"`nightproof resume {name}` goes on from there."
            ) from None
        if isinstance(cause, TerminatedError):
            raise EngineError(
                f"the workflow of run {name} was terminated: {cause.message}",
                f"`nightproof resume {name}` goes on with what is on record.",
            ) from None
        raise EngineError(
            f"the workflow of run {name} failed: {cause}",
            "This is not the job's failure: the worker's log says more.",
        ) from None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise EngineError(
                f"Temporal has no workflow of run {name} any more",
                f"`nightproof resume {name}` goes on with what is on record.",
            ) from None
        raise refused(error, connection.address) from None


async def outcome(
    answer: OutcomeAnswer, name: str, job: Job[Any, Any], blobs: Blobs, artifacts_root: Path
) -> Outcome:
    """The outcome that the embedded engine would give, with the artifacts on this machine."""
    found = Outcome(name, job.name, RunStatus(answer.get("status", "running")))
    found.executed, found.replayed = answer.get("executed", 0), answer.get("replayed", 0)
    found.failed = answer.get("failed", 0)
    found.divergences = list(answer.get("divergences", ()))
    found.code_changed = {
        what: (before, after) for what, (before, after) in answer.get("changed", {}).items()
    }
    found.from_record = answer.get("from_record", False)
    if (why := answer.get("refused")) is not None:
        found.error = mended(why)
        if found.status is RunStatus.COMPLETED:
            found.status = RunStatus.RUNNING
    elif found.status is RunStatus.COMPLETED:
        text = answer.get("result")
        found.result_blob = answer.get("result_blob")
        data = text.encode() if text is not None else b"null"
        if text is None and found.result_blob is not None:
            data = await asyncio.to_thread(blobs.get, found.result_blob)
        found.result, found.value = data, job.result.decode(data)
    elif found.status is RunStatus.CANCELLED:
        again = f"`nightproof resume {found.name}` goes on from there."
        found.error = RunCancelled(f"run {found.name} was cancelled", again)
    else:
        found.error = failure(found.name, answer.get("error") or {})
    for note in answer.get("artifacts", ()):
        found.artifacts.append(
            await asyncio.to_thread(_placed, note, found.name, blobs, artifacts_root)
        )
    return found


def failure(run: str, kept: Mapping[str, Any]) -> NightproofError:
    """The error that ended a run, from what is recorded of it."""
    if "step" in kept:
        return StepFailed(
            kept["step"], kept["failed"], kept["reason"], kept["attempts"], kept["key"]
        )
    name, message = kept.get("type", "RunFailed"), kept.get("message", f"run {run} failed")
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, NightproofError):
        with suppress(TypeError):
            return kind(message, kept.get("hint", ""))
    return FailedElsewhere(f"{name}: {message}" if message else name, type=name)


def mended(why: Refused) -> NightproofError:
    """The error that a worker refused with, as it was raised there."""
    kind = getattr(errors, why["type"], EngineError)
    if kind is AlreadyRunning:
        return AlreadyRunning(why["message"], why["hint"], run=why.get("run", ""))
    made: NightproofError = kind(why["message"], why["hint"])
    return made


def _placed(note: ArtifactNote, run: str, blobs: Blobs, root: Path) -> dict[str, Any]:
    """The artifact on this machine: where the worker put it, or else below our own folder.

    Without a blob (the embedded engine wrote it, on another machine) it stays where it is;
    a manifest that cannot be got is none.
    """
    path, manifest = Path(note["path"]), note.get("manifest")
    if note["blob"] and read_digest(path) != note["sha256"]:
        path = artifact_path(root, run, note["name"])
        if read_digest(path) != note["sha256"]:
            write_atomically(path, blobs.get(note["blob"]))
    if manifest is not None and not Path(manifest).is_file():
        blob = note.get("manifest_blob")
        # The worker has left those out whose name would be another artifact's, or too long.
        manifest = f"{path}{manifest[len(note['path']) :]}" if blob else None
        if blob and manifest:
            write_atomically(Path(manifest), blobs.get(blob))
    return {"path": str(path), "sha256": note["sha256"], "manifest": manifest}
