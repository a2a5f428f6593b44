"""Runs that several processes write, on SQLite: the statements, each in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightproof.journal.records import (
    NEVER_OUTCOMES,
    Entry,
    Forget,
    Pause,
    UseBlob,
    counts,
    intact,
)
from nightproof.journal.tables import ENTRY_COLUMNS
from nightproof.model.states import Kind, RunStatus
from nightproof.stores.sqlite.connection import Database

_SINCE_SCHEMA = 5
"""A journal of an older schema that is only read has no shared runs."""
_NEVER = ", ".join(str(int(kind)) for kind in NEVER_OUTCOMES)
_LIST = (
    "INSERT INTO outcome SELECT run, fp, min(seq) FROM entry AS e WHERE run = ?1 "
    f"AND fp <> x'' AND kind NOT IN ({_NEVER}) AND NOT (seq < ?2 AND ("
    f"kind = {int(Kind.FAILURE)} OR EXISTS (SELECT 1 FROM undone "
    "WHERE undone.fp = e.fp AND undone.seq > e.seq))) GROUP BY fp"
)
"""?2 is where the run was last reopened: failures, and what was undone, before it are none."""
_UNDONE = f"SELECT fp, seq FROM entry WHERE run = ?1 AND seq < ?2 AND kind = {int(Kind.UNDONE)}"
_REOPENED = f"SELECT max(seq) FROM entry WHERE run = ? AND kind = {int(Kind.REOPENED)}"
_ENTRY = f"INSERT INTO entry ({ENTRY_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_WHOLE = "SELECT " + ", ".join(f"entry.{name}" for name in ENTRY_COLUMNS.split(", "))
_FIND = (
    f"{_WHOLE} FROM outcome JOIN entry USING (run, seq) WHERE outcome.run = ? AND outcome.fp = ?"
)


def share(db: Database, run: int, reopened: bool) -> None:
    """List the outcomes of a run's history; see :class:`nightproof.journal.protocol.Journal`."""
    db.execute("DELETE FROM outcome WHERE run = ?", (run,))
    until = 2**62 if reopened else db.execute(_REOPENED, (run,)).get or 0
    db.execute(f"WITH undone AS MATERIALIZED ({_UNDONE}) {_LIST}", (run, until))


def append(db: Database, run: int, entries: Sequence[Entry]) -> None:
    """Number the entries and write those that are not an outcome that is there already."""
    last = db.execute("SELECT max(seq) FROM entry WHERE run = ?", (run,)).get
    seq = 0 if last is None else int(last) + 1
    for entry in entries:
        if counts(entry.kind, entry.fp):
            db.execute(
                "INSERT INTO outcome VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (run, entry.fp, seq)
            )
            if not db.raw.changes():
                if find(db, run, entry.fp) is not None:
                    continue
                # What is there cannot be read any more.
                db.execute(
                    "UPDATE outcome SET seq = ? WHERE run = ? AND fp = ?", (seq, run, entry.fp)
                )
        db.execute(_ENTRY, entry._replace(seq=seq))
        seq += 1


def apply(db: Database, run: int, write: Pause | Forget) -> None:
    """What only a run has whose engine distributes it; see their classes."""
    if isinstance(write, Forget):
        db.execute(
            "DELETE FROM outcome WHERE run = ? AND fp = ? AND seq = ?", (run, write.fp, write.seq)
        )
        return
    status = RunStatus.PARKED if write.waiting else RunStatus.RUNNING
    db.execute(
        "UPDATE run SET status = ?, waiting = ?, wake = ?, updated = ? "
        "WHERE id = ? AND owner_host IS NOT NULL",
        (str(status), write.waiting, write.wake, write.at, run),
    )


def refer(db: Database, run_name: str, blobs: Sequence[UseBlob]) -> bool:
    """See :class:`nightproof.journal.protocol.Journal`."""
    run = db.execute("SELECT id FROM run WHERE name = ?", (run_name,)).get
    if run is not None:
        db.executemany(
            "INSERT OR IGNORE INTO blob_use VALUES (?, ?, ?)",
            [(use.digest, run, use.size) for use in blobs],
        )
    return run is not None


def find(db: Database, run: int, fp: bytes) -> Entry | None:
    """The outcome of a fingerprint; None where there is none, or a damaged one."""
    rows: list[tuple[Any, ...]] = db.execute(_FIND, (run, fp)).fetchall()
    entry = Entry(*rows[0]) if rows else None
    return entry if entry is not None and intact(entry) else None


def recorded(db: Database, run: int, fps: Sequence[bytes]) -> dict[bytes, Entry]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    if int(db.execute("PRAGMA user_version").get) < _SINCE_SCHEMA:
        return {}
    found = {fp: find(db, run, fp) for fp in fps}
    return {fp: entry for fp, entry in found.items() if entry is not None}
