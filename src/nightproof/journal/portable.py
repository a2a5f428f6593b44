"""A journal as plain tables: what is copied from one kind of store to another.

The names are those of every store's own tables. Rows come and go in the order of the
columns here and, on the way out, sorted by their key, texts by code point.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

Row = tuple[Any, ...]


class Column(NamedTuple):
    """A column: `kind` is int, text, bytes, real or flag (an int that is 0 or 1)."""

    name: str
    kind: str


class Table(NamedTuple):
    """A table; `key` is its primary key, which sorts it."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]


_LAYOUT = """
run id; id int, name text, job text, digest text, replicate int, contract bytes, target text,
    code text, parent int, options bytes, status text, created int, updated int, finished int,
    wake int, waiting text, result bytes, result_blob text, error bytes, token int,
    owner_host text, owner_pid int, owner_started int, beat int, lease_until int, cancel flag,
    attempts int, result_crc int
boot id; id int, at int, host text, pid int, started int, command text, stage text
code id; id int, name text, digest text
attempt run n; run int, n int, boot int, started int, ended int, outcome text, host text,
    pid int, pid_started int
entry run seq; run int, seq int, kind int, code int, fp bytes, at int, took int, inputs bytes,
    output bytes, blob text, crc int
outcome run fp; run int, fp bytes, seq int
effect key; key text, name text, run int, run_name text, state text, digest bytes,
    inputs bytes, tries int, at int, output bytes, blob text, error text
signal id; id int, run int, name text, payload bytes, at int, taken flag
blob_use digest run; digest text, run int, size int
quota name; name text, spec text, parked int, reason text
quota_use quota what sharer until; quota text, what text, sharer text, until int, n real
quota_wait quota run; quota text, run text, since int, until int
incident key; key text, kind text, job text, run text, opened int, cleared int, notified int,
    note text
schedule name; name text, job text, target text, spec text, since int, seen int
fire schedule at; schedule text, at int, run text, contract bytes
audit id; id int, at int, who text, act text, run text, command text, code int, outcome text
"""


def _table(text: str) -> Table:
    head, _, columns = text.partition(";")
    name, *key = head.split()
    pairs = (column.split() for column in columns.split(","))
    return Table(name, tuple(Column(each, kind) for each, kind in pairs), tuple(key))


TABLES: tuple[Table, ...] = tuple(
    _table(text) for text in _LAYOUT.replace("\n    ", " ").strip().splitlines()
)
"""Every table of a journal. Schema versions and receipts are each store's own."""
PASSING = frozenset({"boot", "code"})
"""What may be in a journal that no run has written to yet."""


class Source(Protocol):
    """A journal that is read as it was at one moment; nobody writes to it meanwhile."""

    def rows(self, table: Table) -> Iterator[Row]:
        """Every row, sorted by its key; only some of them are in memory."""
        ...

    def count(self, table: Table) -> int:
        """How many rows there are."""
        ...

    def blobs(self) -> Iterator[str]:
        """The digest of every blob that something refers to, once, sorted."""
        ...


class Target(Source, Protocol):
    """A journal that is being made: nobody sees it before it is whole."""

    def write(self, table: Table, rows: Iterable[Row]) -> int:
        """Add the rows; how many they were."""
        ...

    def keep(self) -> None:
        """Make it the journal, durably. Without it, what was written is gone."""
        ...


OpenSource = AbstractContextManager[Source]
OpenTarget = AbstractContextManager[Target]


def portable(table: Table, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows as every store can keep them: no text holds NUL (Postgres takes none)."""
    texts = [at for at, column in enumerate(table.columns) if column.kind == "text"]
    for row in rows:
        if any(row[at] and "\0" in row[at] for at in texts):
            yield tuple(
                value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in row
            )
        else:
            yield row


class Sum:
    """Count and digest of a table's rows, as they come."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = sha256()

    def of(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The same rows, counted and hashed."""
        update = self._hash.update
        for row in rows:
            self.rows += 1
            update(b"".join(map(_canonical, row)) + b"\n")
            yield row

    def take(self, rows: Iterable[Row]) -> Sum:
        """Count and hash all of them."""
        for _ in self.of(rows):
            pass
        return self

    @property
    def digest(self) -> str:
        """The digest so far."""
        return "sha256:" + self._hash.hexdigest()


def _canonical(value: Any) -> bytes:
    """A value so that no two rows look alike that are not."""
    if value is None:
        return b"-"
    if isinstance(value, bytes):
        return b"b%d:%s" % (len(value), value)
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        return b"t%d:%s" % (len(data), data)
    if isinstance(value, float):
        return b"r%s;" % repr(value).encode()
    return b"i%d;" % value
