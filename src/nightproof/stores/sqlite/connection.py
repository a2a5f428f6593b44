"""Opening the file, the pragmas that the promises rest on, and errors people understand."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import apsw

from nightproof.errors import (
    Forked,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreTooNew,
)
from nightproof.model import clock
from nightproof.stores.sqlite.schema import APPLICATION_ID, MIGRATIONS, VERSION

T = TypeVar("T")
Durability = Literal["full", "normal"]

CHECKPOINT_PAGES: Final = 256
"""A small -wal is soon written over instead of grown, which makes its syncs cheaper."""
BUSY_MS: Final = 5_000
"""How long SQLite itself waits for a lock before it is asked again."""
BUSY_ROUNDS: Final = 24
"""How often it is asked again before the user hears of it: two minutes in all."""


def translate(error: BaseException, path: str) -> StoreError:
    """An apsw or OS error as one that says what to do."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, apsw.FullError) or getattr(error, "errno", None) == errno.ENOSPC:
        return StoreFull(
            f"no space left for the journal {path}",
            "Free some space and run `nightproof resume --all`: everything acknowledged is kept.",
        )
    if isinstance(error, (apsw.ReadOnlyError, apsw.PermissionsError, PermissionError)):
        return StoreReadOnly(
            f"the journal {path} may not be written by this user",
            "Correct the permissions of the file and its folder (SQLite also writes "
            "-wal and -shm beside it), or give another --store.",
        )
    if isinstance(error, apsw.CantOpenError):
        return StoreReadOnly(
            f"the journal {path} cannot be opened: {error}",
            "Check that its folder exists and may be written, or give another --store.",
        )
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return StoreDamaged(
            f"the journal {path} is damaged: {error}",
            "Run `nightproof doctor --salvage NEW.db`: it copies every readable record into a "
            "new journal and says what could not be read.",
        )
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return StoreBusy(
            f"another process has kept the journal {path} locked for minutes",
            "`nightproof doctor` names the processes that have it open.",
        )
    if isinstance(error, apsw.IOError):
        return StoreError(
            f"the disk failed under the journal {path}: {error}",
            "Check the disk (free space, quota, kernel log) and run `nightproof resume --all`.",
        )
    if isinstance(error, OSError):
        return StoreReadOnly(
            f"the journal {path} cannot be opened: {error.strerror}",
            "Check that its folder exists and may be written, or give another --store.",
        )
    return StoreError(f"the journal {path} failed: {error}")


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Errors of SQLite inside the block come out translated."""
    try:
        yield
    except (apsw.Error, OSError) as error:
        raise translate(error, path) from error


def patiently(act: Callable[[], T]) -> T:
    """Run `act`, again while another process holds the lock."""
    for _ in range(BUSY_ROUNDS):
        try:
            return act()
        except apsw.BusyError:
            clock.block(0.001)
    return act()


class Database:
    """One connection to a journal file, usable only by the process that opened it."""

    def __init__(self, path: str, durability: Durability = "full", readonly: bool = False) -> None:
        self.path = path
        self.memory = path == ":memory:"
        self.durability = durability
        self.readonly = readonly
        self._pid = os.getpid()
        flags = apsw.SQLITE_OPEN_READONLY if readonly else _WRITE
        with explained(path):
            if not self.memory and not readonly:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            self.raw = apsw.Connection(path, flags=flags)
            self.raw.set_busy_timeout(BUSY_MS)
            try:
                patiently(self._prepare)
            except apsw.CantOpenError:
                if not readonly or Path(f"{path}-wal").exists():
                    raise
                # A medium that cannot be written: nobody else writes there either.
                self.raw = apsw.Connection(
                    f"{Path(path).absolute().as_uri()}?immutable=1",
                    flags=flags | apsw.SQLITE_OPEN_URI,
                )
                self._prepare()
        self._file = self._found()
        self.execute = self.raw.execute
        self.executemany = self.raw.executemany
        _open.add(self)

    def _prepare(self) -> None:
        execute = self.raw.execute
        version = execute("PRAGMA user_version").get
        self._refuse_foreign()
        if version > VERSION:
            raise StoreTooNew(
                f"the journal {self.path} has schema version {version}; this nightproof knows "
                f"{VERSION}",
                "Install the nightproof that wrote it, or a newer one.",
            )
        if self.readonly:
            return
        if execute("PRAGMA journal_mode").get != "wal":
            execute("PRAGMA journal_mode=WAL")
        execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        self.sync(True)
        if version < VERSION:
            self._migrate()

    def _refuse_foreign(self) -> None:
        tables = self.raw.execute("SELECT count(*) FROM sqlite_schema").get
        if tables and self.raw.execute("PRAGMA application_id").get != APPLICATION_ID:
            raise StoreDamaged(
                f"{self.path} is a database, but not a nightproof journal",
                "Give another --store.",
            )

    def _migrate(self) -> None:
        with self.transaction():
            version = self.raw.execute("PRAGMA user_version").get
            for script in MIGRATIONS[version:]:
                self.raw.execute(script)
            self.raw.execute(f"PRAGMA application_id={APPLICATION_ID}")
            self.raw.execute(f"PRAGMA user_version={VERSION}")

    def sync(self, full: bool) -> None:
        """Whether following commits wait for the disk."""
        level = "FULL" if full and self.durability == "full" else "NORMAL"
        self.raw.execute(f"PRAGMA synchronous={level}")

    @contextmanager
    def transaction(self, full: bool = True) -> Iterator[None]:
        """One write transaction; `full` waits for the disk at its end."""
        self.check_process()
        if not full:
            self.sync(False)
        try:
            patiently(lambda: self.raw.execute("BEGIN IMMEDIATE"))
            try:
                yield
                patiently(lambda: self.raw.execute("COMMIT"))
            except BaseException:
                if self.raw.in_transaction:
                    self.raw.execute("ROLLBACK")
                raise
        finally:
            if not full:
                self.sync(True)

    def check_process(self) -> None:
        """Raise :class:`Forked` in a process that did not open this connection."""
        if self._pid != os.getpid():
            raise Forked(
                "the journal was used in a process made by fork(), which shares its open files",
                "Write to the journal only in the process that runs the job; use the 'spawn' "
                "start method, or call plain functions in the child.",
            )

    def present(self) -> None:
        """Raise :class:`StoreError` where another file, or none, is at the path by now."""
        found = self._found()
        if found != self._file:
            raise StoreError(
                f"the journal {self.path} was {'replaced' if found else 'removed'} while it was "
                "open: this process has only what was there before",
                "Stop it, see to it that the right file is there, and start it again.",
            )

    def _found(self) -> tuple[int, int] | None:
        if self.memory:
            return None
        try:
            found = Path(self.raw.filename).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def close(self) -> None:
        """Close the file; the last one to close it removes its -wal."""
        _open.discard(self)
        if self._pid == os.getpid():
            self.raw.close()


_WRITE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
_open: set[Database] = set()
_leaked: list[Any] = []


def _after_fork_in_child() -> None:
    # A forked child that closes an inherited connection may remove the parent's -wal;
    # an extra reference that is never given back keeps it from ever being closed.
    import ctypes  # rarely needed, and it costs start-up time

    for database in _open:
        _leaked.append(database.raw)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(database.raw))


os.register_at_fork(after_in_child=_after_fork_in_child)
