"""Files that runs delivered, as they lie on this machine now: read with care, and verified.

The journal says what a file was. What lies there now may be anything: another file, a link,
a pipe that never answers, a file that changes while it is read. Bytes leave this module only
where their sha256 is the recorded one.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from nightproof.blobs.protocol import Blobs
from nightproof.errors import BlobError, NotFound, StoreError
from nightproof.model import clock

LARGEST = 8 << 30
"""Bytes; a larger file is not read."""
_KNOWN = 4096
_SETTLED_MS = 2000
"""A file that was changed less long ago may change again without its times showing it."""
_PIECE = 1 << 18
_HOLD_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

State = Literal["there", "changed", "gone"]
THERE: Final = "there"
CHANGED: Final = "changed"
GONE: Final = "gone"


class Undelivered(NotFound):
    """A file is not, or not any more, what the run delivered.

    `state` is changed or gone, `reason` why in a few words.
    """

    def __init__(self, state: State, message: str, hint: str = "", reason: str = "") -> None:
        super().__init__(message, hint)
        self.state = state
        self.reason = reason or message


def glance(path: str, size: int | None) -> State:
    """What is at a path without looking into it: there, changed or gone."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return GONE
    fits = stat.S_ISREG(found.st_mode) and size in (None, found.st_size)
    return THERE if fits else CHANGED


def touched(paths: Sequence[str]) -> str:
    """A digest of when each file was changed, as far as its times show it; blocks."""
    hasher = sha256()
    for path in paths:
        try:
            found = os.lstat(path)
            told = (found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns)
            hasher.update(f"{told} {found.st_ctime_ns}\n".encode())
        except (OSError, ValueError):
            hasher.update(b"none\n")
    return hasher.hexdigest()


