"""Executing one step: from fingerprint to acknowledged result."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Mapping
from typing import Any

from nightproof.blobs.claims import spills
from nightproof.durable.context import Scope, current
from nightproof.durable.step import Routine, Step
from nightproof.engines.attempt.ledger import brief, failure_output
from nightproof.engines.attempt.state import Attempt
from nightproof.errors import (
    AttemptNote,
    CodecError,
    MisuseError,
    StepFailed,
    StoreError,
)
from nightproof.journal.commit import Committed
from nightproof.journal.records import Recorded
from nightproof.model import clock, crash
from nightproof.model.codec import RAW_FORMS
from nightproof.model.fingerprint import fingerprint, summary
from nightproof.model.states import Kind
from nightproof.model.triage import Kind as Verdict
from nightproof.model.triage import Triage
from nightproof.provenance.seeds import seed_loaded_libraries, step_seed


class Fatal(Exception):
    """Carries an error that ends the attempt through code that catches Exception."""


class Steps:
    """The step side of a run."""

    def __init__(self, run: Attempt) -> None:
        self.run = run

    async def call(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        """A call of `step` in the job's body."""
        run = self.run
        if step.mints:
            return await run.mints.call(step, args, kwargs)
        arguments = step.arguments
        parts = arguments.parts(arguments.bind(args, kwargs))
        if run.mints.by_value:
            parts = run.mints.substitute(arguments, arguments.bind(args, kwargs), parts)
        fp = run.seen.next(fingerprint(step.prefix, parts))
        found = run.ledger.recorded.pop(fp, None)
        if found is not None:
            if (
                found.output is not None
                and found.blob is None
                and found.kind == Kind.RESULT
                and step.simple
            ):
                run.ledger.know(step)
                try:
                    value = step.result.decode(found.output)
                except CodecError:
                    value = MISSING  # replay() tells of it
                if value is not MISSING:
                    run.progress.of(step.name).replayed += 1
                    return value
            replayed = await self.replay(step, found, fp, args, kwargs)
            if replayed is not MISSING:
                return replayed
        return await self.execute(step, args, kwargs, parts, fp, "")

    async def replay(
        self,
        step: Step[..., Any],
        found: Recorded,
        fp: bytes,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """The recorded outcome; MISSING where it is gone and the step must run again."""
        run = self.run
        run.ledger.know(step)
        if found.kind == Kind.FAILURE:
            data = await run.ledger.whole(found)
            if data is None:
                return MISSING
            run.progress.of(step.name).failed += 1
            raise recorded_failure(step, data)
        if found.kind != Kind.RESULT:
            return MISSING
        data = await run.ledger.whole(found)
        if data is None:
            return MISSING
        if step.result.has_refs and not run.ledger.refs_are_there(data):
            run.ledger.lost(found, "the blob behind its Ref is missing")
            return MISSING
        form = found.output if found.blob is not None else None
        try:
            value = step.result.from_raw(data, form) if form else step.result.decode(data)
        except CodecError as error:
            run.ledger.lost(found, error.message)
            return MISSING
        run.progress.of(step.name).replayed += 1
        if step.undo is not None and fp not in run.ledger.undone:
            run.undoable.append((step, args, kwargs, value, fp))
        return value

    async def execute(
        self,
        step: Step[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        parts: list[bytes],
        fp: bytes,
        label: str,
        acks: list[Committed] | None = None,
    ) -> Any:
        """Run the step, record its outcome, and hand on the decoded result.

        Returns when the outcome is on disk; with `acks` as soon as it is handed in,
        and what to await before anybody hears of it is added to the list.
        """
        run = self.run
        code = run.ledger.know(step)
        if run.halting:
            await run.never()
        point = label and f"{step.name}[{label}]"
        if crash.armed:
            crash.hit("item:before" if label else "step:before", point or step.name)
        run.active += 1
        started = clock.perf()
        try:
            if run.mints.by_value:
                args, kwargs = await run.mints.ready(args, kwargs)
            try:
                value = await self.once(step, args, kwargs, fp)
            except Exception as error:
                value = await self.again(step, args, kwargs, fp, error, (parts, label, code))
            if crash.armed:
                crash.hit("item:mid" if label else "step:mid", point or step.name)
            data, result, form = await self.decoded(step, value)
            ack = await self.record(step, data, form, parts, fp, label, code, started)
            if ack is not None:
                if acks is None or crash.armed:
                    await ack
                else:
                    acks.append(ack)
        except CodecError as error:
            raise await self.failed(step, parts, fp, label, code, error, []) from error
        finally:
            run.active -= 1
        if crash.armed:
            crash.hit("item:after" if label else "step:after", point or step.name, lazy=step.pure)
        if step.undo is not None:
            run.undoable.append((step, args, kwargs, result, fp))
        return result

    async def record(
        self,
        step: Step[..., Any],
        data: bytes,
        form: bytes | None,
        parts: list[bytes],
        fp: bytes,
        label: str,
        code: int,
        started: float,
    ) -> Committed | None:
        """Hand in the result; what to await until it is on disk (None for a pure step)."""
        run = self.run
        ledger = run.ledger
        blob = None
        output: bytes | None = data
        if spills(data):
            blob, output = await ledger.spill(data), form
        inputs = _kept(parts, label)
        took = int((clock.perf() - started) * 1e6)
        entry = ledger.entry(Kind.RESULT, fp, output, blob, inputs, code, took)
        run.progress.of(step.name).executed += 1
        if run.resumed:
            run.executed_inputs.setdefault(step.name, []).append(inputs)
        if step.pure and not ledger.used_blobs:
            ledger.lane.later(entry)
            return None
        if run.active == 1 and run.engine.alone:
            return ledger.append_alone(entry)
        return ledger.append(entry)

    async def once(
        self, step: Routine[..., Any], args: Any, kwargs: Mapping[str, Any], fp: bytes
    ) -> Any:
        """One try of the function, in its scope."""
        run = self.run
        if step.quotas:
            await run.quotas.permit(step)
        scope = Scope(run, step.name, fp, None, step.quotas)
        if run.seeds_libraries():
            seed_loaded_libraries(step_seed(run.seed, fp))
        token = current.set(scope)
        try:
            timeout = step.timeout  # type: ignore[attr-defined]
            if step.is_async and timeout is None:
                return await step.fn(*args, **kwargs)
            return await self._guarded(step, args, kwargs, timeout)
        except Exception as error:
            if scope.depends:
                error.__dict__.setdefault("_nightproof_depends", scope.depends)
            raise
        finally:
            current.reset(token)

    async def _guarded(
        self, step: Routine[..., Any], args: Any, kwargs: Any, timeout: float | None
    ) -> Any:
        try:
            async with asyncio.timeout(timeout):
                if step.is_async:
                    return await step.fn(*args, **kwargs)
                value = await self.run.threads.call(step, args, kwargs)
        except TimeoutError as error:
            if timeout is not None and not str(error):
                raise TimeoutError(f"{step.where} took longer than {timeout:g} s") from None
            raise
        if inspect.isawaitable(value):
            raise MisuseError(
                f"{step.where} is a plain function that returned an awaitable",
                "Write `async def`.",
            )
        return value

    async def decoded(self, step: Step[..., Any], value: Any) -> tuple[bytes, Any, bytes | None]:
        """The bytes of a result, the value that they stand for, and how they are written.

        Large text and bytes are written as they are (the mark says so), and handed on:
        nobody can change them.
        """
        codec = step.result
        if type(value) in RAW_FORMS and spills(value) and (raw := codec.raw(value)) is not None:
            return raw, value, RAW_FORMS[type(value)]
        data = await self.encoded(step, value) if codec.has_refs else codec.encode(value)
        return data, codec.decode(data), None

    async def encoded(self, step: Routine[..., Any], value: Any) -> bytes:
        """The result as bytes; in a thread where blobs have to be written."""
        codec = step.result
        if not codec.has_refs:
            return codec.encode(value)
        token = current.set(self.run)
        try:
            return await asyncio.to_thread(codec.encode, value)
        finally:
            current.reset(token)

    async def again(
        self,
        step: Step[..., Any],
        args: Any,
        kwargs: Mapping[str, Any],
        fp: bytes,
        error: Exception,
        identity: tuple[list[bytes], str, int],
    ) -> Any:
        """Try until the step succeeds or triage and policy say it is over."""
        run = self.run
        parts, label, code = identity
        notes: list[AttemptNote] = []
        began = clock.monotonic()
        spent = 0
        refreshed = False
        while True:
            if isinstance(error, (StoreError, Fatal)):
                raise error
            verdict = self.judge(step, error)
            if verdict.kind is Verdict.EXHAUSTED and step.quotas:
                verdict = await run.quotas.park(step, verdict)
            notes.append(note_of(error, verdict.kind))
            spent += spends(verdict)
            delay = step.retry.delay(spent - 1, verdict, clock.monotonic() - began)
            if verdict.kind is Verdict.UNAUTHENTICATED and not refreshed:
                args, kwargs, refreshed = await run.mints.refresh(error, args, kwargs)
                delay = 0.0 if refreshed else None
            elif verdict.kind is Verdict.PERMANENT or verdict.kind is Verdict.UNAUTHENTICATED:
                delay = None
            if delay is None:
                raise await self.failed(step, parts, fp, label, code, error, notes) from error
            self._note_retry(step, label, error, delay, len(notes))
            what = f"{step.where}: {brief(error)}"
            if verdict.kind is Verdict.EXHAUSTED and step.quotas:
                names = ", ".join(f"quota '{one.name}'" for one in step.quotas)
                what += f" ({names})"  # by this `nightproof quotas` knows who waits
            await run.waits.backoff(delay, verdict, what)
            if run.halting:
                run.active -= 1
                try:
                    await run.never()
                finally:
                    run.active += 1
            args, kwargs = run.mints.freshen(args, kwargs)
            try:
                return await self.once(step, args, kwargs, fp)
            except Exception as next_error:
                error = next_error

    def judge(self, step: Any, error: BaseException) -> Any:
        """What the user's own rule, and triage behind it, says of an exception."""
        return step.retry.triage(error)

    def _note_retry(
        self, step: Routine[..., Any], label: str, error: Exception, delay: float, tries: int
    ) -> None:
        run = self.run
        run.progress.of(step.name).retries += 1
        run.note(
            "retry",
            {
                "step": step.name,
                "key": label,
                "message": f"{type(error).__name__}: {brief(error)}",
                "wait": round(delay, 3),
                "tries": tries,
            },
        )

    async def failed(
        self,
        step: Step[..., Any],
        parts: list[bytes],
        fp: bytes,
        label: str,
        code: int,
        error: Exception,
        notes: list[AttemptNote],
    ) -> StepFailed:
        """Record that the step failed for good; the error to raise."""
        run = self.run
        if isinstance(error, StepFailed):
            kind, message = error.type, error.reason
        else:
            kind, message = type(error).__name__, brief(error)
        notes = notes or [note_of(error, Verdict.PERMANENT)]
        run.progress.of(step.name).failed += 1
        output = failure_output(kind, message, list(notes))
        await run.ledger.append(
            run.ledger.entry(Kind.FAILURE, fp, output, None, _kept(parts, label), code)
        )
        return StepFailed(step.name, kind, message, notes, label)


def _kept(parts: list[bytes], label: str) -> bytes:
    """What the journal keeps of the inputs, with the key of an item that has one."""
    inputs = summary(parts)
    if label:
        return b'{"key":%s,"args":%s}' % (json.dumps(label).encode(), inputs)
    return inputs


def spends(verdict: Triage) -> bool:
    """Whether a failed try counts; a quota that is back at a known time costs none."""
    known = verdict.resets_at is not None or verdict.retry_after is not None
    return not (verdict.kind is Verdict.EXHAUSTED and known)


class _Missing:
    pass


MISSING = _Missing()


def note_of(error: BaseException, kind: Any) -> AttemptNote:
    """One line of an attempt history."""
    return {
        "at": clock.now().isoformat(),
        "type": type(error).__name__,
        "message": brief(error),
        "triage": str(kind),
    }


def recorded_failure(step: Routine[..., Any], data: bytes, label: str = "") -> StepFailed:
    """The failure that `data` records."""
    stored = json.loads(data)
    return StepFailed(step.name, stored["type"], stored["message"], stored["attempts"], label)
