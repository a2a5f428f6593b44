"""Blobs as files: ``sha256/ab/cdef…`` below a directory, ``.zst`` where compressed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NoReturn

from nightproof.blobs.encoding import COMPRESSED, beginning, pack, unpack
from nightproof.blobs.protocol import BlobInfo, BlobRef, digest_of, hex_of
from nightproof.errors import BlobError, StoreError, StoreFull, StoreReadOnly
from nightproof.model import clock

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
PIECE = 1 << 17
"""Bytes that are read at a time of a blob of which only the beginning is wanted."""
_DENIED = {errno.EROFS, errno.EACCES, errno.EPERM}


class FileBlobs:
    """A directory of blobs; made when the first one is put.

    Several threads and processes may use it at once, on one machine or over a
    file system with working ``flock``. With ``durable=False`` nothing is
    forced to disk: a power cut can lose what was just put, a crash cannot.
    """

    def __init__(self, root: str | os.PathLike[str], *, durable: bool = True) -> None:
        self.root = Path(root)
        self._objects = self.root / "sha256"
        self._incoming = self.root / "incoming"
        self._durable = durable
        self._made: set[Path] = set()

    def put(self, data: bytes) -> BlobRef:
        """See Blobs.put. Raises StoreFull, StoreReadOnly, or StoreError for other failures."""
        digest, packed = pack(data)
        plain = self._path(digest)
        path = plain if packed is None else plain.with_name(plain.name + COMPRESSED)
        with self._writing(path):
            if not self._keep(plain, data):
                self._write(path, data if packed is None else packed)
                self._drop_damaged(plain, data)
        return BlobRef(digest, len(data))

    def get(self, digest: str) -> bytes:
        """See Blobs.get."""
        plain = self._path(digest)
        found = _read(plain)
        if found is None:
            raise _missing(digest, plain)
        path, stored = found
        data = _content(path, stored)
        if data is None or digest_of(data) != digest:
            raise BlobError(
                f"the blob {digest} is corrupt: {path} holds other bytes ({len(stored)} of them)",
                "Restore the file from a backup, or delete it and run the job afresh.",
            )
        return data

    def head(self, digest: str, most: int) -> bytes:
        """See Blobs.head."""
        plain = self._path(digest)
        for path in _forms(plain):
            try:
                with path.open("rb") as file:
                    pieces = iter(lambda: file.read(PIECE), b"")
                    data = beginning(pieces, path.suffix == COMPRESSED, most)
            except FileNotFoundError:
                continue
            except OSError as exc:
                raise _unreadable(path, exc) from exc
            if data is None:
                raise BlobError(
                    f"the blob {digest} is corrupt: {path} is no whole zstd frame",
                    "Restore the file from a backup, or delete it and run the job afresh.",
                )
            return data
        raise _missing(digest, plain)

    def exists(self, digest: str) -> bool:
        """See Blobs.exists."""
        plain = self._path(digest)
        return any(path.is_file() for path in _forms(plain))

    def delete(self, digest: str, *, before: float | None = None) -> bool:
        """See Blobs.delete."""
        plain = self._path(digest)
        gone = False
        with self._writing(plain), self._lock(exclusive=True):
            for path in _forms(plain):
                with suppress(FileNotFoundError):
                    if before is None or path.stat().st_mtime < before:
                        path.unlink()
                        gone = True
        return gone

    def iterate(self) -> Iterator[BlobInfo]:
        """See Blobs.iterate."""
        for prefix in _entries(self._objects):
            for entry in _entries(prefix.path):
                digest = f"sha256:{prefix.name}{entry.name.removesuffix('.zst')}"
                with suppress(FileNotFoundError, BlobError):
                    hex_of(digest)  # a stranger's file is none of ours
                    stat = entry.stat()
                    yield BlobInfo(digest, stat.st_size, stat.st_mtime)

    def collecting(self) -> AbstractContextManager[None]:
        """See Blobs.collecting: the lock beside the blobs is enough for any number of them."""
        return nullcontext()

    def sweep(self, before: float) -> tuple[int, int]:
        """See Blobs.sweep."""
        count = size = 0
        with self._writing(self._incoming):
            for entry in _entries(self._incoming):
                with suppress(FileNotFoundError):
                    stat = entry.stat()
                    if stat.st_mtime < before:
                        Path(entry.path).unlink()
                        count, size = count + 1, size + stat.st_size
        return count, size

    def _path(self, digest: str) -> Path:
        name = hex_of(digest)
        return self._objects / name[:2] / name[2:]

    def _keep(self, plain: Path, data: bytes) -> bool:
        """Whether the blob is there, whole and safe from a collection that is going on."""
        if not any(path.is_file() for path in _forms(plain)):
            return False
        with self._lock(exclusive=False):
            found = _read(plain)
            if found is None:
                return False
            path, stored = found
            if _content(path, stored) != data:
                return False
            os.utime(path)
        self._sync_directory(plain.parent)  # whoever wrote it may not have come to that yet
        return True

    def _drop_damaged(self, plain: Path, data: bytes) -> None:
        """Out of the way of the good copy that was just written, if there is another form of it."""
        if sum(path.is_file() for path in _forms(plain)) < 2:
            return
        with self._lock(exclusive=True):
            for path in _forms(plain):
                if path.is_file() and _content(path, path.read_bytes()) != data:
                    path.unlink()

    def _write(self, path: Path, stored: bytes) -> None:
        """All of it under its final name, or nothing."""
        self._make(self._incoming)
        self._make(path.parent)
        incoming = self._incoming / f"{path.name[:16]}.{clock.token_hex(8)}"
        try:
            handle = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                rest = memoryview(stored)
                while rest:
                    rest = rest[os.write(handle, rest) :]
                if self._durable:
                    os.fsync(handle)
            finally:
                os.close(handle)
            with self._lock(exclusive=False):
                incoming.replace(path)
        except BaseException:
            with suppress(OSError):
                incoming.unlink()
            raise
        self._sync_directory(path.parent)

    def _make(self, directory: Path) -> None:
        """The directory and those above it, each entry on disk before anything is put inside."""
        if directory in self._made and directory.is_dir():
            return
        missing = []
        above = directory
        while not above.is_dir():
            missing.append(above)
            above = above.parent
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
        # Also where another process made it: it may not have come to the sync yet.
        for each in {*missing, directory}:
            self._sync_directory(each.parent)
        self._made.add(directory)

    def _sync_directory(self, directory: Path) -> None:
        if not self._durable:
            return
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    @contextmanager
    def _lock(self, *, exclusive: bool) -> Iterator[None]:
        """Keeps puts (shared) apart from a deletion that has just looked at a blob's age."""
        import fcntl  # absent on Windows, where only this would fail

        self._make(self.root)
        handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            _refuse(exc, path)


