"""What every blob store promises."""

from __future__ import annotations

import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nightproof.blobs import encoding
from nightproof.blobs.collect import collect
from nightproof.blobs.protocol import BlobRef, digest_of
from nightproof.errors import BlobError

ROWS = b'{"country": "DE", "revenue": "12.50"}\n' * 4000
NOISE = random.Random(7).randbytes(100_000)
BOTH = pytest.mark.parametrize("data", [ROWS, NOISE], ids=["compressed", "plain"])


def nobody(digests: Iterable[str]) -> set[str]:
    """No run refers to anything."""
    return set()


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"a" * 511, b"a" * 512, ROWS, NOISE, ROWS * 20],
    ids=["empty", "one", "short", "least", "rows", "noise", "large rows"],
)
def test_what_was_put_is_what_is_got(place: Any, data: bytes) -> None:
    """By its digest, also for another process that opens the store."""
    ref = place.open().put(data)
    assert ref == BlobRef(digest_of(data), len(data))
    assert place.open().exists(ref.digest)
    assert place.open().get(ref.digest) == data


@pytest.mark.parametrize(
    "data", [b"", b"x", ROWS, NOISE, ROWS * 100], ids=["empty", "one", "rows", "noise", "frames"]
)
@pytest.mark.parametrize("most", [1, 700, 150_000])
def test_the_beginning_of_a_blob(place: Any, data: bytes, most: int) -> None:
    """As much as is asked for, or all of it; more than one frame where that takes them."""
    digest = place.open().put(data).digest
    assert place.open().head(digest, most) == data[:most]


@BOTH
def test_the_beginning_of_what_is_lost_or_damaged(place: Any, data: bytes) -> None:
    """A blob that is missing is said to be; damage is noticed where compression shows it."""
    blobs = place.open()
    with pytest.raises(BlobError, match="missing"):
        blobs.head(digest_of(data), 10)
    digest = blobs.put(data).digest
    (name,) = place.names()
    place.write(name, b"damaged" + place.read(name))
    if name.endswith(".zst"):
        with pytest.raises(BlobError, match="corrupt"):
            blobs.head(digest, 10)
    else:
        assert blobs.head(digest, 7) == b"damaged"


def test_names_and_bytes_are_the_same_everywhere(place: Any) -> None:
    """sha256/ab/cdef…, .zst where that is much smaller: stores can be copied as they are."""
    blobs = place.open()
    rows, noise = blobs.put(ROWS).digest[7:], blobs.put(NOISE).digest[7:]
    names = {f"sha256/{rows[:2]}/{rows[2:]}.zst", f"sha256/{noise[:2]}/{noise[2:]}"}
    assert set(place.names()) == names
    sizes = {name: len(place.read(name)) for name in names}
    assert min(sizes.values()) < len(ROWS) / 20
    assert max(sizes.values()) == len(NOISE)


def test_the_same_value_is_stored_once(place: Any) -> None:
    """A second put by another process adds nothing while the first is young."""
    place.open().put(ROWS)
    before = place.names()
    place.open().put(ROWS)
    assert place.names() == before
    assert len(before) == 1


