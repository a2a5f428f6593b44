"""Whether there is something new about a run."""

from __future__ import annotations

from hashlib import sha256

from nightproof.journal.listing import EffectFilter
from nightproof.journal.protocol import Journal
from nightproof.journal.records import RunFilter, RunRow
from nightproof.model.states import EffectState
from nightproof.views.runs import view, word

_CHILDREN = 200


async def mark(journal: Journal, name: str) -> str:
    """A digest of what a run's pages show: another one when there is something new.

    Where there is no such run it is that of none. Of its child runs the newest 200 count.
    """
    row = await journal.find(name)
    if row is None:
        return "none"
    children = await journal.runs(RunFilter(parent=row.id, limit=_CHILDREN, brief=True))
    doubt = EffectFilter(run=row.id, states=(EffectState.INTENDED, EffectState.FAILED), limit=200)
    told = (
        [await _state(journal, one) for one in (row, *children)],
        [(one.key, one.state, one.tries) for one in await journal.ledger(doubt)],
        [one.id for one in await journal.signals(row.id)],
        [(one.id, one.code) for one in await journal.audits(limit=3, run=row.name)],
    )
    return sha256(repr(told).encode()).hexdigest()[:16]


async def _state(journal: Journal, row: RunRow) -> tuple[object, ...]:
    last = await journal.last_seq(row.id)
    wait = row.cancel, row.waiting, row.wake
    return row.name, word(view(row)), row.updated, row.token, wait, last