def _content(path: Path, stored: bytes) -> bytes | None:
    """The value in a file that holds `stored`; None where a compressed one is damaged."""
    return unpack(stored, path.suffix == COMPRESSED)


def _forms(plain: Path) -> tuple[Path, Path]:
    return plain.with_name(plain.name + COMPRESSED), plain


def _read(plain: Path) -> tuple[Path, bytes] | None:
    for path in _forms(plain):
        try:
            return path, path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise _unreadable(path, exc) from exc
    return None


def _missing(digest: str, plain: Path) -> BlobError:
    return BlobError(
        f"the blob {digest} is missing: no file {plain}(.zst)",
        "Restore it from a backup, or run the job afresh with --replicate.",
    )


def _unreadable(path: Path, error: OSError) -> BlobError:
    return BlobError(
        f"the blob in {path} cannot be read: {error.strerror}",
        "Check the permissions and the health of the disk.",
    )


def _entries(directory: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _refuse(exc: OSError, path: Path) -> NoReturn:
    if exc.errno in _FULL:
        raise StoreFull(
            f"no space left for the blob {path}",
            "Free some space or run `nightproof gc`, then resume: nothing half-written was kept.",
        ) from exc
    if exc.errno in _DENIED:
        raise StoreReadOnly(
            f"the blob {path} may not be written: {exc.strerror}",
            "Give this user write access to the directory, or choose another one for blobs.",
        ) from exc
    raise StoreError(f"the blob {path} could not be written: {exc}", "Check the disk.") from exc
