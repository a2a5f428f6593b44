"""Which distributions are installed, each with a digest of what its wheel put there.

The digest is taken over the rows of RECORD that only the wheel decides: what an
installer adds (compiled files, scripts in ``bin``, INSTALLER, REQUESTED,
direct_url.json) differs between pip and uv, and between two folders.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from nightproof.provenance.snapshot.breath import Breathe, held
from nightproof.provenance.snapshot.installed import Distribution
from nightproof.provenance.snapshot.source import SITE, editable_digest, editable_source

_OF_THE_INSTALLER = (
    b"INSTALLER",
    b"REQUESTED",
    b"RECORD",
    b"RECORD.jws",
    b"RECORD.p7s",
    b"direct_url.json",
    b"uv_cache.json",
)
_BESIDE = (b"bin/", b"etc/", b"include/", b"man/", b"share/")
"""Where ``--target`` puts what else lies outside of site-packages, unless it is a package."""


class Packages(NamedTuple):
    """``{"package/<name>": "<version> sha256:<hex>"}``, and where those with a RECORD lie.

    `sources` are the folders of editable installs.
    """

    items: dict[str, str]
    distributions: list[Distribution]
    sources: list[str]

    def covered(self) -> list[str]:
        """What lies outside of site-packages, and still has a digest among the items."""
        found = set(self.sources)
        for one in self.distributions:
            if SITE.isdisjoint(one.folder.split("/")):
                folder = os.fsencode(one.folder or ".")
                for row in one.rows:
                    top = row.rsplit(b",", 2)[0].strip(b'"').partition(b"/")[0]
                    found.add(os.fsdecode(folder + b"/" + top))
        return sorted(found)


def packages(path: Iterable[str], breathe: Breathe = held) -> Packages:
    """The distributions on `path`.

    Found by the names of their folders; of two with one name the first on the path
    counts, as it does for imports. Where there is no RECORD the version stands alone.
    """
    found: dict[str, str] = {}
    distributions: list[Distribution] = []
    sources: list[str] = []
    for folder in path:
        try:
            entries = sorted(os.scandir(folder or "."), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            stem, _, suffix = entry.name.rpartition(".")
            if suffix not in ("dist-info", "egg-info"):
                continue
            name, version = _split(stem, suffix)
            item = f"package/{name}"
            if item in found:
                continue
            found[item] = version
            breathe()
            read = _read(entry.path) if suffix == "dist-info" else None
            if read is not None:
                record, written = read
                rows = wheel_rows(record, entry.name)
                if source := editable_source(entry.path):
                    sources.append(source)
                known = editable_digest(source, breathe) if source else _digest(rows)
                found[item] = f"{version} {known}"
                distributions.append(Distribution(name, folder, entry.name, written, rows))
    return Packages(found, distributions, sources)


def _split(stem: str, suffix: str) -> tuple[str, str]:
    """Name (as PEP 503 writes it) and version in the name of a folder."""
    if suffix == "egg-info":
        stem = re.sub(r"-py\d[\d.]*$", "", stem)
    name, _, version = stem.rpartition("-")
    if not name:
        name, version = version, ""
    return re.sub(r"[-_.]+", "-", name).lower(), version


def _read(folder: str) -> tuple[bytes, int] | None:
    """The RECORD in a folder, and when it was written, in nanoseconds."""
    try:
        with open(f"{folder}/RECORD", "rb") as file:
            return file.read(), os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return None


def _digest(rows: list[bytes]) -> str:
    return "sha256:" + sha256(b"\n".join(rows)).hexdigest()


def wheel_rows(record: bytes, folder: str) -> list[bytes]:
    """The rows of a RECORD that are the same wherever and by whatever it was installed.

    `folder` is the name of the ``.dist-info`` folder that holds it.
    """
    own = folder.encode("utf-8", "surrogateescape") + b"/"
    left_out = tuple(own + name for name in _OF_THE_INSTALLER)
    lines = b"\n" + record
    beside = tuple(name for name in _BESIDE if b"\n" + name + b"__init__.py," not in lines)
    kept = []
    for row in record.splitlines():
        file, hashed, _ = (*row.rsplit(b",", 2), b"", b"")[:3]
        if not hashed or file.startswith((b"..", b'"..')) or b"__pycache__/" in file:
            continue
        if file.startswith(beside):
            continue
        if file not in left_out:
            kept.append(row)
    return sorted(kept)