class Digests:
    """The digests of files, each worked out once while the file is not touched."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[object, ...], str] = OrderedDict()

    def compare(self, path: str, digest: str, size: int | None, most: int) -> State | None:
        """Whether a file is what it was; None where that needs more than `most` bytes; blocks."""
        try:
            with regular(path) as descriptor:
                found = os.fstat(descriptor)
                if size not in (None, found.st_size):
                    return CHANGED
                key = self._key(path, found)
                known = self._known.get(key)
                if known is None:
                    if found.st_size > min(most, LARGEST):
                        return None
                    known = _hashed(descriptor)
                    if self._key(path, os.fstat(descriptor)) == key:
                        self._keep(key, known, found)
        except Undelivered as error:
            return error.state
        return THERE if known == digest else CHANGED

    def cost(self, path: str) -> int:
        """How many bytes have to be read for its digest."""
        try:
            found = os.lstat(path)
        except (OSError, ValueError):
            return 0
        return 0 if self._key(path, found) in self._known else found.st_size

    @staticmethod
    def _key(path: str, found: os.stat_result) -> tuple[object, ...]:
        times = found.st_mtime_ns, found.st_ctime_ns
        return path, found.st_dev, found.st_ino, found.st_size, *times

    def _keep(self, key: tuple[object, ...], digest: str, found: os.stat_result) -> None:
        if clock.now_ms() - found.st_ctime_ns // 1_000_000 > _SETTLED_MS:
            self._known[key] = digest
            while len(self._known) > _KNOWN:
                self._known.popitem(last=False)


@contextmanager
def regular(path: str, follow: bool = False) -> Iterator[int]:
    """A file opened for reading, as a descriptor. Raises Undelivered for all that is none.

    Nothing else is ever opened: a device may act on it, a pipe would wait for a writer.
    With `follow` a symbolic link in its place counts as what it leads to.
    """
    try:
        before = Path(path).stat(follow_symlinks=follow)
        if not stat.S_ISREG(before.st_mode):
            what = "a symbolic link" if stat.S_ISLNK(before.st_mode) else "no file"
            raise _changed(f"there is {what} in its place")
        descriptor = os.open(path, _HOLD_OPEN | (0 if follow else os.O_NOFOLLOW))
    except (OSError, ValueError) as error:
        raise _gone(error) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _changed("there is no file in its place")
        yield descriptor
    finally:
        os.close(descriptor)


def content(path: str, digest: str, size: int | None, most: int) -> bytes:
    """The bytes of a delivered file of at most `most` bytes, verified; blocks.

    Raises Undelivered where they are not what was delivered, or are more.
    """
    with regular(path) as descriptor:
        _sized(descriptor, size, most)
        data = b"".join(_read(descriptor, most))
    if sha256(data).hexdigest() != digest:
        raise _changed("its sha256 is another")
    return data


def pieces(path: str, digest: str, size: int | None) -> Generator[bytes]:
    """A delivered file in pieces; it is read once before the first, and verified; blocks.

    A file that is changed in between ends in Undelivered before its last piece. Raises
    Undelivered at the first piece where it is not what was delivered.
    """
    with regular(path) as descriptor:
        _sized(descriptor, size, LARGEST)
        if _hashed(descriptor) != digest:
            raise _changed("its sha256 is another")
        os.lseek(descriptor, 0, os.SEEK_SET)
        hasher, held = sha256(), b""
        for piece in _read(descriptor, LARGEST):
            if held:
                yield held
            hasher.update(piece)
            held = piece
        if hasher.hexdigest() != digest:
            raise _changed("it changed while it was read")
        yield held


def kept(blobs: Blobs, blob: str, digest: str, size: int | None, most: int) -> bytes:
    """The bytes of a delivered file out of the blob store, verified; blocks.

    Raises Undelivered where they are gone or are more than `most`.
    """
    if size is None or size > most:
        raise Undelivered(GONE, "this file is only in the blob store, and too large to be read")
    try:
        data = blobs.get(blob)
    except (BlobError, StoreError) as error:
        raise Undelivered(GONE, f"this file is not on this machine, and {error.message}") from None
    if sha256(data).hexdigest() != digest:
        raise _changed("its sha256 in the blob store is another")
    return data


def whole(path: str) -> bytes:
    """A file's bytes, whatever they are. Raises Undelivered for what is no file; blocks."""
    with regular(path, follow=True) as descriptor:
        return b"".join(_read(descriptor, LARGEST))


def beginning(descriptor: int, most: int) -> bytes:
    """Up to `most` bytes of an opened file. Raises Undelivered; blocks."""
    return b"".join(_read(descriptor, most - 1))


def _sized(descriptor: int, size: int | None, most: int) -> None:
    found = os.fstat(descriptor).st_size
    if size is not None and found != size:
        raise _changed(f"it has {found:,} bytes, the run delivered {size:,}")
    if found > most:
        raise _changed(f"it has {found:,} bytes, more than the {most:,} that are read")


def _hashed(descriptor: int) -> str:
    hasher = sha256()
    for piece in _read(descriptor, LARGEST):
        hasher.update(piece)
    return hasher.hexdigest()


def _read(descriptor: int, most: int) -> Iterator[bytes]:
    """A file that grows as it is read, or that has no end, ends with one byte too many."""
    left = most + 1
    try:
        while left > 0 and (piece := os.read(descriptor, min(_PIECE, left))):
            left -= len(piece)
            yield piece
    except OSError as error:
        raise _gone(error) from None


def _gone(error: OSError | ValueError) -> Undelivered:
    reason = str(error.strerror) if isinstance(error, OSError) else "its path is none"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        hint = "It may lie on the machine that the run was worked on, or have been moved."
        return Undelivered(GONE, "this file is not on this machine", hint, reason)
    return Undelivered(GONE, f"this file cannot be read: {reason}", "", reason)


def _changed(why: str) -> Undelivered:
    return Undelivered(
        CHANGED,
        f"this file is no longer what the run delivered: {why}",
        "`nightproof verify RUN` compares all files of a run with its journal.",
        why,
    )
