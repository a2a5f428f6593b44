"""Folders for isolated attempts: an empty home, an empty working folder, one for temporary files.

A slot is used by one attempt at a time and has the same path again and again, so that
a path that finds its way into a result is no difference between two nights.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nightproof.errors import UsageError
from nightproof.model import clock

PARTS = ("home", "tmp", "work")
SLOTS = 1000
"""So many isolated attempts of one user may run at once."""


class Slot(NamedTuple):
    """A folder that belongs to this process while `lock`, a file descriptor, is open."""

    folder: Path
    lock: int
    rescued: tuple[str, ...] = ()
    """Where files were put that a killed attempt had left in its working folder."""

    @property
    def home(self) -> Path:
        """The empty home."""
        return self.folder / "home"

    @property
    def work(self) -> Path:
        """The empty working folder."""
        return self.folder / "work"

    @property
    def trace(self) -> Path:
        """Where strace writes to."""
        return self.folder / "trace"

    @property
    def tmp(self) -> Path:
        """Where temporary files go."""
        return self.folder / "tmp"


def take(environ: Mapping[str, str], left: Path) -> Slot:
    """The first free slot, cleared.

    `left` is where files go that a job leaves in its working folder. Raises UsageError
    where the folder for slots is not this user's own.
    """
    root = _root(environ)
    for number in range(1, SLOTS + 1):
        folder = root / str(number)
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            rescued = _rescued(folder)
            clear(folder)
            (folder / "left").write_text(str(left), "utf-8")
        except OSError:
            os.close(lock)
            continue
        os.set_inheritable(lock, True)  # held until the attempt has ended, whatever way
        return Slot(folder, lock, rescued)
    raise UsageError(
        f"all {SLOTS} folders for isolated attempts in {root} are in use",
        "Wait until some attempts have ended.",
    )


def _root(environ: Mapping[str, str]) -> Path:
    above = environ.get("TMPDIR") or "/tmp"  # noqa: S108 - the folder is checked to be this user's own
    root = Path(above).absolute() / f"nightproof-{os.getuid()}"
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = root.lstat()
    except OSError as error:
        raise UsageError(
            f"there is no place for isolated attempts: {root}: {error.strerror}",
            "Set TMPDIR to a folder that this user may write.",
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise UsageError(
            f"{root} is not a folder that only this user may write",
            "Remove it, or set TMPDIR to a folder of your own.",
        )
    return root


def clear(folder: Path) -> None:
    """Make the folders of a slot new and empty."""
    for part in PARTS:
        shutil.rmtree(folder / part, onerror=_writable)
        (folder / part).mkdir(mode=0o700)


def empty(folder: Path) -> None:
    """Remove what an attempt leaves in a slot, but for the lock."""
    for part in PARTS:
        shutil.rmtree(folder / part, ignore_errors=True)
    (folder / "trace").unlink(missing_ok=True)


def _writable(function: object, path: str, error: object) -> None:
    """Folders that a job has made read-only go too."""
    del function, error
    with suppress(OSError):
        os.chmod(os.path.dirname(path), 0o700)  # noqa: PTH101,PTH120 - rmtree gives texts
        if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112,PTH114
            os.chmod(path, 0o700)  # noqa: PTH101
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)  # noqa: PTH108


def keep(folder: Path, left: Path) -> tuple[Path, list[str]] | None:
    """Move what lies in the working folder of a slot into a new folder in `left`.

    That folder, and the names in it; None where nothing was left. Raises OSError
    where it cannot be moved; then it is still there.
    """
    work = folder / "work"
    try:
        names = sorted(os.listdir(work))  # noqa: PTH208 - names are what is wanted
    except FileNotFoundError:
        return None
    if not names:
        return None
    place = left / f"{clock.now():%Y%m%dT%H%M%SZ}-{clock.token_hex(3)}"
    place.mkdir(parents=True)
    for name in names:
        shutil.move(work / name, place / name)
    return place, names


def _rescued(folder: Path) -> tuple[str, ...]:
    """What the last user of a slot could not bring to safety."""
    try:
        left = (folder / "left").read_text("utf-8")
    except FileNotFoundError:
        return ()
    kept = keep(folder, Path(left))
    return (str(kept[0]),) if kept else ()
