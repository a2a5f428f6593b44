"""Whose code reads: the user's or a package's, the standard library's, or nobody's."""

from __future__ import annotations

import os
import sys
from typing import Any

READER, THROUGH, NOBODY = 0, 1, 2
"""Code that reads, code that reads for its caller, and code whose reads do not count."""

kinds: dict[int, int] = {}
"""By the id of a loaded module's globals."""

OURS = __file__.rpartition("/provenance/")[0] + "/"
STDLIB = (os.__file__ or "").rpartition("/")[0] + "/"
SITE = ("/site-packages/", "/dist-packages/")
_HEARING = (
    "nightproof.provenance.hearing",
    "nightproof.provenance.audit",
    "nightproof.provenance.acts",
)
# Their own reads tell of the interpreter, of what the snapshot holds, or of nothing.
_NOISE = frozenset(
    """
    ctypes encodings gettext importlib inspect linecache locale pkgutil platform runpy site
    sysconfig tempfile tokenize traceback uuid zoneinfo _frozen_importlib
    _frozen_importlib_external zipimport
    """.split()
)


def reader(frame: Any) -> dict[str, Any] | None:
    """The globals of the innermost code, from `frame` outwards, that reads for itself.

    None where that is nightproof's own, or the interpreter's. Where all is of the
    standard library, the innermost.
    """
    first: dict[str, Any] | None = None
    while frame is not None:
        found = frame.f_globals
        kind = kinds.get(id(found))
        if kind is None:
            kind = kind_of(found)
        if kind == READER:
            return found  # type: ignore[no-any-return]
        if kind == NOBODY:
            return None
        if first is None and found.get("__name__") not in _HEARING:
            first = found
        frame = frame.f_back
    return first


def kind_of(found: dict[str, Any]) -> int:
    """What the code with these globals is; remembered for a module that is loaded."""
    name = str(found.get("__name__") or "")
    file = str(found.get("__file__") or "")
    kind = _kind(name, file)
    if getattr(sys.modules.get(name), "__dict__", None) is found:
        kinds[id(found)] = kind
    return kind


def _kind(name: str, file: str) -> int:
    if name in _HEARING:
        return THROUGH
    if file.startswith(OURS):
        return READER if "/_examples/" in file else NOBODY
    top = name.partition(".")[0]
    if file.startswith(STDLIB) and not any(site in file for site in SITE):
        return NOBODY if top in _NOISE else THROUGH
    if not file and name not in ("", "__main__"):  # frozen, or built in
        return NOBODY if top in _NOISE else THROUGH
    return READER
