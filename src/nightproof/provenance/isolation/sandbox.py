"""The file system of an attempt at L2: the system, Python, and what is declared; no network."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from nightproof.errors import UsageError

HOME = "/nightproof/home"
WORK = "/nightproof/work"
TMP = "/tmp"  # noqa: S108 - a folder of the sandbox's own
"""The same in every sandbox, whoever starts it where."""

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix")
# What programs need to find libraries, certificates, users and types; no settings of services.
_ETC = tuple(
    f"/etc/{name}"
    for name in (
        "alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "fonts",
        "group", "host.conf", "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime",
        "mime.types", "nsswitch.conf", "passwd", "pki", "protocols", "services", "ssl", "timezone",
    )
)  # fmt: skip
_KERNEL = ("/proc", "/sys/devices/system")


class Mount(NamedTuple):
    """A file or folder that is there in the sandbox."""

    path: str
    """Where it is, inside."""
    writable: bool = False
    source: str = ""
    """Where it is outside, if not at the same path."""

    def __str__(self) -> str:
        return f"{'rw' if self.writable else 'ro'} {self.path}"


def system() -> list[Mount]:
    """The read-only part that is the same for every job: the system and Python."""
    found = [Mount(path) for path in (*_SYSTEM, *_ETC, *_KERNEL) if os.path.exists(path)]
    folders = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    # The first entry is the working folder, or where the command itself lies.
    folders |= {path for path in sys.path[not sys.flags.safe_path :] if os.path.isabs(path)}  # noqa: PTH117
    folders |= {str(Path(__file__).parents[2])}  # an editable install may not be on the path
    for folder in sorted(folders):
        if os.path.exists(folder):
            found += [Mount(folder), Mount(os.path.realpath(folder))]
    return found


def narrow(path: Path, what: str) -> Path:
    """`path`, which is going to be visible with all that lies in it.

    Raises UsageError where that would be the whole home folder, or more.
    """
    home = Path("~").expanduser().resolve()
    whole = path.resolve()
    if home == whole or home.is_relative_to(whole):
        raise UsageError(
            f"{what} lies in {path}, and that with all that is in it would be visible at L2",
            "Move it into a folder of its own.",
        )
    return path


def code_of(file: Path) -> Path:
    """What has to be there for the target in `file`: its top-level package, or its folder."""
    folder = file.parent
    if not (folder / "__init__.py").is_file():
        return narrow(folder, f"the target {file.name}")
    while (folder.parent / "__init__.py").is_file():
        folder = folder.parent
    return folder


def arranged(mounts: Iterable[Mount]) -> list[Mount]:
    """Outer folders before inner ones, each path once, and no mount inside an equal one."""
    best: dict[str, Mount] = {}
    for mount in mounts:
        known = best.get(mount.path)
        if known is None or (mount.writable and not known.writable):
            best[mount.path] = mount
    found: list[Mount] = []
    for mount in sorted(best.values(), key=lambda one: (one.path.count("/"), one.path)):
        around = [one for one in found if _inside(mount.path, one.path)]
        if not around or around[-1].writable != mount.writable or mount.source or around[-1].source:
            found.append(mount)
    return found


def _inside(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def command(program: str, mounts: Sequence[Mount], status: int, words: Sequence[str]) -> list[str]:
    """The words that run `words` with `mounts` and nothing else.

    `program` is bubblewrap; it reports to the file descriptor `status`.
    """
    made = [program, "--unshare-net", "--unshare-ipc", "--die-with-parent"]
    made += ["--json-status-fd", str(status), "--dev", "/dev"]
    for mount in mounts:
        if mount.path in _SYSTEM and os.path.islink(mount.path):  # noqa: PTH114
            made += ["--symlink", os.readlink(mount.path), mount.path]
        else:
            made += ["--bind" if mount.writable else "--ro-bind"]
            made += [mount.source or mount.path, mount.path]
    return [*made, "--remount-ro", "/", "--chdir", WORK, "--", *words]
