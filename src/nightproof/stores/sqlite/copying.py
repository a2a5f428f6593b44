"""A journal file as the source or the target of a migration."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import apsw

from nightproof.errors import StoreBusy, UsageError
from nightproof.journal.portable import Row, Table, portable
from nightproof.stores.sqlite.connection import Database, explained

_ROWS_PER_COMMIT = 2000
_BLOBS = (
    "SELECT digest FROM blob_use UNION SELECT blob FROM effect WHERE blob IS NOT NULL ORDER BY 1"
)
UNFINISHED = ".migrating"
"""Behind the name of a file that a migration is writing."""


class _Tables:
    def __init__(self, db: Database) -> None:
        self._db = db

    def rows(self, table: Table) -> Iterator[Row]:
        """See :class:`nightproof.journal.portable.Source`."""
        names, key = ", ".join(table.names), ", ".join(table.key)
        with explained(self._db.path):
            yield from portable(
                table, self._db.raw.execute(f"SELECT {names} FROM {table.name} ORDER BY {key}")
            )

    def count(self, table: Table) -> int:
        """See :class:`nightproof.journal.portable.Source`."""
        with explained(self._db.path):
            return int(self._db.execute(f"SELECT count(*) FROM {table.name}").get)

    def blobs(self) -> Iterator[str]:
        """See :class:`nightproof.journal.portable.Source`."""
        with explained(self._db.path):
            for (digest,) in self._db.raw.execute(_BLOBS):
                yield digest


@contextmanager
def source(path: str) -> Iterator[_Tables]:
    """The journal at `path`, brought to the newest schema; nobody writes to it meanwhile."""
    db = Database(path)
    try:
        with db.transaction():
            yield _Tables(db)
    finally:
        db.close()


class _Made(_Tables):
    def __init__(self, db: Database, path: Path) -> None:
        super().__init__(db)
        self._path = path
        self.kept = False

    def write(self, table: Table, rows: Iterable[Row]) -> int:
        """See :class:`nightproof.journal.portable.Target`."""
        marks = ", ".join("?" * len(table.columns))
        sql = f"INSERT INTO {table.name} ({', '.join(table.names)}) VALUES ({marks})"
        each, count = iter(rows), 0
        while batch := list(islice(each, _ROWS_PER_COMMIT)):
            with explained(self._db.path), self._db.transaction(full=False):
                self._db.executemany(sql, batch)
            count += len(batch)
        return count

    def keep(self) -> None:
        """See :class:`nightproof.journal.portable.Target`."""
        with explained(self._db.path):
            self._db.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.close()
            for place in (self._db.path, str(self._path.parent)):
                _sync(place)
            try:  # unlike a rename, a link does not replace what has come there meanwhile
                os.link(self._db.path, self._path)
            except FileExistsError:
                raise _there(str(self._path)) from None
            except OSError:  # a file system without links
                Path(self._db.path).rename(self._path)
            _sync(str(self._path.parent))
        self.kept = True


@contextmanager
def target(path: str) -> Iterator[_Made]:
    """A new journal that is at `path` once it is kept.

    Until then it is beside it (``.migrating``); one that an interrupted migration left is
    begun anew. Raises UsageError where there is a file at `path`, StoreBusy where another
    migration is writing there.
    """
    place = Path(path)
    if place.exists():
        raise _there(path)
    unfinished = f"{path}{UNFINISHED}"
    with explained(path):
        place.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(f"{unfinished}.lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _alone(handle, path)
        _remove(unfinished)
        db = Database(unfinished)
        made = _Made(db, place)
        try:
            yield made
        finally:
            with suppress(apsw.Error):
                db.close()
            _remove(unfinished)
            Path(f"{unfinished}.lock").unlink(missing_ok=True)
    finally:
        os.close(handle)


def _there(path: str) -> UsageError:
    return UsageError(
        f"{path} is there already; a migration writes a new file",
        "Name one that does not exist, or move this one away.",
    )


def _alone(handle: int, path: str) -> None:
    import fcntl  # absent on Windows, where only this would fail

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise StoreBusy(f"another migration is writing {path}", "Wait for it to end.") from None


def _remove(path: str) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        Path(path + end).unlink(missing_ok=True)


def _sync(place: str) -> None:
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
