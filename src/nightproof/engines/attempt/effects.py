"""Effects: intent, act, confirm, and what to do when the outcome is unknown."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from nightproof.blobs.claims import spills
from nightproof.durable.context import Scope, current
from nightproof.durable.effect import Effect
from nightproof.engines.attempt.ledger import brief, failure_output
from nightproof.engines.attempt.state import Attempt
from nightproof.engines.attempt.steps import MISSING, note_of, recorded_failure, spends
from nightproof.errors import AttemptNote, CodecError, EffectConflict, StepFailed, StoreError
from nightproof.journal.records import EffectRow, LaneBatch, Settle
from nightproof.model import clock, crash
from nightproof.model.fingerprint import fingerprint, summary
from nightproof.model.states import EffectState, Kind

OTHERS_POLL_SECONDS = 0.2
"""How often to look whether another call or run has settled the effect it is performing."""
SAID = "; it was said to have happened, but the result does not fit"


class Effects:
    """The effect side of a run."""

    def __init__(self, run: Attempt) -> None:
        self._run = run

    async def call(self, effect: Effect[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
        """Perform the effect, or return what the ledger says of it."""
        run = self._run
        values = effect.arguments.bind(args, kwargs)
        parts = effect.arguments.parts(values)
        if run.mints.by_value:
            parts = run.mints.substitute(effect.arguments, values, parts)
        fp = run.seen.next(fingerprint(b"\0effect" + effect.prefix, parts))
        found = run.ledger.recorded.pop(fp, None)
        if found is not None:
            data = await run.ledger.whole(found)
            run.ledger.know(effect)
            if data is not None and found.kind == Kind.FAILURE:
                run.progress.of(effect.name).failed += 1
                raise recorded_failure(effect, data, effect.key_of(values))
            if data is not None:
                run.progress.of(effect.name).replayed += 1
                return effect.result.decode(data) if data else None
        return await Act(run, effect, args, kwargs, parts, fp, effect.key_of(values)).settle()


class Act:
    """One effect on its way, of which the run has no outcome yet."""

    def __init__(
        self,
        run: Attempt,
        effect: Effect[..., Any],
        args: Any,
        kwargs: Mapping[str, Any],
        parts: list[bytes],
        fp: bytes,
        key: str,
    ) -> None:
        self.run = run
        self.effect = effect
        self.args = args
        self.kwargs = kwargs
        self.fp = fp
        self.key = key
        self.inputs = summary(parts)
        scope = current.get()
        self.within = scope.fp if isinstance(scope, Scope) else b""
        """The step that it is performed in, which on replay does not ask for it again."""
        self.digest = sha256(b"\0".join(parts)).digest()[:16]
        self.code = run.ledger.know(effect)
        self.notes: list[AttemptNote] = []
        self.spent = 0
        self.busy = False
        self.executed = False
        """Whether it was performed now."""

    async def settle(self) -> Any:
        """Perform it as far as run and ledger allow it; its result."""
        if self.run.row.replicate and not self.run.options.effects:
            return await self.withhold()
        return await self.perform()

    async def perform(self) -> Any:
        """Act, or learn what became of the act; one call of a key at a time."""
        acting = self.run.acting
        while self.key in acting:
            await clock.sleep(OTHERS_POLL_SECONDS)
        acting.add(self.key)
        try:
            return await self._perform()
        finally:
            acting.discard(self.key)

    async def _perform(self) -> Any:
        run, effect = self.run, self.effect
        began = clock.monotonic()
        while True:
            if run.halting:
                await run.never()
            self._crash("before")
            row, mine = await run.ledger.journal.intend(
                LaneBatch(run.row.id, run.ledger.lane.token), self._row()
            )
            if not mine:
                settled = await self._found(row)
                if settled is not MISSING:
                    return settled
                continue
            run.active += 1
            self.busy = True
            try:
                self._crash("intend")
                value = await self._act()
                if crash.armed:
                    await self._witness(value)
                    self._crash("act")
                data = await run.steps.encoded(effect, value)
            except StoreError:
                raise
            except Exception as error:
                result = await self._raised(error, began)
                if result is not MISSING:
                    return result
                continue
            else:
                return await self._confirm(data, EffectState.CONFIRMED)
            finally:
                run.active -= 1
                self.busy = False

    def _crash(self, moment: str) -> None:
        if crash.armed:
            crash.hit(f"effect:{moment}", self.effect.name)

    async def _witness(self, value: Any) -> None:
        """Count the act for a drill, whatever becomes of its result."""
        try:
            output = await self.run.steps.encoded(self.effect, value)
        except CodecError:
            output = None
        policy = self.effect.unknown if isinstance(self.effect.unknown, str) else "probe"
        idempotency_key = self._idempotency_key()
        crash.acted(self.effect.name, self.key, policy, idempotency_key, self.digest, output)

    def _idempotency_key(self) -> str:
        return sha256(self.key.encode()).hexdigest()[:32]

    def _row(self) -> EffectRow:
        return EffectRow(
            self.key, self.effect.name, self.run.row.id, EffectState.INTENDED, self.digest,
            self.inputs, 1, clock.now_ms(), None, None, "", self.run.row.name,
        )  # fmt: skip

    async def _act(self) -> Any:
        effect, run = self.effect, self.run
        scope = Scope(run, effect.name, self.fp, self._idempotency_key())
        token = current.set(scope)
        try:
            self.args, self.kwargs = await run.mints.ready(self.args, self.kwargs)
            async with asyncio.timeout(effect.timeout):
                if effect.is_async:
                    return await effect.fn(*self.args, **self.kwargs)
                return await run.threads.call(effect, self.args, self.kwargs)
        finally:
            current.reset(token)

    async def _found(self, row: EffectRow) -> Any:
        """What an existing row of the ledger means; MISSING says try again."""
        if row.digest != self.digest:
            raise self._conflict(row)
        if row.state in (EffectState.CONFIRMED, EffectState.SKIPPED):
            output = row.output
            if row.blob is not None:
                output = await self.run.ledger.read_blob(row.blob)
            # What was in doubt before, a person has confirmed.
            misfit = self._misfit(output) if row.error else ""
            if misfit:
                return await self._hold(row.error.partition(SAID)[0] + misfit)
            return await self._record(output, row.blob, executed=False)
        if await self._busy_elsewhere(row):
            await clock.sleep(OTHERS_POLL_SECONDS)
            return MISSING
        return await self._unknown(row.error or "the process died before the outcome was recorded")

    def _conflict(self, row: EffectRow) -> EffectConflict:
        return EffectConflict(
            f"{self.effect.where} was already {row.state} for key '{self.key}' by run "
            f"{row.run_name}, with other arguments: recorded {_shown(row.inputs)}, now "
            f"{_shown(self.inputs)}",
            "Nothing was done. If it is another act, give it another key; if the new arguments "
            "are wrong, correct the inputs.",
        )

    async def _busy_elsewhere(self, row: EffectRow) -> bool:
        if row.state is not EffectState.INTENDED:
            return False
        if row.run_name == self.run.row.name:
            # An earlier attempt's: concurrent calls of this one wait for each other.
            return False
        return await self.run.lives(row.run_name)

    async def _raised(self, error: Exception, began: float) -> Any:
        """The act raised. MISSING says that it may be tried again."""
        run, effect = self.run, self.effect
        verdict = run.steps.judge(effect, error)
        self.notes.append(note_of(error, verdict.kind))
        text = f"{type(error).__name__}: {brief(error)}"
        certain = verdict.happened == "no"
        permanent = str(verdict.kind) == "permanent"
        if permanent and not certain:
            await self._settle(EffectState.FAILED, text)
            raise await self._fail(error)
        refreshed = False
        if str(verdict.kind) == "unauthenticated":
            first = sum(note["triage"] == "unauthenticated" for note in self.notes) == 1
            self.args, self.kwargs, found = await run.mints.refresh(error, self.args, self.kwargs)
            refreshed = first and found
        self.spent += spends(verdict)
        delay = effect.retry.delay(self.spent - 1, verdict, clock.monotonic() - began)
        final = permanent or delay is None
        if str(verdict.kind) == "unauthenticated":
            final, delay = not refreshed, 0.0
        if certain:
            await self._settle(EffectState.CLEAR, text)
        if certain and final:
            raise await self._fail(error)
        if not certain:
            if final and effect.unknown == "retry":
                await self._settle(EffectState.FAILED, text)
                raise await self._fail(error)
            answer = await self._unknown(text)
            if answer is not MISSING:
                return answer
            if final:
                raise await self._fail(error)
        run.note("retry", {"step": effect.name, "key": self.key, "message": text, "wait": delay})
        run.progress.of(effect.name).retries += 1
        await run.waits.backoff(delay or 0.0, verdict, f"{effect.where}: {brief(error)}")
        return MISSING

    async def _unknown(self, why: str) -> Any:
        """Nobody knows whether it happened: the effect's policy decides."""
        policy = self.effect.unknown
        run = self.run
        run.note(
            "effect-unknown",
            {
                "effect": self.effect.name,
                "key": self.key,
                "message": why,
                "policy": policy if isinstance(policy, str) else "probe",
            },
        )
        if policy == "retry":
            await self._settle(EffectState.CLEAR, why)
            return MISSING
        if policy == "skip":
            return await self._confirm(b"", EffectState.SKIPPED)
        if callable(policy):
            found = await self._probe(policy)
            if found is None:
                await self._settle(EffectState.CLEAR, why)
                return MISSING
            data = await run.steps.encoded(self.effect, found)
            return await self._confirm(data, EffectState.CONFIRMED, executed=False)
        return await self._hold(why)

    async def _hold(self, why: str) -> Any:
        """Wait for a person's decision."""
        run = self.run
        await self._settle(EffectState.FAILED, why)
        run.active -= self.busy
        try:
            return await run.hold(self.effect.name, self.key, why)
        finally:
            run.active += self.busy

    def _misfit(self, output: bytes | None) -> str:
        """Why a result that a person gave cannot be the effect's; "" where it can."""
        try:
            if output:
                self.effect.result.decode(output)
        except CodecError as error:
            return f"{SAID}: {brief(error)}: give its result with --happened RESULT"
        return ""

    async def _probe(self, probe: Any) -> Any:
        token = current.set(Scope(self.run, self.effect.name, self.fp))
        try:
            args, kwargs = await self.run.mints.ready(self.args, self.kwargs)
            value = probe(*args, **kwargs)
            return await value if inspect.isawaitable(value) else value
        finally:
            current.reset(token)

    async def _settle(self, state: EffectState, why: str) -> None:
        await self.run.ledger.lane.put(Settle(self.key, state, clock.now_ms(), error=why[:2000]))

    async def _confirm(self, data: bytes, state: EffectState, executed: bool = True) -> Any:
        """Write outcome and confirmation in one commit."""
        blob, output = None, data
        ledger = self.run.ledger
        if spills(data):
            blob, output = await ledger.spill(data), b""
        ledger.lane.put(Settle(self.key, state, clock.now_ms(), None if blob else output, blob))
        value = await self._record(data, blob, executed)
        self._crash("confirm")
        return value

    async def _record(self, data: bytes | None, blob: str | None, executed: bool) -> Any:
        run = self.run
        self.executed = executed
        counter = run.progress.of(self.effect.name)
        if executed:
            counter.executed += 1
        else:
            counter.replayed += 1
        output = None if blob else (data or b"")
        await run.ledger.append(
            run.ledger.entry(Kind.EFFECT, self.fp, output, blob, self._kept(), self.code)
        )
        return self.effect.result.decode(data) if data else None

    def _kept(self) -> bytes:
        if not self.within:
            return self.inputs
        return b'{"within":"%s","args":%s}' % (self.within.hex().encode(), self.inputs)

    async def _fail(self, error: Exception) -> StepFailed:
        kind, message = type(error).__name__, brief(error)
        self.run.progress.of(self.effect.name).failed += 1
        output = failure_output(kind, message, list(self.notes))
        await self.run.ledger.append(
            self.run.ledger.entry(Kind.FAILURE, self.fp, output, None, self._kept(), self.code)
        )
        failure = StepFailed(self.effect.name, kind, message, self.notes, self.key)
        failure.__cause__ = error
        return failure

    async def withhold(self) -> Any:
        """A replicate acts on nothing: it checks that it would have sent the same."""
        run = self.run
        row = await run.ledger.journal.effect(self.key)
        if row is None or row.state is not EffectState.CONFIRMED:
            run.note("effect-withheld", {"effect": self.effect.name, "key": self.key})
            data, answers = b"", run.options.answers
            if self.effect.name in answers:
                data = await run.steps.encoded(self.effect, answers[self.effect.name])
            return await self._record(data, None, executed=False)
        if row.digest != self.digest:
            run.diverged(
                {
                    "step": self.effect.name,
                    "key": self.key,
                    "message": f"the replicate would have sent other arguments for '{self.key}'",
                    "recorded": _shown(row.inputs),
                    "now": _shown(self.inputs),
                }
            )
        output = row.output
        if row.blob is not None:
            output = await run.ledger.read_blob(row.blob)
        return await self._record(output, row.blob, executed=False)


def _shown(inputs: bytes) -> str:
    text = inputs.decode("utf-8", "replace")
    return text if len(text) <= 400 else text[:397] + "..."
