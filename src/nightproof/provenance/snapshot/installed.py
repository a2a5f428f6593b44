"""Whether installed files still are what their distribution's RECORD says.

To hash every file takes seconds. A snapshot looks at sizes, and hashes only what was
written after its RECORD; an edit that keeps the size and sets the time back is found
by the full check alone (`nightproof env show --verify`).
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Iterator
from hashlib import file_digest
from typing import NamedTuple

from nightproof.provenance.snapshot.breath import Breathe, held

MISSING = "missing"
UNREADABLE = "unreadable"
MAX_FILES = 4000
MAX_BYTES = 64 * 1024 * 1024
"""A copied environment may have every file newer than its RECORD; so many are hashed."""
_SECOND = 1_000_000_000


class Distribution(NamedTuple):
    """An installed distribution: its folder on the path, the ``.dist-info`` in it, when its
    RECORD was written (ns), and the rows of RECORD that its wheel decides.
    """

    name: str
    folder: str
    info: str
    installed: int
    rows: list[bytes]


class Edited(NamedTuple):
    """The files that are not what was installed.

    `items` are ``{"edited/<package>/<file>": "sha256:<hex>"}``, or "missing" or
    "unreadable" for the digest; `checked` were hashed, `passed` would have been, but
    were too many.
    """

    items: dict[str, str]
    checked: int
    passed: int


class _Suspect(NamedTuple):
    item: str
    path: bytes
    algorithm: str
    expected: bytes
    size: int
    rank: tuple[bool, int]


def edited(
    distributions: Iterable[Distribution], everything: bool = False, breathe: Breathe = held
) -> Edited:
    """Compare installed files with their RECORD; `everything` hashes all of them."""
    found: dict[str, str] = {}
    suspects: list[_Suspect] = []
    for distribution in distributions:
        breathe()
        for item, seen in _looked_at(distribution, everything):
            if isinstance(seen, str):
                found[item] = seen
            else:
                suspects.append(seen)
    suspects.sort(key=lambda one: (one.rank, one.path))
    checked = size = 0
    for suspect in suspects:
        if not everything and (checked >= MAX_FILES or size > MAX_BYTES):
            break
        checked += 1
        size += suspect.size
        if wrong := _wrong(suspect):
            found[suspect.item] = wrong
    return Edited(found, checked, len(suspects) - checked)


def _looked_at(
    distribution: Distribution, everything: bool
) -> Iterator[tuple[str, str | _Suspect]]:
    folder = os.fsencode(distribution.folder or ".") + b"/"
    # A copy that keeps whole seconds only gives RECORD and its files the same time.
    newer = distribution.installed + (distribution.installed % _SECOND == 0)
    for row in distribution.rows:
        quoted, hashed, size = row.rsplit(b",", 2)
        file = quoted[1:-1].replace(b'""', b'"') if quoted.startswith(b'"') else quoted
        path = folder + file
        try:
            status = os.stat(path)  # noqa: PTH116 - thousands of files: a Path each costs more
        except OSError as error:
            gone = isinstance(error, (FileNotFoundError, NotADirectoryError))
            yield _item(distribution, file), MISSING if gone else UNREADABLE
            continue
        resized = size.isdigit() and int(size) != status.st_size
        if not (everything or resized or status.st_mtime_ns >= newer):
            continue
        algorithm, _, encoded = hashed.decode("ascii", "replace").partition("=")
        try:
            expected = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except (Base64Error, ValueError):
            continue
        item = _item(distribution, file)
        # An edit by hand is younger than what a copy of the whole left behind.
        rank = (not resized, -status.st_mtime_ns)
        yield item, _Suspect(item, path, algorithm, expected, status.st_size, rank)


def _item(distribution: Distribution, file: bytes) -> str:
    return f"edited/{distribution.name}/{os.fsdecode(file)}"


def _wrong(suspect: _Suspect) -> str:
    """The digest of a file that is not what was installed; empty where it is."""
    try:
        with open(suspect.path, "rb") as file:
            if file_digest(file, suspect.algorithm).digest() == suspect.expected:
                return ""
            file.seek(0)
            return "sha256:" + file_digest(file, "sha256").hexdigest()
    except OSError:
        return UNREADABLE
    except (ValueError, TypeError):
        return ""  # a kind of digest that is not known here
