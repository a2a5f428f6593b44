"""Bringing a dataset here: hashed while it streams, kept by its digest."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import IO, NamedTuple

from nightproof.contract.uris import bare, fault, local_path, suffix
from nightproof.errors import (
    ContractError,
    DatasetMismatch,
    NightproofError,
    StoreFull,
    StoreReadOnly,
)
from nightproof.model import clock

CHUNK = 1 << 20


class Located(NamedTuple):
    """A file whose bytes were hashed, and its state on disk at that moment."""

    path: Path
    sha256: str
    state: tuple[int, ...]

    def untouched(self) -> bool:
        """Whether the file is still the one that was hashed, by inode, size and times."""
        try:
            return _state(self.path.stat()) == self.state
        except OSError:
            return False


def obtain(uri: str, expected: str, cache: Path, base: Path | None = None) -> Located:
    """The local file behind `uri`, whose bytes have the sha256 `expected`.

    Downloads are kept in `cache` under their digest, and verified again on every
    use. Raises DatasetMismatch for other bytes, ContractError where there is no
    such file, Transient where the host did not answer, StoreFull and
    StoreReadOnly where the cache cannot take it.
    """
    _check(uri)
    if uri.startswith("file:"):
        found = hashed(local_path(uri, base).absolute(), uri)
        if found.sha256 != expected:
            raise mismatch(uri, expected, found.sha256)
        return found
    kept = cache.absolute() / f"{expected}{suffix(uri)}"
    if kept.exists():
        found = hashed(kept, uri)
        if found.sha256 == expected:
            return found
        kept.unlink(missing_ok=True)  # damaged since: fetch it again
    with _room_for(kept) as file:
        _download(uri, expected, file)
        file.flush()
        os.fsync(file.fileno())
        Path(file.name).replace(kept)
        return Located(kept, expected, _state(kept.stat()))


def sha256_of(uri: str, base: Path | None = None) -> str:
    """The sha256 of the bytes behind `uri`, which are read once and not kept."""
    _check(uri)
    if uri.startswith("file:"):
        return hashed(local_path(uri, base), uri).sha256
    return _download(uri, None, None)


def mismatch(uri: str, expected: str, found: str) -> DatasetMismatch:
    """The error for a dataset that is not the one the contract names."""
    return DatasetMismatch(
        f"the dataset {bare(uri)} is not the one the contract names:\n"
        f"    contract sha256:{expected}\n"
        f"    found    sha256:{found}",
        "Bring back the file that the contract names. If the new data is meant, write the found "
        "digest into a new contract, which is another run.",
    )


def hashed(path: Path, uri: str) -> Located:
    """The file at `path` with the sha256 of its bytes, read in pieces."""
    digest = sha256()
    try:
        # a pipe that nobody writes to would block an ordinary open for ever
        with open(path, "rb", buffering=0, opener=_nonblocking) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise IsADirectoryError
            while piece := file.read(CHUNK):
                digest.update(piece)
            after = os.fstat(file.fileno())
    except FileNotFoundError:
        raise ContractError(
            f"the dataset {bare(uri)} does not exist: there is no {path.absolute()}",
            "A relative file: URI starts at the contract's folder, or at the working directory "
            "for a contract that is not a file.",
        ) from None
    except IsADirectoryError:
        raise ContractError(
            f"the dataset {bare(uri)} is not a regular file: {path}",
            "Name a file; pack a directory into an archive first.",
        ) from None
    except OSError as error:
        raise ContractError(
            f"the dataset {bare(uri)} cannot be read: {path}: {error.strerror}"
        ) from None
    if _state(before) != _state(after):
        raise ContractError(
            f"the dataset {bare(uri)} was being written while it was read",
            "Wait until it is complete; write to another name and rename it at the end.",
        )
    return Located(path, digest.hexdigest(), _state(after))


def _check(uri: str) -> None:
    if wrong := fault(uri):
        raise ContractError(f"a dataset cannot be fetched: {wrong[0]}", wrong[1])


def _nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _state(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _download(uri: str, expected: str | None, file: IO[bytes] | None) -> str:
    from nightproof.contract.download import download

    found = download(uri, file)
    if expected not in (None, found):
        raise mismatch(uri, str(expected), found)
    return found


@contextmanager
def _room_for(kept: Path) -> Iterator[IO[bytes]]:
    """A file beside `kept` to write to, gone afterwards unless it was renamed."""
    part = kept.with_name(f".{kept.name}.{clock.token_hex(6)}.part")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            yield file
    except OSError as error:
        raise _disk_error(error, kept.parent) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _disk_error(error: OSError, folder: Path) -> NightproofError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(
            f"no space left for datasets in {folder}", "Free some space, then run again."
        )
    return StoreReadOnly(
        f"datasets cannot be kept in {folder}: {error.strerror}",
        "Make it a directory that this user may write.",
    )
