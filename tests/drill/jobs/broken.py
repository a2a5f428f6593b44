"""Runtimes broken on purpose: a harness that does not catch them proves nothing."""

from __future__ import annotations

import json
from typing import Any

from nightproof.engines.attempt import effects, mapper, owning, steps
from nightproof.engines.attempt.ledger import Ledger
from nightproof.journal.commit import Committed, Lane
from nightproof.journal.lease import Possession
from nightproof.journal.records import Entry, Settle
from nightproof.model import clock, crash
from nightproof.model.states import EffectState, Kind
from nightproof.stores.sqlite.store import SqliteJournal


def confirm_before_act() -> None:
    """The ledger says that an effect happened before it does."""
    act = effects.Act._act

    async def first_confirm(self: Any) -> Any:
        result = json.dumps(self.key).encode()
        lane = self.run.ledger.lane
        await lane.put(Settle(self.key, EffectState.CONFIRMED, clock.now_ms(), result))
        crash.hit("effect:confirm", self.effect.name)
        return await act(self)

    effects.Act._act = first_confirm


def retry_blindly() -> None:
    """An unknown outcome is taken for one that did not happen."""

    async def try_again(self: Any, why: str) -> Any:
        await self._settle(EffectState.CLEAR, why)
        return effects.MISSING

    effects.Act._unknown = try_again


def by_position() -> None:
    """A result belongs to the n-th call of a step, whatever its inputs are."""
    by_inputs = mapper.fingerprint
    mapper.fingerprint = steps.fingerprint = lambda name, parts: by_inputs(name, [])


def no_fencing() -> None:
    """Whoever comes owns the run, and nobody's writes are refused."""
    owning.possession = lambda *_: Possession.DEAD
    no_token()


def no_token() -> None:
    """What an owner writes that was taken over is not refused."""
    write = SqliteJournal._write

    def unfenced(self: Any, batch: Any) -> Any:
        token = self._db.execute("SELECT token FROM run WHERE id = ?", (batch.run,)).get
        # The sequence numbers of two owners collide; a broken runtime takes the next.
        last = self._db.execute("SELECT max(seq) FROM entry WHERE run = ?", (batch.run,)).get or 0
        entries = [e._replace(seq=last + 1 + at) for at, e in enumerate(batch.entries)]
        return write(self, batch._replace(token=token, entries=entries))

    def unfenced_one(self: Any, batch: Any) -> frozenset[int]:
        with self._db.transaction():
            unfenced(self, batch)
        return frozenset()

    SqliteJournal._write = unfenced
    SqliteJournal._write_one = unfenced_one
    SqliteJournal.pulse = lambda self, owned, lease_ms: frozenset()


def never_committed() -> None:
    """Results are handed out and not written."""
    append = Ledger.append

    def forget(self: Any, entry: Entry) -> Committed:
        return _done(self.lane) if entry.kind == Kind.RESULT else append(self, entry)

    Ledger.append = forget
    Ledger.append_alone = lambda self, entry: None


def committed_later() -> None:
    """Results are handed out first and written when there is time."""

    def lazily(self: Any, entry: Entry) -> Committed:
        self.lane.later(entry)
        return _done(self.lane)

    def lazily_alone(self: Any, entry: Entry) -> None:
        self.lane.later(entry)

    Ledger.append = lazily
    Ledger.append_alone = lazily_alone


def _done(lane: Lane) -> Committed:
    future = Committed(loop=lane._commits.loop)
    future.set_result(None)
    return future


BREAK = {
    "confirm-before-act": confirm_before_act,
    "retry-blindly": retry_blindly,
    "by-position": by_position,
    "no-fencing": no_fencing,
    "no-token": no_token,
    "never-committed": never_committed,
    "committed-later": committed_later,
}
