"""The claim check: a large value goes to a blob, and its place in the journal holds a claim.

A value is stored as JSON text, and no JSON text begins with ``@``, so the first
byte tells a value from a claim: ``@sha256:<64 hex digits>:<size in bytes>``.
"""

from __future__ import annotations

import re

from nightproof.blobs.protocol import BlobRef, Blobs
from nightproof.errors import BlobError

SPILL_BYTES = 64 * 1024
"""Values over this many bytes of JSON are spilled."""

_MARK = b"@"
_CLAIM = re.compile(rb"@(sha256:[0-9a-f]{64}):(\d{1,19})")


def spills(value: bytes) -> bool:
    """Whether `value` is large enough to be kept outside the journal."""
    return len(value) > SPILL_BYTES


def is_claim(stored: bytes) -> bool:
    """Whether `stored` stands for a blob and is not a value itself."""
    return stored.startswith(_MARK)


def claim(ref: BlobRef) -> bytes:
    """What the journal holds in the place of the blob's bytes."""
    return f"@{ref.digest}:{ref.size}".encode()


def claimed(stored: bytes) -> BlobRef:
    """The blob that a claim stands for; BlobError for what is no claim."""
    found = _CLAIM.fullmatch(stored)
    if found is None:
        raise BlobError(
            f"the journal holds a damaged claim: {stored[:100]!r}",
            "`nightproof doctor` checks the journal.",
        )
    return BlobRef(found[1].decode(), int(found[2]))


def check_in(value: bytes, blobs: Blobs) -> bytes:
    """`value` (JSON text) as the journal keeps it: itself, or a claim on a blob of it. Blocks."""
    return claim(blobs.put(value)) if spills(value) else value


def check_out(stored: bytes, blobs: Blobs) -> bytes:
    """The value that `check_in` was given; BlobError where its blob is missing or corrupt. Blocks."""
    return blobs.get(claimed(stored).digest) if is_claim(stored) else stored
