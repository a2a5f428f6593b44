"""The claim check: what stays in the journal and what goes to a blob."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightproof.blobs.claims import (
    SPILL_BYTES,
    check_in,
    check_out,
    claim,
    claimed,
    is_claim,
    spills,
)
from nightproof.blobs.protocol import BlobRef, digest_of
from nightproof.errors import BlobError
from nightproof.stores.files import FileBlobs


def text(size: int) -> bytes:
    """JSON text of exactly `size` bytes."""
    return b'"' + b"a" * (size - 2) + b'"'


@pytest.mark.parametrize(
    ("size", "spilled"), [(2, False), (SPILL_BYTES, False), (SPILL_BYTES + 1, True)]
)
def test_values_over_64_kib_are_spilled(tmp_path: Path, size: int, spilled: bool) -> None:
    """The threshold itself still fits; what comes out is what went in."""
    blobs = FileBlobs(tmp_path)
    kept = check_in(text(size), blobs)
    assert spills(text(size)) is is_claim(kept) is spilled
    assert len(list(blobs.iterate())) == spilled
    assert check_out(kept, blobs) == text(size)


def test_a_claim_holds_digest_and_size() -> None:
    """In under a hundred bytes, and it comes back as it was."""
    ref = BlobRef(digest_of(b"x"), 30_000_000)
    assert claim(ref) == f"@{ref.digest}:30000000".encode()
    assert claimed(claim(ref)) == ref


@pytest.mark.parametrize("value", [b"{}", b"[]", b'"@sha256:"', b"1", b"-1", b"true", b"null"])
def test_no_json_text_is_a_claim(value: bytes) -> None:
    """Not even a string that looks like one."""
    assert not is_claim(value)


@pytest.mark.parametrize("damaged", [b"@", b"@sha256:ab:1", b"@sha256:" + b"a" * 64, b"{}"])
def test_a_damaged_claim_is_said(damaged: bytes) -> None:
    """It is an error that shows it, not a value."""
    with pytest.raises(BlobError, match="damaged claim"):
        claimed(damaged)


def test_a_claim_on_a_blob_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """The digest is named."""
    blobs = FileBlobs(tmp_path)
    kept = check_in(text(SPILL_BYTES + 1), blobs)
    blobs.delete(claimed(kept).digest)
    with pytest.raises(BlobError, match=claimed(kept).digest):
        check_out(kept, blobs)
