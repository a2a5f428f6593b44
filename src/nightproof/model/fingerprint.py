"""The identity of one call: name + inputs + occurrence among equals."""

from __future__ import annotations

from hashlib import sha256

SIZE = 16
"""Bytes of a fingerprint (128 bits of sha256)."""


def fingerprint(name: bytes, parts: list[bytes]) -> bytes:
    """The fingerprint of the first call of step `name` with these inputs."""
    return sha256(b"\0".join((name, *parts))).digest()[:SIZE]


def repeated(first: bytes, occurrence: int) -> bytes:
    """The fingerprint of the call that is equal to `first`, `occurrence` calls later."""
    if occurrence == 0:
        return first
    return sha256(first + b"#%d" % occurrence).digest()[:SIZE]


class Occurrences:
    """Counts equal calls within one attempt of a run."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}

    def next(self, first: bytes) -> bytes:
        """The fingerprint of the next call that is equal to `first`."""
        seen = self._seen
        count = seen.get(first)
        if count is None:
            seen[first] = 1
            return first
        seen[first] = count + 1
        return repeated(first, count)


def summary(parts: list[bytes], limit: int = 1024) -> bytes:
    """What the journal keeps of the inputs: the JSON array, large ones as digests.

    Kept so that a later attempt can name the argument that differs.
    """
    if sum(map(len, parts)) <= limit:
        return b"[" + b",".join(parts) + b"]"
    each = max(64, limit // (2 * len(parts)))
    return b"[" + b",".join(p if len(p) <= each else _digested(p) for p in parts) + b"]"


def _digested(part: bytes) -> bytes:
    return b'{"$sha256":"%s","size":%d}' % (sha256(part).hexdigest()[:16].encode(), len(part))
