"""The claim check: a large value goes to a blob, and its journal entry holds the digest."""

from __future__ import annotations

from typing import Final

SPILL_BYTES: Final = 64 * 1024
"""Values over this many bytes are spilled."""


def spills(value: bytes | str) -> bool:
    """Whether `value` is large enough to be kept outside the journal."""
    return len(value) > SPILL_BYTES
