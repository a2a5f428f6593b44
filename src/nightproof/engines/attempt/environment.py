"""Records the environment of an attempt beside its steps, and what is new in it on a resume.

Nothing of this is on the way to the first step: the snapshot is taken in a thread
once the body runs, and later runs of the process take the same one.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
from collections.abc import AsyncIterator
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from nightproof.blobs.protocol import Blobs
from nightproof.config import Settings
from nightproof.durable.job import Job
from nightproof.engines.attempt.state import Attempt
from nightproof.errors import BlobError, EnvironmentChanged
from nightproof.journal.protocol import Reader
from nightproof.journal.records import UseBlob
from nightproof.model import clock
from nightproof.model.states import Kind

if TYPE_CHECKING:
    from nightproof.provenance.snapshot import Difference, Snapshot

PATIENCE_SECONDS = 5.0
"""So long the end of an attempt waits for the snapshot; then it ends without one."""
FRESH_SECONDS = 3600.0
"""A blob is put again after so long, so that no collection takes it from under its next user."""
SOON_SECONDS = 1.0
"""A run that is at work for so long has its environment on record from then on."""
BREATH_SECONDS = 0.0001
"""Between two files of the snapshot the interpreter goes to the steps for so long."""
PAGE = 500
NAMED = 50
"""So many changed items are recorded one by one."""


LIBRARIES = ("numpy", "torch")
"""Whether they are loaded is asked before the first step, so that it depends on no step."""


class Subject(NamedTuple):
    """What the snapshot of an attempt depends on besides its process and settings."""

    file: str
    loaded: tuple[str, ...]


class Kept(NamedTuple):
    """A snapshot that lies in this engine's blob store."""

    snapshot: Snapshot
    event: bytes
    blob: UseBlob
    until: float


class Breath:
    """Makes way for the steps, until an attempt waits for its snapshot."""

    def __init__(self) -> None:
        self._hurried = False

    def __call__(self) -> None:
        if not self._hurried:
            clock.block(BREATH_SECONDS)

    def hurry(self) -> None:
        """From here on there is nothing to make way for; may be called in any thread."""
        self._hurried = True


class Environments:
    """The snapshots that an engine has put into its blob store."""

    def __init__(self) -> None:
        self.kept: dict[Subject, Kept] = {}

    def fresh(self, subject: Subject) -> Kept | None:
        """The snapshot of `subject`, if it need not be taken or put any more."""
        found = self.kept.get(subject)
        return found if found is not None and found.until > clock.monotonic() else None


class Environment:
    """The environment of one attempt."""

    def __init__(self, run: Attempt, environments: Environments) -> None:
        self._run = run
        self._environments = environments
        self._subject = subject_of(run.job)
        # A journal in memory is gone with its process: there is nothing to compare it with.
        self._wanted = not run.settings.store.endswith(":memory:")
        self._task: asyncio.Task[None] | None = None
        self._due: tuple[asyncio.TimerHandle, Kept] | None = None
        self._breath = Breath()

    async def refuse_another(self) -> None:
        """Raise EnvironmentChanged where the last attempt's environment was another one."""
        before = await self._before() if self._wanted else None
        if before is None:
            return
        self._breath.hurry()
        try:
            kept = await self._take()
        except Exception as error:
            raise EnvironmentChanged(
                f"the environment of run {self._run.row.name} cannot be compared: {error}",
                "Resume it without --strict to go on all the same.",
            ) from error
        changed = await self._changed(before, kept.snapshot)
        if changed is not None:
            raise EnvironmentChanged(
                f"run {self._run.row.name} was worked on in another environment: "
                + (_words(changed) or "what differs was not kept"),
                "Restore that environment, resume without --strict to go on all the same, or "
                "start afresh with --replicate.",
            )

    def begin(self) -> None:
        """See to it that the snapshot is recorded; called when the body is about to run."""
        if not self._wanted:
            return
        kept = self._environments.fresh(self._subject)
        if kept is None or self._run.resumed:
            self._task = self._run.loop.create_task(self._record())
        else:
            # A short run writes it with its end, a long one soon: never with its first step.
            timer = self._run.loop.call_later(SOON_SECONDS, self._note_due)
            self._due = timer, kept

    async def finish(self) -> None:
        """Wait until it is recorded: only for the first run of a process is that any time."""
        self._note_due()
        if self._task is not None and not self._task.done():
            self._breath.hurry()
            await asyncio.wait({self._task}, timeout=PATIENCE_SECONDS)
            self._task.cancel()

    def leave(self) -> None:
        """Record nothing any more."""
        if self._due is not None:
            self._due[0].cancel()
            self._due = None
        if self._task is not None:
            self._task.cancel()

    async def _record(self) -> None:
        run = self._run
        try:
            kept = await self._take()
            before = await self._before() if self._compares() else None
            self._note(kept)
            changed = None if before is None else await self._changed(before, kept.snapshot)
        except Exception as error:
            # The run does not fail because its surroundings could not be looked at.
            run.note("snapshot-failed", {"message": f"the environment is not recorded: {error}"})
            return
        if changed is not None:
            items = [one._asdict() for one in changed[:NAMED]]
            words = _words(changed) or "what differs was not kept"
            message = f"{self._since()}: {words}"
            note = {"message": message, "items": items, "count": len(changed)}
            run.note("environment-changed", note)
            run.divergences.append({"step": "", **note})

    def _compares(self) -> bool:
        """Whether an earlier attempt may have left an environment."""
        return self._run.resumed

    def _since(self) -> str:
        return "the environment has changed since the last attempt"

    async def _take(self) -> Kept:
        kept = self._environments.fresh(self._subject)
        if kept is None:
            run = self._run
            kept = await _taken(self._subject, run.settings, run.ledger.blobs, self._breath)
            self._environments.kept[self._subject] = kept
        return kept

    def _note_due(self) -> None:
        if self._due is not None:
            timer, kept = self._due
            timer.cancel()
            self._due = None
            self._note(kept)

    def _note(self, kept: Kept) -> None:
        lane = self._run.ledger.lane
        lane.writes.append(kept.blob)
        lane.later(self._run.ledger.entry(Kind.EVENT, b"", kept.event))

    async def _before(self) -> dict[str, Any] | None:
        """The snapshot event of the last attempt that has one."""
        found = None
        async for note in snapshots(self._run.ledger.journal, self._run.row.id):
            found = note
        return found

    async def _changed(self, before: dict[str, Any], now: Snapshot) -> list[Difference] | None:
        """The items in which the strict digests differ; None where they agree."""
        if before.get("strict") == now.digests["strict"]:
            return None
        from nightproof.provenance.snapshot import differences, read

        try:
            earlier = read(await self._run.ledger.read_blob(str(before.get("items"))))
        except BlobError:
            return []
        return differences(earlier.strict, now.strict)


