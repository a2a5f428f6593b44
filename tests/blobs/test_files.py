"""Blobs as files: whole or absent, verified on read, safe for several processes."""

from __future__ import annotations

import errno
import os
import random
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nightproof.blobs import encoding
from nightproof.blobs.protocol import BlobRef, digest_of
from nightproof.errors import BlobError, StoreError, StoreFull, StoreReadOnly
from nightproof.stores import files
from nightproof.stores.files import FileBlobs

ROWS = b'[{"country":"JP","micros":"6500000","impressions":42}]' * 2000
NOISE = random.Random(7).randbytes(100_000)


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    """An empty store."""
    return FileBlobs(tmp_path / "blobs")


def stored(blobs: FileBlobs) -> list[Path]:
    """The blob files there are."""
    return sorted(path for path in blobs.root.glob("sha256/*/*") if path.is_file())


def leftovers(blobs: FileBlobs) -> list[Path]:
    """The files of puts that did not end."""
    return list((blobs.root / "incoming").glob("*"))


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"a" * 511, b"a" * 512, ROWS, NOISE, ROWS * 20, NOISE * 15],
    ids=["empty", "one", "short", "least", "rows", "noise", "large rows", "large noise"],
)
def test_what_was_put_is_what_is_got(blobs: FileBlobs, data: bytes) -> None:
    """Small, compressible, incompressible and large values, by their digest."""
    ref = blobs.put(data)
    assert ref == BlobRef(digest_of(data), len(data))
    assert blobs.exists(ref.digest)
    assert blobs.get(ref.digest) == data
    assert FileBlobs(blobs.root).get(ref.digest) == data
    assert leftovers(blobs) == []


def test_the_layout_is_by_digest_and_compressed_where_it_helps(blobs: FileBlobs) -> None:
    """sha256/ab/cdef…, with .zst where that is much smaller."""
    rows, noise = blobs.put(ROWS).digest[7:], blobs.put(NOISE).digest[7:]
    names = {f"{path.parent.name}{path.name}": path.stat().st_size for path in stored(blobs)}
    assert set(names) == {rows + ".zst", noise}
    assert names[rows + ".zst"] < len(ROWS) / 20
    assert names[noise] == len(NOISE)


def test_the_same_value_is_stored_once(blobs: FileBlobs) -> None:
    """A second put writes nothing, but counts as put now."""
    blobs.put(ROWS)
    (path,) = stored(blobs)
    inode = path.stat().st_ino
    os.utime(path, (1e9, 1e9))
    blobs.put(ROWS)
    assert [found.stat().st_ino for found in stored(blobs)] == [inode]
    assert path.stat().st_mtime > 1.7e9


