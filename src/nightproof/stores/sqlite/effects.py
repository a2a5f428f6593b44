"""The effect ledger on SQLite: the statements, each in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable

from nightproof.errors import NotFound
from nightproof.journal.records import EffectRow, Settle
from nightproof.journal.tables import EFFECT_COLUMNS, effect_row
from nightproof.model.states import EffectState
from nightproof.stores.sqlite.connection import Database

_FIND = f"SELECT {EFFECT_COLUMNS} FROM effect WHERE key = ?"
_INTEND = (
    "INSERT INTO effect (key, name, run, run_name, state, digest, inputs, tries, at, output) "
    "VALUES (?, ?, ?, ?, 'intended', ?, ?, 1, ?, ?) ON CONFLICT (key) DO UPDATE SET "
    "run = excluded.run, run_name = excluded.run_name, state = 'intended', "
    "digest = excluded.digest, inputs = excluded.inputs, tries = tries + 1, "
    "at = excluded.at, output = excluded.output, error = ''"
)
_SETTLE = "UPDATE effect SET state = ?, at = ?, output = ?, blob = ?, error = ? WHERE key = ?"
_SEEN = " AND tries = ? AND state = ?"
_CONFESS = f"{_SETTLE} AND tries = ? AND state NOT IN ('confirmed', 'skipped')"
_VOUCH = (
    "UPDATE effect SET output = ?1 WHERE key = ?2 AND state = 'intended' "
    "AND substr(output, 1, length(?3)) = ?3"
)


def intend(db: Database, row: EffectRow) -> tuple[EffectRow, bool]:
    """See :class:`nightproof.journal.protocol.Journal`."""
    cells = db.execute(_FIND, (row.key,)).fetchone()
    found = None if cells is None else effect_row(cells)
    if found is not None and found.state is not EffectState.CLEAR:
        return found, False
    values = (row.key, row.name, row.run, row.run_name, row.digest, row.inputs, row.at)
    db.execute(_INTEND, (*values, row.trying))
    return (row if found is None else row._replace(tries=found.tries + 1)), True


def settle(db: Database, write: Settle) -> None:
    """Set the state of an effect, unless `seen` is over."""
    values = (str(write.state), write.at, write.output, write.blob, write.error, write.key)
    if write.seen is None:
        db.execute(_SETTLE, values)
    else:
        db.execute(_SETTLE + _SEEN, (*values, write.seen[0], str(write.seen[1])))


def confess(db: Database, write: Settle) -> bool:
    """See :class:`nightproof.journal.protocol.Journal`."""
    assert write.seen is not None
    values = (str(write.state), write.at, write.output, write.blob, write.error, write.key)
    db.execute(_CONFESS, (*values, write.seen[0]))
    found = db.execute("SELECT tries FROM effect WHERE key = ?", (write.key,)).get
    return bool(found == write.seen[0])


def vouch(db: Database, tries: Iterable[tuple[str, bytes, bytes | None]]) -> None:
    """See :class:`nightproof.journal.protocol.Journal`."""
    for key, mark, now in tries:
        db.execute(_VOUCH, (now, key, mark))


def resolve(db: Database, key: str, happened: bool, output: bytes | None, now_ms: int) -> EffectRow:
    """See :class:`nightproof.journal.protocol.Journal`."""
    found = db.execute(_FIND, (key,)).fetchone()
    if found is None:
        raise NotFound(f"no effect has the key '{key}'", "`nightproof show RUN` lists its effects.")
    row = effect_row(found)
    if row.state not in (EffectState.INTENDED, EffectState.FAILED):
        raise NotFound(
            f"effect '{key}' is {row.state}; there is nothing to resolve",
            "Only an effect whose outcome is unknown needs a decision.",
        )
    state = EffectState.CONFIRMED if happened else EffectState.CLEAR
    db.execute(
        "UPDATE effect SET state = ?, at = ?, output = ? WHERE key = ?",
        (str(state), now_ms, output, key),
    )
    return row