async def prepare(
    environments: Environments, job: Job[Any, Any], settings: Settings, blobs: Blobs
) -> None:
    """Take the snapshot for the runs of a job before there is one."""
    subject = subject_of(job)
    if environments.fresh(subject) is None:
        breath = Breath()
        breath.hurry()
        environments.kept[subject] = await _taken(subject, settings, blobs, breath)


async def _taken(subject: Subject, settings: Settings, blobs: Blobs, breath: Breath) -> Kept:
    future: Future[Kept] = Future()
    future.set_running_or_notify_cancel()  # from here on nobody can cancel it
    # A daemon: a process that has to leave does not wait for it.
    what = (future, subject, settings, blobs, breath)
    Thread(target=_put, args=what, name="nightproof-snapshot", daemon=True).start()
    return await asyncio.wrap_future(future)


def subject_of(job: Job[Any, Any]) -> Subject:
    """What the snapshot of a job's runs depends on, as this process is now."""
    file = inspect.unwrap(job.fn).__code__.co_filename
    return Subject(file, tuple(name for name in LIBRARIES if name in sys.modules))


async def snapshots(journal: Reader, run: int) -> AsyncIterator[dict[str, Any]]:
    """The snapshot events of a run, in order."""
    after = -1
    while entries := await journal.entries(run, (Kind.EVENT,), after, PAGE):
        for entry in entries:
            if entry.output and b'"snapshot"' in entry.output:
                note = json.loads(entry.output)
                if note.get("kind") == "snapshot":
                    yield note
        after = entries[-1].seq
        await clock.turn()


def _put(
    future: Future[Kept], subject: Subject, settings: Settings, blobs: Blobs, breath: Breath
) -> None:
    """Take the snapshot, or the one that this process has, and put its items."""
    try:
        from nightproof.provenance import snapshot  # no part of what a first step waits for
        from nightproof.provenance.witness import level

        taken = snapshot.take(subject.file, settings.variables, subject.loaded, breath)
        stored = blobs.put(taken.data)
        event = {"kind": "snapshot", **taken.digests, "items": stored.digest}
        if settings.witness:
            # An attempt that reads nothing has no other entry to say it was witnessed.
            event["witness"] = level(os.environ)
        use = UseBlob(stored.digest, stored.size)
        until = clock.monotonic() + FRESH_SECONDS
        kept = Kept(taken, json.dumps(event).encode(), use, until)
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(kept)


def _words(changed: list[Difference]) -> str:
    from nightproof.provenance.snapshot import named

    return named(changed)
