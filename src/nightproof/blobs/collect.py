"""Removing blobs that no run refers to any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from nightproof.blobs.protocol import Blobs
from nightproof.model import clock

GRACE_SECONDS = 72 * 3600.0
"""A blob is put before the record that refers to it is committed: it is left alone this long.

Long enough that what nightly runs put again and again never comes near it: see stores/objects.
"""

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection removed: blobs and leftovers of interrupted puts, and their bytes."""

    count: int
    bytes: int


def collect(
    blobs: Blobs,
    referenced: Callable[[Iterable[str]], set[str]],
    grace_seconds: float = GRACE_SECONDS,
) -> Collected:
    """Remove the blobs that no run refers to and that were last put before the grace period.

    `referenced` is given digests, some hundred at a time, and returns those
    that a run refers to; it is asked after the age of a blob was read, so that
    a reference that is committed meanwhile is seen. Blocks. Raises StoreBusy where another
    collection is going on and only one may.
    """
    before = clock.now().timestamp() - grace_seconds
    with blobs.collecting():
        count, size = blobs.sweep(before)
        old = (info for info in blobs.iterate() if info.modified < before)
        while batch := list(islice(old, _BATCH)):
            kept = referenced([info.digest for info in batch])
            for info in batch:
                if info.digest not in kept and blobs.delete(info.digest, before=before):
                    count, size = count + 1, size + info.size
    return Collected(count, size)
