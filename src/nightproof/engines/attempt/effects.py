"""Effects: intent, act, confirm, and what to do when the outcome is unknown."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from nightproof.durable.context import Scope, current
from nightproof.durable.effect import Effect
from nightproof.engines.attempt.booking import Booked
from nightproof.engines.attempt.ledger import brief
from nightproof.engines.attempt.state import Attempt
from nightproof.engines.attempt.steps import MISSING, note_of, recorded_failure, spends
from nightproof.engines.attempt.vouching import Try, Watch
from nightproof.errors import CodecError, EffectConflict, StoreError
from nightproof.journal.records import EffectRow
from nightproof.model import clock, crash
from nightproof.model.fingerprint import fingerprint
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


class Act(Booked):
    """One effect on its way, of which the run has no outcome yet."""

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
        run = self.run
        began = clock.monotonic()
        watch = Watch(run.settings.lease)
        while True:
            if run.halting:
                await run.never()
            self._crash("before")
            doing = self.doing = run.engine.vouching.begin(self.key)
            try:
                row, mine = await self._intend()
                settled = await (self._try(began) if mine else self._found(row, watch))
            finally:
                self.doing = None
                doing.leave()
            if settled is not MISSING:
                return settled

    async def _try(self, began: float) -> Any:
        """Act, and write down what came of it; MISSING says that it may be tried again."""
        run, effect = self.run, self.effect
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
            return await self._raised(error, began)
        else:
            return await self._performed(data)
        finally:
            run.active -= 1
            self.busy = False

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

    async def _act(self) -> Any:
        effect, run = self.effect, self.run
        scope = Scope(run, effect.name, self.fp, self._idempotency_key())
        token = current.set(scope)
        try:
            self.args, self.kwargs = await run.mints.ready(self.args, self.kwargs)
            async with asyncio.timeout(effect.timeout):
                if effect.is_async:
                    return await effect.fn(*self.args, **self.kwargs)
                assert self.doing is not None
                return await run.threads.call(effect, self.args, self.kwargs, self.doing.guard)
        except TimeoutError:
            # A thread cannot be stopped, and a probe would not see yet what it still does.
            if self.doing is None or not self.doing.inside or not callable(effect.unknown):
                raise
            return await self._late(self.doing)
        finally:
            current.reset(token)

    async def _late(self, doing: Try) -> Any:
        """What comes of a plain function that its timeout found at work."""
        run, effect = self.run, self.effect
        message = f"{effect.where} [{self.key}] has taken longer than its timeout of "
        message += f"{effect.timeout:g} s and cannot be stopped; what comes of it is waited for"
        run.note("effect-late", {"effect": effect.name, "key": self.key, "message": message})
        while doing.inside:
            if run.halting:
                await run.never()
            await clock.sleep(OTHERS_POLL_SECONDS)
        if doing.came is not None:
            return doing.came[0]
        raise doing.failed or TimeoutError(message)

    async def _found(self, row: EffectRow, watch: Watch) -> Any:
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
        if await self._busy_elsewhere(row, watch):
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

    async def _busy_elsewhere(self, row: EffectRow, watch: Watch) -> bool:
        """Whether another execution has it in hand, which then is not ours to decide about."""
        run = self.run
        if row.state is not EffectState.INTENDED:
            return False
        if row.run_name != run.row.name and await run.lives(row.run_name):
            return True
        # One of this run's, by an earlier attempt or another worker, or of a run that has ended.
        first = watch.seen is None
        if not watch.goes_on(row):
            return False
        if first:
            message = f"{self.effect.where} [{self.key}]: {watch.told(row)}"
            run.note(
                "effect-elsewhere",
                {"effect": self.effect.name, "key": self.key, "message": message},
            )
        return True

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
        row = await run.ledger.journal.effect(self.key)
        if row is not None and row.state is not EffectState.FAILED:
            return MISSING  # whoever tried it has said meanwhile what came of it
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
