"""What may be read: which reads are noise, and what declares the others."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from nightproof.provenance.readers import SITE, STDLIB
from nightproof.provenance.snapshot.numerics import VARIABLES as NUMERIC
from nightproof.provenance.snapshot.source import root_of
from nightproof.provenance.witness.reads import COPIED, HARMLESS

_HARMLESS = (
    "*CA_BUNDLE", "CLICOLOR*", "COLORTERM", "COLUMNS", "FORCE_COLOR", "HOME", "LANG", "LANGUAGE", "LC_*",
    "LINES", "NIGHTPROOF_*", "NO_COLOR", "PATH", "PYDANTIC_*", "PYTHON*", "SSLKEYLOGFILE",
    "SSL_CERT_DIR", "SSL_CERT_FILE", "TEMP", "TERM", "TMP", "TMPDIR", "TZ", "TZDIR",
    "VIRTUAL_ENV", "XDG_*_HOME", *NUMERIC,
)  # fmt: skip
"""Variables that say where things are, or that the snapshot holds; what is read there counts."""

_SYSTEM = (
    "/proc/", "/sys/", "/dev/", "/usr/share/zoneinfo/", "/etc/ssl/", "/etc/pki/",
    "/etc/ca-certificates/", "/usr/lib/ssl/", "/usr/share/ca-certificates/", "/usr/share/locale/",
    "/usr/share/mime/",
)  # fmt: skip
_SYSTEM_FILES = frozenset(
    """
    /etc/gai.conf /etc/group /etc/host.conf /etc/hosts /etc/ld.so.cache /etc/localtime
    /etc/lsb-release /etc/mime.types /etc/nsswitch.conf /etc/os-release /etc/passwd
    /etc/protocols /etc/resolv.conf /etc/services /etc/timezone /usr/lib/os-release
    """.split()
)
_CODE = (".py", ".pyc", ".pyi", ".so", ".pyd")


class Rules:
    """What the contract, the settings and the environment of one attempt allow.

    `datasets` gives the sha256 (hex) of every dataset of the contract with the place
    where the contract names it; `job_file` is the file of the job.
    """

    def __init__(
        self,
        *,
        files: Iterable[str] = (),
        variables: Iterable[str] = (),
        hosts: Iterable[str] = (),
        programs: Iterable[str] = (),
        datasets: Mapping[str, str] | None = None,
        job_file: str = "",
        ours: Iterable[str] = (),
    ) -> None:
        self._files = [_rooted(pattern) for pattern in files]
        self._variables = tuple(variables)
        self._hosts = tuple(hosts)
        self._programs = tuple(programs)
        self._datasets = {
            f"sha256:{sha256}": f"contract {place}" for sha256, place in (datasets or {}).items()
        }
        own = root_of(job_file) if job_file else ""
        self._code = tuple(f"{root.rstrip('/')}/" for root in {own, *_folders(sys.path)} if root)
        self._packages = tuple(f"{root}/" for root in _folders(sys.path) if _is_site(root))
        self._ours = tuple(f"{root.rstrip('/')}/" for root in ours if root)
        self._noise = (*_SYSTEM, STDLIB)

    def file(self, path: str, digest: str | None) -> str | None:
        """What declares a file or folder, ``""`` for nothing; None where the read is noise."""
        inside = f"{path}/"
        if path.startswith(self._ours):
            return None
        if self._is_package(path):
            return None if path.endswith(_CODE) else "package"
        if inside.startswith(self._noise) or path in _SYSTEM_FILES or path.endswith("/pyvenv.cfg"):
            return None
        if any(_below(path, pattern) for pattern in self._files):
            return "setting files"
        if digest is not None and digest in self._datasets:
            return self._datasets[digest]
        if path.endswith(_CODE) and path.startswith(self._code):
            return "own code"
        return ""

    def variable(self, name: str, copied: bool) -> str:
        """What declares a variable."""
        if any(fnmatchcase(name, pattern) for pattern in self._variables):
            return "setting variables"
        if copied:
            return COPIED
        return HARMLESS if any(fnmatchcase(name, pattern) for pattern in _HARMLESS) else ""

    def host(self, name: str) -> str:
        """What declares a host, given as ``name:port``."""
        host = name.rpartition(":")[0].strip("[]")
        allowed = any(fnmatchcase(each, one) for one in self._hosts for each in (name, host))
        return "setting hosts" if allowed else ""

    def program(self, path: str) -> str:
        """What declares a program, given by its path or name."""
        if os.path.realpath(path) == os.path.realpath(sys.executable):
            return "interpreter"
        names = (path, path.rpartition("/")[2])
        allowed = any(fnmatchcase(each, one) for one in self._programs for each in names)
        return "setting programs" if allowed else ""

    def reader(self, file: str) -> str:
        """Who reads, by the file of the code: ``own``, or the name of a module or package.

        Another program (``program cat``) is known by strace only.
        """
        if file.startswith("program "):
            return file
        for folder in self._packages:
            if file.startswith(folder):
                return _top(file[len(folder) :])
        for site in SITE:
            if site in file:
                return _top(file.partition(site)[2])
        if file.startswith(STDLIB):
            return _top(file[len(STDLIB) :])
        return "own"

    def _is_package(self, path: str) -> bool:
        return path.startswith(self._packages) or any(site in path for site in SITE)


def _top(path: str) -> str:
    return path.partition("/")[0].partition(".")[0]


def _rooted(pattern: str) -> str:
    return os.path.normpath(Path(pattern).expanduser().absolute())


def _below(path: str, pattern: str) -> bool:
    """Whether a path is what the pattern names, or lies in it."""
    return (
        path == pattern
        or path.startswith(f"{pattern.rstrip('/')}/")
        or fnmatchcase(path, pattern)
        or fnmatchcase(path, f"{pattern}/*")
    )


def _folders(path: Iterable[str]) -> list[str]:
    return [str(Path(entry).absolute()) for entry in path]


def _is_site(folder: str) -> bool:
    """Whether packages are installed there."""
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.endswith((".dist-info", ".egg-info")) for entry in entries)
    except OSError:
        return False