@pytest.mark.parametrize("data", [ROWS, NOISE], ids=["compressed", "plain"])
def test_any_flipped_byte_is_found(blobs: FileBlobs, data: bytes) -> None:
    """In the header, the middle and the end of the file."""
    ref = blobs.put(data)
    (path,) = stored(blobs)
    good = path.read_bytes()
    for at in (*range(12), len(good) // 2, len(good) - 1):
        bad = bytearray(good)
        bad[at] ^= 0xFF
        path.write_bytes(bad)
        with pytest.raises(BlobError, match="corrupt") as caught:
            blobs.get(ref.digest)
        assert str(path) in caught.value.message
    path.write_bytes(good)
    assert blobs.get(ref.digest) == data


@pytest.mark.parametrize("data", [ROWS, NOISE], ids=["compressed", "plain"])
def test_truncation_and_appended_bytes_are_found(blobs: FileBlobs, data: bytes) -> None:
    """Also a file that lost everything."""
    ref = blobs.put(data)
    (path,) = stored(blobs)
    good = path.read_bytes()
    for bad in (b"", good[:1], good[:-1], good + b"x", good + good):
        path.write_bytes(bad)
        with pytest.raises(BlobError, match="corrupt"):
            blobs.get(ref.digest)


def test_a_missing_blob_is_called_missing(blobs: FileBlobs) -> None:
    """Not corrupt, and not a FileNotFoundError."""
    digest = digest_of(b"never put")
    assert not blobs.exists(digest)
    with pytest.raises(BlobError, match="missing"):
        blobs.get(digest)
    assert blobs.delete(digest) is False


@pytest.mark.parametrize("bad", ["", "sha256:../../etc/passwd", "ab" * 32, "sha256:" + "A" * 64])
def test_what_is_no_digest_never_becomes_a_path(blobs: FileBlobs, bad: str) -> None:
    """Digests come from journals, and journals can be damaged."""
    with pytest.raises(BlobError, match="not the digest"):
        blobs.get(bad)


@pytest.mark.parametrize("other_form", [False, True])
def test_a_put_heals_a_damaged_blob(
    blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch, other_form: bool
) -> None:
    """Even where the damaged file is the compressed form and the new one is not."""
    ref = blobs.put(ROWS)
    (path,) = stored(blobs)
    path.write_bytes(path.read_bytes()[:-3])
    if other_form:
        monkeypatch.setattr(encoding._Packing, "result", lambda self: None)
    blobs.put(ROWS)
    assert blobs.get(ref.digest) == ROWS
    assert len(stored(blobs)) == 1


def test_both_forms_of_a_blob_are_deleted(
    blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions may have compressed differently."""
    ref = blobs.put(ROWS)
    (path,) = stored(blobs)
    path.with_suffix("").write_bytes(ROWS)
    assert blobs.delete(ref.digest) is True
    assert stored(blobs) == []


def test_threads_and_processes_may_put_the_same_blob(blobs: FileBlobs) -> None:
    """All succeed, one file results, and it is whole."""
    program = (
        "import sys; from nightproof.stores.files import FileBlobs\n"
        "blobs = FileBlobs(sys.argv[1]); sys.stdin.readline()\n"
        "for n in range(30): blobs.put(b'%d' % n * 40_000)\n"
    )
    several = [
        subprocess.Popen([sys.executable, "-c", program, str(blobs.root)], stdin=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in several:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.close()
    with ThreadPoolExecutor(4) as pool:
        refs = list(pool.map(lambda n: blobs.put(b"%d" % (n % 30) * 40_000), range(120)))
    assert [process.wait() for process in several] == [0, 0, 0]
    assert len(stored(blobs)) == 30
    assert all(blobs.get(ref.digest) for ref in refs)
    assert leftovers(blobs) == []


def test_a_deletion_spares_what_was_put_meanwhile(blobs: FileBlobs) -> None:
    """`before` is compared when the file is removed, not when it was listed."""
    ref = blobs.put(ROWS)
    (path,) = stored(blobs)
    os.utime(path, (1e9, 1e9))
    blobs.put(ROWS)
    assert blobs.delete(ref.digest, before=1.5e9) is False
    assert blobs.get(ref.digest) == ROWS
    os.utime(path, (1e9, 1e9))
    assert blobs.delete(ref.digest, before=1.5e9) is True
    assert not blobs.exists(ref.digest)


def test_blobs_are_listed_and_strangers_are_not(blobs: FileBlobs) -> None:
    """Digest, bytes on disk and time; other files in the tree are left alone."""
    assert list(blobs.iterate()) == []
    refs = {blobs.put(data).digest for data in (ROWS, NOISE, b"x")}
    (blobs.root / "sha256" / "ab").mkdir(exist_ok=True)
    (blobs.root / "sha256" / "ab" / ".DS_Store").write_bytes(b"x")
    (blobs.root / "sha256" / "README").write_bytes(b"x")
    found = {info.digest: info for info in blobs.iterate()}
    assert set(found) == refs
    assert {info.size for info in found.values()} == {path.stat().st_size for path in stored(blobs)}
    assert all(info.modified > 1.7e9 for info in found.values())


def test_a_directory_that_was_removed_is_made_again(blobs: FileBlobs) -> None:
    """Somebody cleared the store while the process was running."""
    blobs.put(ROWS)
    for path in sorted(blobs.root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert blobs.get(blobs.put(ROWS).digest) == ROWS


def test_file_and_directory_are_on_disk_before_put_returns(
    blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file before its rename, every new directory entry after; nothing if not durable."""
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        events.append(Path(f"/proc/self/fd/{handle}").resolve().relative_to(base).as_posix())
        fsync(handle)

    def renamed(path: Path, target: Path) -> Path:
        events.append("rename")
        return replace(path, target)

    base = blobs.root.parent.resolve()
    monkeypatch.setattr(files.os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    prefix = digest_of(NOISE)[7:9]
    blobs.put(NOISE)
    middle = events.index("rename")
    assert any(event.startswith("blobs/incoming/") for event in events[:middle])
    assert events[middle + 1 :] == [f"blobs/sha256/{prefix}"]
    assert {".", "blobs", "blobs/sha256"} <= set(events[:middle])
    events.clear()
    FileBlobs(blobs.root, durable=False).put(ROWS)
    assert events == ["rename"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_write_that_fails_half_way_leaves_nothing(
    blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Short writes are continued; a full disk is StoreFull, with path and advice."""
    write, calls = os.write, []

    def little(handle: int, data: memoryview) -> int:
        calls.append(len(data))
        if len(calls) > 3:
            raise OSError(number, os.strerror(number))
        return write(handle, data[:1000])

    monkeypatch.setattr(files.os, "write", little)
    with pytest.raises(StoreFull, match=str(blobs.root)) as caught:
        blobs.put(NOISE)
    assert "gc" in caught.value.hint
    assert len(calls) == 4
    monkeypatch.undo()
    assert (stored(blobs), leftovers(blobs)) == ([], [])
    assert blobs.get(blobs.put(NOISE).digest) == NOISE


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.EROFS, StoreReadOnly), (errno.EACCES, StoreReadOnly), (errno.EIO, StoreError)],
)
def test_other_failures_are_said(
    blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch, number: int, error: type[StoreError]
) -> None:
    """A read-only place and a broken disk have their own errors."""

    def refuse(*args: object, **more: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "open", refuse)
    with pytest.raises(error) as caught:
        blobs.put(NOISE)
    assert type(caught.value) is error
    assert os.strerror(number) in caught.value.message


def test_a_limit_on_file_size_is_a_full_disk(tmp_path: Path) -> None:
    """A real RLIMIT_FSIZE in a real process: nothing under the final name."""
    program = (
        "import sys, resource, random; from nightproof.stores.files import FileBlobs\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "FileBlobs(sys.argv[1]).put(random.Random(7).randbytes(100_000))\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True
    )
    assert "StoreFull: no space left for the blob" in ran.stderr
    assert (stored(FileBlobs(tmp_path)), leftovers(FileBlobs(tmp_path))) == ([], [])


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """A tmpfs of 1 MiB: the second blob does not fit, the first is still whole."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    try:
        blobs = FileBlobs(tmp_path / "blobs")
        first = blobs.put(NOISE)
        with pytest.raises(StoreFull):
            blobs.put(random.Random(8).randbytes(1_000_000))
        assert blobs.get(first.digest) == NOISE
        assert (len(stored(blobs)), leftovers(blobs)) == (1, [])
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
