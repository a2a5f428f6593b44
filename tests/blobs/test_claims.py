"""The claim check's threshold."""

from __future__ import annotations

from nightproof.blobs.claims import SPILL_BYTES, spills


def test_only_values_over_the_threshold_are_spilled() -> None:
    """A value of exactly the threshold stays in the journal; one byte more leaves it."""
    assert not spills(b"x" * SPILL_BYTES)
    assert spills(b"x" * (SPILL_BYTES + 1))