@BOTH
def test_flipped_and_lost_bytes_are_found(place: Any, data: bytes) -> None:
    """In the header, the middle, the end; too few and too many."""
    blobs = place.open()
    digest = blobs.put(data).digest
    (name,) = place.names()
    good = place.read(name)
    for at in (0, 4, 9, len(good) // 2, len(good) - 1):
        bad = bytearray(good)
        bad[at] ^= 0xFF
        place.write(name, bytes(bad))
        with pytest.raises(BlobError, match="corrupt") as caught:
            blobs.get(digest)
        assert name in caught.value.message
    for bad in (b"", good[:-1], good + b"x"):
        place.write(name, bad)
        with pytest.raises(BlobError, match="corrupt"):
            blobs.get(digest)
    place.write(name, good)
    assert blobs.get(digest) == data


def test_a_missing_blob_is_called_missing(place: Any) -> None:
    """Not corrupt, and not an error of the file system or of the network."""
    digest = digest_of(b"never put")
    blobs = place.open()
    assert not blobs.exists(digest)
    with pytest.raises(BlobError, match="missing"):
        blobs.get(digest)
    assert blobs.delete(digest) is False


@pytest.mark.parametrize("bad", ["", "sha256:../../etc/passwd", "ab" * 32, "sha256:" + "A" * 64])
def test_what_is_no_digest_never_becomes_a_name(place: Any, bad: str) -> None:
    """Digests come from journals, and journals can be damaged."""
    with pytest.raises(BlobError, match="not the digest"):
        place.open().get(bad)


@pytest.mark.parametrize("other_form", [False, True])
def test_a_put_heals_a_damaged_blob(
    place: Any, monkeypatch: pytest.MonkeyPatch, other_form: bool
) -> None:
    """Even where the damaged one is the compressed form and the new one is not."""
    blobs = place.open()
    ref = blobs.put(ROWS)
    (name,) = place.names()
    bad = bytearray(place.read(name))
    bad[-1] ^= 0xFF
    place.write(name, bytes(bad))
    if other_form:
        monkeypatch.setattr(encoding._Packing, "result", lambda self: None)
    blobs.put(ROWS)
    assert blobs.get(ref.digest) == ROWS


def test_both_forms_of_a_blob_are_deleted(place: Any) -> None:
    """Two versions may have compressed differently."""
    blobs = place.open()
    ref = blobs.put(ROWS)
    (name,) = place.names()
    place.write(name.removesuffix(".zst"), ROWS)
    assert blobs.delete(ref.digest) is True
    assert place.names() == []
    assert not blobs.exists(ref.digest)


def test_blobs_are_listed_and_strangers_are_not(place: Any) -> None:
    """Digest, bytes that it takes there, and time."""
    blobs = place.open()
    assert list(blobs.iterate()) == []
    refs = {blobs.put(data).digest for data in (ROWS, NOISE, b"x")}
    sizes = {len(place.read(name)) for name in place.names()}
    place.write("sha256/ab/.DS_Store", b"x")
    place.write("sha256/README", b"x")
    found = {info.digest: info for info in blobs.iterate()}
    assert set(found) == refs
    assert {info.size for info in found.values()} == sizes
    assert all(info.modified > 1.7e9 for info in found.values())


def test_only_unreferenced_blobs_go(place: Any) -> None:
    """What a run refers to stays; what is young stays too."""
    blobs = place.open()
    kept, gone = blobs.put(b"kept").digest, blobs.put(b"gone").digest
    assert collect(blobs, nobody).count == 0
    place.age()
    young = blobs.put(b"young").digest
    found = collect(blobs, {kept}.intersection)
    assert (found.count, found.bytes) == (1, 4)
    assert [blobs.exists(one) for one in (kept, gone, young)] == [True, False, True]


@BOTH
def test_a_blob_that_is_put_again_during_the_collection_stays(place: Any, data: bytes) -> None:
    """Its new user has not committed yet when the references are looked up."""
    blobs, other = place.open(), place.open()
    digest = blobs.put(data).digest
    place.age()

    def referenced(digests: Iterable[str]) -> set[str]:
        other.put(data)
        return set()

    collect(blobs, referenced)
    assert blobs.get(digest) == data
    place.age()
    assert collect(blobs, nobody).count >= 1
    assert not blobs.exists(digest)
    assert place.names() == []


def test_a_deletion_spares_what_was_put_meanwhile(place: Any) -> None:
    """`before` is compared when the blob is removed, not when it was listed."""
    blobs = place.open()
    ref = blobs.put(ROWS)
    place.age()
    (old,) = blobs.iterate()
    place.open().put(ROWS)
    blobs.delete(ref.digest, before=old.modified + 10)
    assert blobs.get(ref.digest) == ROWS


def test_threads_may_put_the_same_blobs(place: Any) -> None:
    """All succeed, one copy of each results, and it is whole."""
    several = [place.open() for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        refs = list(pool.map(lambda n: several[n % 3].put(b"%d" % (n % 10) * 40_000), range(60)))
    assert len(place.names()) == 10
    assert all(several[0].get(ref.digest)[:1] == b"%d" % (n % 10) for n, ref in enumerate(refs))
