"""How a blob lies in a store: as it is, or as zstd frames where that is much smaller.

Every store keeps the same bytes under the same names (``sha256/ab/cdef…``, ``.zst`` behind
what is compressed), so that blobs can be copied from one to another as they are.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from typing import Final

from nightproof.blobs.protocol import digest_of

COMPRESSED: Final = ".zst"
"""Behind the name of what is compressed."""
LARGEST_BLOCK: Final = (1 << 17) + 64
"""Bytes, with what is before it, of the first piece of a compressed value that can be read."""
_LEVEL = 1  # zstd: as fast as the hash beside it; higher levels cost more than they save
_WORTH = 0.9  # kept compressed below this share of the size
_LEAST = 512  # bytes; smaller values do not repay a frame
_BESIDE = 1 << 18  # bytes from which hash and compression run in parallel
_PIECE = 1 << 17  # bytes of a piece that is packed on its own, at least
_PIECES = 64  # pieces, at most


def pack(data: bytes) -> tuple[str, bytes | None]:
    """The digest of a value, and its compressed form where that is worth while."""
    if len(data) < _LEAST:
        return digest_of(data), None
    packing = _Packing(data)
    if len(data) < _BESIDE:
        packing.work()
        return digest_of(data), packing.result()
    hashing = hashlib.sha256()

    def beside() -> None:
        hashing.update(data)
        packing.work()

    helper = threading.Thread(target=beside)  # hash and compression let go of the GIL
    helper.start()
    try:
        packing.work()
    finally:
        helper.join()
    return "sha256:" + hashing.hexdigest(), packing.result()


class _Packing:
    """A value on its way into zstd frames, one a piece, made by whoever has time."""

    def __init__(self, data: bytes) -> None:
        view = memoryview(data)
        size = max(_PIECE, -(-len(data) // _PIECES))
        self._pieces = [view[at : at + size] for at in range(0, len(data), size)]
        self._frames: list[bytes] = [b""] * len(self._pieces)
        self._next = iter(range(len(self._pieces)))
        self._size = len(data)
        self._hopeless = False

    def work(self) -> None:
        """Pack pieces until none is left, or until one shows that it does not pay."""
        import zstandard  # 10 ms that only those who store large values pay

        compressor = zstandard.ZstdCompressor(level=_LEVEL)
        for at in self._next:
            piece = self._pieces[at]
            self._frames[at] = compressor.compress(piece)
            self._hopeless = self._hopeless or len(self._frames[at]) >= len(piece) * _WORTH
            if self._hopeless:
                return

    def result(self) -> bytes | None:
        """All frames in order; None where they save too little."""
        return None if self._hopeless else b"".join(self._frames)


def beginning(pieces: Iterable[bytes], compressed: bool, most: int) -> bytes | None:
    """Up to `most` bytes of the value whose stored bytes come in pieces; None where damaged."""
    found = b""
    if not compressed:
        for piece in pieces:
            found += piece
            if len(found) >= most:
                break
        return found[:most]
    import zstandard

    reading = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)
    try:
        for piece in pieces:
            found += reading.decompress(piece)
            if len(found) >= most:
                break
    except (zstandard.ZstdError, MemoryError):
        return None
    return found[:most]


def unpack(stored: bytes, compressed: bool) -> bytes | None:
    """The value that is stored so; None where a compressed one is damaged."""
    if not compressed:
        return stored
    import zstandard

    try:
        return (
            zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(stored)
        )
    except (zstandard.ZstdError, MemoryError):  # a damaged header can ask for any amount
        return None
