"""The effect ledger on Postgres: the statements, each in the caller's transaction."""

from __future__ import annotations

from nightproof.errors import LeaseLost, NotFound
from nightproof.journal.records import EffectRow, LaneBatch, Settle
from nightproof.journal.tables import EFFECT_COLUMNS, effect_row
from nightproof.model import clock
from nightproof.model.states import EffectState
from nightproof.stores.postgres import writing
from nightproof.stores.postgres.session import Transaction
from nightproof.stores.postgres.waking import wake

_INTEND = (
    "INSERT INTO effect (key, name, run, run_name, state, digest, inputs, tries, at, output) "
    "VALUES ($1, $2, $3, $4, 'intended', $5, $6, 1, $7, $8) ON CONFLICT (key) DO UPDATE SET "
    "run = excluded.run, run_name = excluded.run_name, state = 'intended', "
    "digest = excluded.digest, inputs = excluded.inputs, tries = effect.tries + 1, "
    "at = excluded.at, output = excluded.output, error = '' WHERE effect.state = 'clear' "
    "RETURNING tries"
)
"""Changes no row where another state than CLEAR is on record; waits for who is inserting it."""
_CONFESS = (
    "UPDATE effect SET state = $1, at = $2, output = $3, blob = $4, error = $5 WHERE key = $6 "
    "AND tries = $7 AND state NOT IN ('confirmed', 'skipped')"
)
VOUCH = (
    "UPDATE effect SET output = $1 WHERE key = $2 AND state = 'intended' "
    "AND substr(output, 1, length($3::bytea)) = $3"
)
_FIND = f"SELECT {EFFECT_COLUMNS} FROM effect WHERE key = $1"


async def intend(
    transaction: Transaction, batch: LaneBatch, row: EffectRow
) -> tuple[EffectRow, bool]:
    """See :class:`nightproof.journal.protocol.Journal`."""
    values = (row.key, row.name, row.run, row.run_name, row.digest, row.inputs, row.at, row.trying)
    answers = await transaction.each([*writing.commit([batch]), (_INTEND, values)])
    if not answers[0].count:
        raise LeaseLost("this attempt no longer owns its run; the effect was not tried")
    if answers[-1].count:
        return row._replace(tries=answers[-1].rows[0][0]), True
    found = effect_row((await transaction.all(_FIND, row.key))[0])
    # Ours, where the answer to the first try of this transaction was lost.
    return found, row.trying is not None and found.trying == row.trying


async def confess(transaction: Transaction, write: Settle) -> bool:
    """See :class:`nightproof.journal.protocol.Journal`."""
    assert write.seen is not None
    values = (str(write.state), write.at, write.output, write.blob, write.error, write.key)
    await transaction.run(_CONFESS, *values, write.seen[0])
    found = await transaction.one("SELECT tries FROM effect WHERE key = $1", write.key)
    return found is not None and found[0] == write.seen[0]


async def resolve(
    transaction: Transaction, key: str, happened: bool, output: bytes | None, channel: str
) -> EffectRow:
    """See :class:`nightproof.journal.protocol.Journal`."""
    now = clock.now_ms()
    state = EffectState.CONFIRMED if happened else EffectState.CLEAR
    found = await transaction.one(f"{_FIND} FOR NO KEY UPDATE", key)
    if found is None:
        raise NotFound(f"no effect has the key '{key}'", "`nightproof show RUN` lists its effects.")
    row = effect_row(found)
    if row.state not in (EffectState.INTENDED, EffectState.FAILED):
        raise NotFound(
            f"effect '{key}' is {row.state}; there is nothing to resolve",
            "Only an effect whose outcome is unknown needs a decision.",
        )
    await transaction.run(
        "UPDATE effect SET state = $1, at = $2, output = $3 WHERE key = $4",
        str(state), now, output, key,
    )  # fmt: skip
    await wake(transaction, row.run, f" [{key}] has an unknown outcome", now, channel)
    return row
