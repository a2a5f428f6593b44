"""What an effect on its way writes down: the intent, what became of it, the run's outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from nightproof.blobs.claims import spills
from nightproof.durable.context import Scope, current
from nightproof.durable.effect import Effect
from nightproof.engines.attempt.ledger import brief, failure_output
from nightproof.engines.attempt.state import Attempt
from nightproof.engines.attempt.vouching import Try
from nightproof.errors import AttemptNote, LeaseLost, StepFailed
from nightproof.journal.records import EffectRow, LaneBatch, Settle, UseBlob
from nightproof.model import clock, crash
from nightproof.model.fingerprint import summary
from nightproof.model.states import EffectState, Kind


class Booked:
    """One effect of a run, and its places in the ledger of effects and in the run's history."""

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
        self.doing: Try | None = None
        """What this call announces or performs now."""
        self.seen: tuple[int, EffectState] | None = None
        """Tries and state of the ledger's row, as far as this call knows."""

    def _crash(self, moment: str) -> None:
        if crash.armed:
            crash.hit(f"effect:{moment}", self.effect.name)

    async def _intend(self) -> tuple[EffectRow, bool]:
        """Announce the act, which `self.doing` is; the ledger's row, and whether to act."""
        run, doing = self.run, self.doing
        wanted = EffectRow(
            self.key, self.effect.name, run.row.id, EffectState.INTENDED, self.digest,
            self.inputs, 1, clock.now_ms(), None, None, "", run.row.name,
            None if doing is None else doing.named.encode(),
        )  # fmt: skip
        row, mine = await run.ledger.journal.intend(
            LaneBatch(run.row.id, run.ledger.lane.token), wanted
        )
        self.seen = row.tries, row.state
        if doing is not None:
            doing.settled = not mine
        return row, mine

    async def _settle(self, state: EffectState, why: str) -> None:
        """Decide, unless somebody has done so since the ledger was seen."""
        settle = Settle(self.key, state, clock.now_ms(), error=why[:2000], seen=self.seen)
        await self.run.ledger.lane.put(settle)
        self._settled(state)

    def _settled(self, state: EffectState) -> None:
        if self.seen is not None:
            self.seen = self.seen[0], state
        if self.doing is not None:
            self.doing.settled = True

    async def _confirm(self, data: bytes, state: EffectState, executed: bool = True) -> Any:
        """Write outcome and confirmation in one commit."""
        blob, output = None, data
        ledger = self.run.ledger
        if spills(data):
            blob, output = await ledger.spill(data), b""
        # That it happened is true whatever was decided meanwhile.
        seen = None if state is EffectState.CONFIRMED else self.seen
        found = None if blob else output
        ledger.lane.put(Settle(self.key, state, clock.now_ms(), found, blob, seen=seen))
        value = await self._record(data, blob, executed)
        self._settled(state)
        self._crash("confirm")
        return value

    async def _performed(self, data: bytes) -> Any:
        """Confirm what this call did; also where the run has got another owner meanwhile."""
        try:
            return await self._confirm(data, EffectState.CONFIRMED)
        except LeaseLost as lost:
            raise await self._confessed(data, lost) from None

    async def _confessed(self, data: bytes, lost: LeaseLost) -> LeaseLost:
        run, blob = self.run, None
        if spills(data):
            stored = await asyncio.to_thread(run.ledger.blobs.put, data)
            blob = stored.digest
            use = UseBlob(stored.digest, stored.size)
            await run.ledger.journal.refer(run.row.name, [use])
        settle = Settle(
            self.key, EffectState.CONFIRMED, clock.now_ms(), None if blob else data, blob,
            seen=self.seen,
        )  # fmt: skip
        if await run.ledger.journal.confess(settle):
            self._settled(EffectState.CONFIRMED)
            return lost
        return LeaseLost(
            f"{lost.message}. {self.effect.where} was performed here for key '{self.key}', and the "
            "other attempt has tried it too: it may have happened twice",
            "See what there is of it in the world.",
        )

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
