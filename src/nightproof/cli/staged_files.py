"""Other files for the code of an experiment: only in its process and what it starts.

In a mount namespace of its own, an overlay lies over each folder concerned; the
staged files are written into it, and what should not be there is removed from it.
Native readers and child processes see them as well, and nothing real is touched.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path

from nightproof.errors import UsageError
from nightproof.model import clock

ENDING_SECONDS = 2.0
"""How long threads that are about to end are waited for."""

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000


class CannotStage(UsageError):
    """This system does not let a process have files of its own."""


def stage(files: Mapping[str, bytes | None], scratch: Path) -> None:
    """Make this process see `files`; None for a file that is not to be there.

    `scratch` is an empty folder. Call it while the process has one thread. Raises
    CannotStage where the system has no namespaces for users, or a folder cannot be
    overlaid.
    """
    if not files:
        return
    try:
        _enter(scratch)
        for number, folder in enumerate(_folders(files)):
            _overlay(folder, scratch, number)
        write(files)
        os.chdir(Path.cwd())  # the folder that this process is in may lie below an overlay
    except OSError as error:
        raise CannotStage(
            f"files cannot be put back for an experiment here: {error}",
            "That takes Linux with user namespaces and overlayfs; in a container, more rights.",
        ) from error


def write(files: Mapping[str, bytes | None]) -> None:
    """Make the staged files what they are to be again: an experiment may have changed them."""
    for name, content in files.items():
        path = Path(name)
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content)


def _write(path: Path, content: bytes) -> None:
    times = path.stat() if path.exists() else None
    path.write_bytes(content)
    if times is not None:  # only the content is staged
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _folders(files: Mapping[str, bytes | None]) -> list[Path]:
    """The folders to overlay: the nearest that exist, none inside another."""
    found: set[Path] = set()
    for name in files:
        folder = Path(name).parent
        while not folder.is_dir():
            folder = folder.parent
        found.add(folder.resolve())
    outer = {one for one in found if not any(other in one.parents for other in found)}
    mounts = [Path(line.split()[4]) for line in _mounted()]
    for folder in outer:
        if any(folder in mount.parents for mount in mounts):
            raise OSError(f"other file systems are mounted below {folder}")
    return sorted(outer)


def _mounted() -> list[str]:
    return Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()


def _enter(scratch: Path) -> None:
    user, group = os.getuid(), os.getgid()
    _alone()
    _check(_libc().unshare(_CLONE_NEWUSER | _CLONE_NEWNS), "a namespace")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        Path("/proc/self", name).write_text(text)
    _mount("none", Path("/"), None, _MS_REC | _MS_PRIVATE)
    # An overlay's upper folder cannot lie on another overlay, as a container's root is.
    _mount("tmpfs", scratch, "tmpfs", 0)


def _alone() -> None:
    """A thread that was joined is there for a moment more, and a namespace is for one thread."""
    until = clock.monotonic() + ENDING_SECONDS
    while len(os.listdir("/proc/self/task")) > 1 and clock.monotonic() < until:  # noqa: PTH208
        clock.block(0.001)


def _overlay(folder: Path, scratch: Path, number: int) -> None:
    upper, work = scratch / f"upper{number}", scratch / f"work{number}"
    for made in (upper, work):
        made.mkdir()
    upper.chmod(folder.stat().st_mode & 0o7777)
    lower = str(folder).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
    options = f"lowerdir={lower},upperdir={upper},workdir={work},userxattr"
    _mount("overlay", folder, "overlay", 0, options)


def _mount(source: str, target: Path, kind: str | None, flags: int, options: str = "") -> None:
    code = _libc().mount(
        source.encode(), os.fsencode(target), kind.encode() if kind else None,
        ctypes.c_ulong(flags), os.fsencode(options) if options else None,
    )  # fmt: skip
    _check(code, f"a mount on {target}")


def _check(code: int, what: str) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
