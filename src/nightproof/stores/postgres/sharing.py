"""Runs that several processes write, on Postgres: see :meth:`Journal.share`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nightproof.errors import LeaseLost
from nightproof.journal.records import NEVER_OUTCOMES, Entry
from nightproof.model.states import Kind
from nightproof.stores.postgres.session import Transaction
from nightproof.stores.postgres.writing import FENCE

_NEVER = ", ".join(str(int(kind)) for kind in NEVER_OUTCOMES)
_EVERYTHING: Final = 2**31 - 1
_REOPENED = (
    f"SELECT coalesce(max(seq), 0) FROM entry WHERE run = $1 AND kind = {int(Kind.REOPENED)}"
)
_LIST = (
    f"WITH undone AS MATERIALIZED (SELECT fp, max(seq) AS seq FROM entry WHERE run = $1 "
    f"AND seq < $2 AND kind = {int(Kind.UNDONE)} GROUP BY fp) "
    "INSERT INTO outcome (run, seq, fp) SELECT run, min(seq), fp FROM entry AS e WHERE run = $1 "
    f"AND length(fp) > 0 AND kind NOT IN ({_NEVER}) AND NOT (seq < $2 AND ("
    f"kind = {int(Kind.FAILURE)} OR EXISTS (SELECT 1 FROM undone "
    "WHERE undone.fp = e.fp AND undone.seq > e.seq))) GROUP BY run, fp"
)
"""$2 is where the run was last reopened: failures, and what was undone, before it are none."""
_FORGET = "DELETE FROM outcome WHERE run = $1 AND fp = $2 AND seq = $3"


async def share(transaction: Transaction, run: int, token: int, reopened: bool) -> None:
    """List the outcomes of a run's history, in the caller's transaction."""
    if await transaction.one(FENCE, run, token) is None:
        raise LeaseLost("this attempt no longer owns its run; nothing was shared")
    until = _EVERYTHING
    if not reopened:
        [(until,)] = await transaction.all(_REOPENED, run)
    await transaction.each([("DELETE FROM outcome WHERE run = $1", (run,)), (_LIST, (run, until))])


async def forget(transaction: Transaction, run: int, damaged: Sequence[Entry]) -> None:
    """Entries that cannot be read are outcomes no more: they may be written again."""
    await transaction.each([(_FORGET, (run, entry.fp, entry.seq)) for entry in damaged])
