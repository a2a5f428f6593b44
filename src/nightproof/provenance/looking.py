"""Files and folders as a witness sees them: a digest, a size, and small contents."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from typing import NamedTuple

SMALL = 256 * 1024
"""The content of files up to this size is at hand after a look."""
PIECE = 1 << 20
UNCOUNTED = frozenset({"__pycache__", ".nightproof"})
"""What running leaves behind in a folder; no part of its digest."""


class Sight(NamedTuple):
    """What was there: digest and size are None where nothing was.

    A size without a digest is a file that was not hashed. `content` is the bytes of a
    small file that anybody may read.
    """

    digest: str | None = None
    size: int | None = None
    content: bytes | None = None


def text(value: str) -> Sight:
    """The value of a variable."""
    data = value.encode("utf-8", "surrogateescape")
    return Sight("sha256:" + sha256(data).hexdigest(), len(data), data)


def file(path: str, largest: int | None = None) -> Sight:
    """A file; one of more than `largest` bytes is not hashed."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return _unread(path)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            return Sight(None, 0)
        if largest is not None and found.st_size > largest:
            return Sight(None, found.st_size)
        return _hashed(handle, found)
    except OSError:
        return Sight(None, 0)
    finally:
        os.close(handle)


def _hashed(handle: int, found: os.stat_result) -> Sight:
    digest, size, kept = sha256(), 0, b""
    while piece := os.read(handle, PIECE):
        digest.update(piece)
        size += len(piece)
        kept = kept + piece if size <= SMALL else b""
    private = not found.st_mode & (stat.S_IRGRP | stat.S_IROTH)
    content = None if private or size > SMALL else kept
    return Sight("sha256:" + digest.hexdigest(), size, content)


def _unread(path: str) -> Sight:
    try:
        return Sight(None, os.lstat(path).st_size)
    except (OSError, ValueError):
        return Sight()


def folder(path: str) -> Sight:
    """A folder: the digest of its sorted names, and how many they are."""
    try:
        with os.scandir(path or ".") as entries:
            names = sorted({entry.name for entry in entries} - UNCOUNTED)
    except (OSError, ValueError):
        return _unread(path)
    listed = "\0".join(names).encode("utf-8", "surrogateescape")
    return Sight("sha256:" + sha256(listed).hexdigest(), len(names))
