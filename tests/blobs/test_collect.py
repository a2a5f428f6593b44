"""Collection: only what nobody refers to, and only after the grace period."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from nightproof.blobs.collect import Collected, collect
from nightproof.stores.files import FileBlobs


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    """An empty store."""
    return FileBlobs(tmp_path)


def age(blobs: FileBlobs) -> None:
    """Make everything there a year old."""
    for path in blobs.root.rglob("*"):
        if path.is_file():
            then = path.stat().st_mtime - 365 * 86400
            os.utime(path, (then, then))


def nobody(digests: Iterable[str]) -> set[str]:
    """No run refers to anything."""
    return set()


def test_only_unreferenced_blobs_go(blobs: FileBlobs) -> None:
    """What a run refers to stays; count and bytes are of what went."""
    kept = blobs.put(b"kept").digest
    gone = blobs.put(b"gone").digest
    age(blobs)
    assert collect(blobs, {kept}.intersection) == Collected(1, 4)
    assert (blobs.exists(kept), blobs.exists(gone)) == (True, False)


def test_young_blobs_stay(blobs: FileBlobs) -> None:
    """The record that will refer to them may not be committed yet."""
    blobs.put(b"young")
    assert collect(blobs, nobody, grace_seconds=60) == Collected(0, 0)
    age(blobs)
    blobs.put(b"young")
    assert collect(blobs, nobody, grace_seconds=60) == Collected(0, 0)
    assert collect(blobs, nobody, grace_seconds=-60) == Collected(1, 5)


def test_a_blob_that_is_put_again_during_the_collection_stays(blobs: FileBlobs) -> None:
    """Its new user has not committed yet when the references are looked up."""
    digest = blobs.put(b"again").digest
    age(blobs)

    def referenced(digests: Iterable[str]) -> set[str]:
        blobs.put(b"again")
        return set()

    assert collect(blobs, referenced) == Collected(0, 0)
    assert blobs.exists(digest)


def test_references_are_asked_for_in_batches(blobs: FileBlobs) -> None:
    """A store of many blobs is not held in memory, nor sent in one query."""
    for n in range(1201):
        FileBlobs(blobs.root, durable=False).put(b"%d" % n)
    age(blobs)
    sizes: list[int] = []

    def referenced(digests: Iterable[str]) -> set[str]:
        asked = set(digests)
        sizes.append(len(asked))
        return asked

    assert collect(blobs, referenced).count == 0
    assert sizes == [500, 500, 201]


def test_leftovers_of_interrupted_puts_go_too(blobs: FileBlobs) -> None:
    """Once they are old: a put may be going on."""
    blobs.put(b"x")
    left = blobs.root / "incoming" / "half.written"
    left.write_bytes(b"12345")
    everything = {info.digest for info in blobs.iterate()}
    assert collect(blobs, lambda _: everything) == Collected(0, 0)
    age(blobs)
    assert collect(blobs, lambda _: everything) == Collected(1, 5)
    assert not left.exists()


def test_an_empty_store_is_nothing_to_collect(tmp_path: Path) -> None:
    """Nothing was ever put, and nothing is made."""
    assert collect(FileBlobs(tmp_path / "none"), nobody) == Collected(0, 0)
    assert not (tmp_path / "none").exists()
