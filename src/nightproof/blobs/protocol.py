"""What a blob store can do. Files and object stores implement it (stores/)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from nightproof.errors import BlobError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BlobRef:
    """A stored value: its digest, ``sha256:`` and 64 hex digits, and its size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """A blob as it lies in the store.

    `size` is the bytes it takes there, compressed or not; `modified` is when
    it was last put, in seconds since the epoch.
    """

    digest: str
    size: int
    modified: float


class Blobs(Protocol):
    """Values by content. Every method blocks: async callers use a thread.

    Safe for use by several threads and processes at once. Writing raises
    StoreFull or StoreReadOnly, reading BlobError; a store that is out of reach raises
    StoreError for both.
    """

    def put(self, data: bytes) -> BlobRef:
        """Store `data`, once; when this returns, it survives power loss.

        A blob that is there already counts as put again now, so that a
        collection does not take it from under its new user; one whose bytes
        are damaged is replaced.
        """
        ...

    def get(self, digest: str) -> bytes:
        """The bytes of a blob, verified; BlobError says whether it is missing or corrupt."""
        ...

    def head(self, digest: str, most: int) -> bytes:
        """Up to `most` bytes of the beginning of a blob, not verified; else as :meth:`get`.

        Of a large blob little more than these is read.
        """
        ...

    def exists(self, digest: str) -> bool:
        """Whether there is a blob of that digest; its bytes are not looked at."""
        ...

    def delete(self, digest: str, *, before: float | None = None) -> bool:
        """Remove a blob, and say whether that happened.

        With `before` (seconds since the epoch), one that was put at or after
        that time stays, even if the put is going on right now.
        """
        ...

    def iterate(self) -> Iterator[BlobInfo]:
        """Every blob, in no order; those that come or go meanwhile may be left out."""
        ...

    def collecting(self) -> AbstractContextManager[None]:
        """Around a collection: raises StoreBusy where only one may go on, and another does."""
        ...

    def sweep(self, before: float) -> tuple[int, int]:
        """Remove what interrupted puts left behind before that time: (files, bytes)."""
        ...


def digest_of(data: bytes) -> str:
    """The digest under which `data` is stored."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def hex_of(digest: str) -> str:
    """The 64 hex digits of a digest; BlobError for what is none, which also keeps paths safe."""
    if not _DIGEST.fullmatch(digest):
        raise BlobError(
            f"{digest!r} is not the digest of a blob",
            "A digest is sha256: and 64 hex digits in lower case.",
        )
    return digest[7:]
