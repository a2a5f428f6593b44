"""Records what an attempt reads: heard while it runs, looked at in a thread, noted once a second.

An attempt that reads nothing pays for a timer; whoever reads only adds to a list.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
from collections.abc import Callable
from concurrent.futures import Future
from hashlib import sha256
from threading import Thread
from typing import TYPE_CHECKING, Any

from nightproof.engines.attempt.state import Attempt
from nightproof.errors import UndeclaredRead
from nightproof.journal.records import UseBlob
from nightproof.model import clock
from nightproof.provenance import audit
from nightproof.provenance.hearing import IMPORT, Heard, Sound

if TYPE_CHECKING:
    from nightproof.engines.attempt.tracing import Tracing
    from nightproof.provenance.witness import Read
    from nightproof.provenance.witness.rules import Rules
    from nightproof.provenance.witness.settling import Settler

EVERY_SECONDS = 1.0
"""So often what is new is written down."""
NAMED = 20
"""So many undeclared things are named in the entry itself, for a quick look."""
PATIENCE_SECONDS = 10.0
"""So long the end of an attempt waits for files to be hashed; then only their size is noted."""
FRESH_SECONDS = 3600.0
"""A blob is put again after so long, so that no collection takes it from under its next user."""

_DIVIDE = re.compile(r"[.\[\]]+")


class Witnesses:
    """What the attempts of an engine share: rules of a job, and blobs that lie in the store."""

    def __init__(self) -> None:
        self.rules: dict[tuple[str, str], Rules] = {}
        self.put: dict[str, float] = {}


class Witness:
    """The witness of one attempt."""

    def __init__(self, run: Attempt, contract: Any, shared: Witnesses) -> None:
        self._run = run
        self._contract = contract
        self._shared = shared
        self._heard: Heard | None = None
        self._outside: Heard | None = None
        self._traced: Tracing | None = None
        self._cursor = 0
        self._found: Settler | None = None
        self._before: list[Sound] = []
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def open(self, strict: bool) -> None:
        """Hear from now on. Under `strict`, raise UndeclaredRead for what was read before."""
        run = self._run
        if not run.settings.witness:
            return
        process = audit.process()
        self._heard = heard = Heard(process)
        if process is not None and run.row.parent is None:
            process.sort()
            self._outside = process
            self._before = [sound for sound in process.fresh if sound.step == IMPORT]
            self._cursor = len(process.fresh)
        if strict:
            self.judge_now(heard)
            if self._outside is not None:
                self._outside.judge = self._judge

    def judge_now(self, heard: Heard) -> None:
        """From now on refuse what nothing declares; raise UndeclaredRead for what came before."""
        from nightproof.provenance.witness import words  # noqa: F401 - see below

        # Nothing may be imported while a read is judged: that would be judged in turn.
        self._settler()
        for sound in self._before:
            self._judge(sound)
        heard.judge = self._judge

    def begin(self) -> None:
        """The body is about to run."""
        if self._heard is not None:
            self._run.heard = self._heard
            if os.environ.get("NIGHTPROOF_ISOLATION") == "L3":
                from nightproof.engines.attempt.tracing import Tracing  # only under strace

                self._traced = Tracing(self._run)
            if self._outside is not None:
                self._outside.phase = "?"
            self._timer = self._run.loop.call_later(EVERY_SECONDS, self._tick)

    async def finish(self) -> None:
        """Note what is new since the last time; waits for files to be hashed."""
        self._quiet()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=PATIENCE_SECONDS)
        if self._traced is not None:
            self._before += await self._traced.sounds()
        if self._something():
            await self._note(clock.monotonic() + PATIENCE_SECONDS, polite=False)

    def leave(self) -> None:
        """Hear no more."""
        self._quiet()
        if self._task is not None:
            self._task.cancel()
        self._run.heard = None
        if self._outside is not None:
            self._outside.phase = IMPORT
            self._outside.judge = None

    def _quiet(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        if self._something() and (self._task is None or self._task.done()):
            far = clock.monotonic() + FRESH_SECONDS
            self._task = self._run.loop.create_task(self._note(far, polite=True))
        self._timer = self._run.loop.call_later(EVERY_SECONDS, self._tick)

    def _something(self) -> bool:
        heard, outside = self._heard, self._outside
        return heard is not None and bool(
            heard.log
            or heard.fresh
            or self._before
            or (outside is not None and (outside.log or len(outside.fresh) > self._cursor))
        )

    async def _note(self, until: float, *, polite: bool) -> None:
        run, heard = self._run, self._heard
        if heard is None:
            return
        try:
            future: Future[dict[str, Any] | None] = Future()
            future.set_running_or_notify_cancel()  # from here on nobody can cancel it
            what = (future, self._looked_at, until, polite)
            # A daemon: a process that has to leave does not wait for it.
            Thread(target=_do, args=what, name="nightproof-witness", daemon=True).start()
            note = await asyncio.wrap_future(future)
        except Exception as error:
            # The run does not fail because its reads could not be looked at.
            run.note("witness-failed", {"message": f"what was read is not recorded: {error}"})
            return
        if note is not None:
            run.note("witness", note)

    def _taken(self, heard: Heard) -> list[Sound]:
        sounds, self._before = self._before, []
        if self._outside is not None:
            self._outside.sort()
            sounds += self._outside.fresh[self._cursor :]
            self._cursor = len(self._outside.fresh)
        return sounds + heard.take()

    def _looked_at(self, until: float, polite: bool) -> dict[str, Any] | None:
        """What is new, as data for the journal; blocks."""
        from nightproof.provenance import witness  # no part of what a first step waits for
        from nightproof.provenance.witness import reads, words

        if self._heard is None:
            return None
        sounds = self._taken(self._heard)
        found = self._settler().reads(sounds, self._hears(), until=until, polite=polite)
        if not found:
            return None
        level = witness.level(os.environ)
        note: dict[str, Any] = {"level": level, "attempt": self._run.row.attempts}
        if self._heard.cut:
            note["cut"] = True
        bare = words.undeclared(found)
        note["undeclared"] = {"count": len(bare), "names": bare[:NAMED]}
        note |= {"blob": None, "reads": reads.stored(found), "message": words.summary(found)}
        if len(json.dumps(note["reads"])) > reads.INLINE:
            note["blob"] = self._run.put_blob(reads.document(found, level))[0]
            note["reads"] = None
        return note

    def _hears(self) -> list[Heard]:
        return [heard for heard in (self._heard, self._outside) if heard is not None]

    def _settler(self) -> Settler:
        if self._found is None:
            from nightproof.provenance.witness.settling import Settler

            keep = self._put if self._run.settings.keep_reads else None
            self._found = Settler(self._rules(), keep)
        return self._found

    def _rules(self) -> Rules:
        from nightproof.provenance.witness.rules import Rules

        run = self._run
        settings, row = run.settings, run.row
        key = (row.job, row.digest)
        rules = self._shared.rules.get(key)
        if rules is None:
            if len(self._shared.rules) > 100:
                self._shared.rules.clear()
            rules = self._shared.rules[key] = Rules(
                files=settings.files,
                variables=settings.variables,
                hosts=settings.hosts,
                programs=settings.programs,
                datasets=self._datasets(),
                job_file=inspect.unwrap(run.job.fn).__code__.co_filename,
                ours=(str(getattr(run.ledger.blobs, "root", "")),),
            )
        return rules

    def _datasets(self) -> dict[str, str]:
        """Where the contract names each sha256, as a JSON Pointer."""
        if b"ha256" not in self._run.row.contract:
            return {}
        from nightproof.contract.dataset import datasets  # models that most do not need

        found = datasets(self._contract)
        return {sha256: "/" + _DIVIDE.sub("/", place).strip("/") for place, _, sha256 in found}

    def _put(self, data: bytes) -> str:
        digest = "sha256:" + sha256(data).hexdigest()
        put = self._shared.put
        if put.get(digest, 0.0) > clock.monotonic():
            self._run.ledger.used_blobs.append(UseBlob(digest, len(data)))
            return digest
        if len(put) > 1000:
            put.clear()
        put[digest] = clock.monotonic() + FRESH_SECONDS
        return self._run.put_blob(data)[0]

    def _judge(self, sound: Sound) -> None:
        """Raise UndeclaredRead where nothing declares a read."""
        read = self._settler().read(sound, self._hears())
        if read is not None and read.undeclared:
            raise _refusal(read)


def _refusal(read: Read) -> UndeclaredRead:
    from nightproof.provenance.witness.words import remedy, who

    return UndeclaredRead(
        f"{who(read)} reads the {read.what} {read.name}, and nothing declares that",
        f"Declare it: {remedy(read)}. Or run without --strict.",
    )


def _do(
    future: Future[dict[str, Any] | None],
    act: Callable[[float, bool], dict[str, Any] | None],
    until: float,
    polite: bool,
) -> None:
    try:
        future.set_result(act(until, polite))
    except Exception as error:
        future.set_exception(error)
