"""Copying every readable row of a damaged journal into a new one.

A damaged page hides the rows on it, and a scan stops there. Rows before and behind
it are still reachable, since a search by key goes down the tree from its root: so
each table is scanned up to the damage, then from behind it on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from nightproof.errors import StoreDamaged, UsageError
from nightproof.journal.records import Entry, intact
from nightproof.stores.sqlite.connection import Database, explained

_TABLES = (
    "run", "code", "attempt", "effect", "blob_use", "signal", "boot", "quota", "quota_use",
    "incident", "schedule", "fire", "outcome", "audit",
)  # fmt: skip
_ROWS_PER_COMMIT = 500
_REACH = 40
"""Behind damage, keys are tried at distances of 1, 2, 4 … up to two to this power."""
_DAMAGE = (apsw.CorruptError, apsw.NotADBError, apsw.IOError)
_REFUSED = (apsw.ConstraintError, apsw.MismatchError)


@dataclass(slots=True)
class Salvaged:
    """What came of it: rows copied by table, and what could not be read, in words."""

    copied: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)


def salvage(damaged: str, new: str) -> Salvaged:
    """Copy what can be read of the journal at path `damaged` into a new one at `new`.

    The damaged file is only read. Raises UsageError where there is a file at `new`,
    StoreDamaged where not even the table of contents can be read.
    """
    if Path(new).exists():
        raise UsageError(f"{new} is there already", "Name a file that does not exist yet.")
    source = _open(damaged)
    found = Salvaged()
    try:
        target = Database(new)
        try:
            for table in _TABLES:
                _copy(source, target, table, found)
            _copy_entries(source, target, found)
        finally:
            target.close()
    finally:
        source.close()
    return found


def _open(path: str) -> apsw.Connection:
    with explained(path):
        source = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
        source.execute("PRAGMA cell_size_check=ON")
    try:
        tables = source.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'entry'").get
    except _DAMAGE as error:
        raise StoreDamaged(
            f"nothing can be read of {path}: its first page is gone ({error})",
            "Restore the file from a backup; runs in it start afresh otherwise.",
        ) from error
    if not tables:
        raise StoreDamaged(f"{path} is not a nightproof journal", "Give its path with --store.")
    return source


def _copy(source: apsw.Connection, target: Database, table: str, found: Salvaged) -> None:
    keys = _key_of(source, table)
    if not keys:
        return  # an older schema has no such table
    rows = _readable(source, table, keys, found)
    found.copied[table] = _insert(target, table, rows, found)


def _key_of(source: apsw.Connection, table: str) -> list[str]:
    columns: list[tuple[Any, ...]] = source.execute(f"PRAGMA table_info({table})").fetchall()
    return [row[1] for row in sorted(columns, key=lambda row: int(row[5])) if row[5]]


def _readable(
    source: apsw.Connection, table: str, keys: list[str], found: Salvaged
) -> Iterator[tuple[Any, ...]]:
    """Rows from the front up to the damage, then from the back down to it."""
    columns = [row[1] for row in source.execute(f"PRAGMA table_info({table})")]
    at = [columns.index(key) for key in keys]
    seen: set[tuple[Any, ...]] = set()
    for order in ("ASC", "DESC"):
        by = ", ".join(f"{key} {order}" for key in keys)
        whole = True
        try:
            for row in source.execute(f"SELECT * FROM {table} NOT INDEXED ORDER BY {by}"):
                key = tuple(row[place] for place in at)
                if key not in seen:
                    seen.add(key)
                    yield row
        except _DAMAGE as error:
            whole = False
            if order == "ASC":
                found.lost.append(f"{table}: some rows cannot be read ({error})")
        if whole:
            return


def _insert(target: Database, table: str, rows: Iterator[tuple[Any, ...]], found: Salvaged) -> int:
    copied = 0
    while True:
        batch = [row for _, row in zip(range(_ROWS_PER_COMMIT), rows, strict=False)]
        if not batch:
            return copied
        with explained(target.path), target.transaction(full=False):
            for row in batch:
                try:
                    marks = ", ".join("?" * len(row))
                    target.execute(f"INSERT INTO {table} VALUES ({marks})", row)
                    copied += 1
                except _REFUSED as error:
                    found.lost.append(f"{table}: row {row[:2]} is not what was written ({error})")


def _copy_entries(source: apsw.Connection, target: Database, found: Salvaged) -> None:
    """The history of every run that was copied; each entry proves itself by its checksum."""
    copied = 0
    runs: list[Any] = target.execute("SELECT id, name FROM run ORDER BY id").fetchall()
    for run, name in runs:
        before = len(found.lost)
        rows = _history(source, run, name, found)
        copied += _insert(target, "entry", rows, found)
        if len(found.lost) > before:
            _reopen(target, run)
    found.copied["entry"] = copied


def _history(
    source: apsw.Connection, run: int, name: str, found: Salvaged
) -> Iterator[tuple[Any, ...]]:
    after = -1
    while True:
        try:
            for row in source.execute(
                "SELECT * FROM entry WHERE run = ? AND seq > ? ORDER BY seq", (run, after)
            ):
                after = row[1]
                if intact(Entry(*row)):
                    yield row
                else:
                    found.lost.append(f"run {name}: entry {after} is damaged")
            return
        except _DAMAGE as error:
            beyond = _behind(source, run, after)
            if beyond is None:
                found.lost.append(f"run {name}: entries from {after + 1} on ({error})")
                return
            if beyond > after + 1:
                found.lost.append(f"run {name}: entries {after + 1} to {beyond - 1} ({error})")
            after = beyond - 1


def _behind(source: apsw.Connection, run: int, last: int) -> int | None:
    """The first sequence number behind the damage; None where nothing is readable there."""
    low = last + 1
    for power in range(_REACH):
        high = last + 1 + 2**power
        first = _probe(source, run, high)
        if first is None:
            return None
        if first >= 0:
            break
        low = high
    else:
        return None
    while low + 1 < high:  # the first readable start between a failing and a working one
        middle = (low + high) // 2
        at = _probe(source, run, middle)
        if at is not None and at >= 0:
            high, first = middle, at
        else:
            low = middle
    return first


def _probe(source: apsw.Connection, run: int, start: int) -> int | None:
    """The first entry at or behind `start`: -1 where that is damaged, None for no entry."""
    try:
        found: list[Any] = source.execute(
            "SELECT seq, crc FROM entry WHERE run = ? AND seq >= ? ORDER BY seq LIMIT 1",
            (run, start),
        ).fetchall()
    except _DAMAGE:
        return -1
    return int(found[0][0]) if found else None


def _reopen(target: Database, run: int) -> None:
    """A run that lost part of its history and is not complete goes on with what is left."""
    with explained(target.path), target.transaction():
        target.execute(
            "UPDATE run SET owner_host = NULL, owner_pid = NULL, owner_started = NULL, "
            "lease_until = 0 WHERE id = ? AND status = 'running'",
            (run,),
        )
