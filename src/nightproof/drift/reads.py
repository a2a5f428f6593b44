"""What two runs read around one point, and where that differs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from nightproof.provenance.witness.reads import BODY, COPIED, IMPORT, WITHHELD, Read

STEP, IMPORTED, BODIES, EARLIER = "step", "import", "body", "earlier"
"""How near to a point something was read: by the step itself, before the body, by the
body, or by other steps before it and by threads that belong to no known step."""

_OWN = "own code"
_ENVIRONMENT = (
    "TZ", "LANG", "LANGUAGE", "LC_*", "ATEN_*", "BLIS_*", "CUBLAS_*", "CUDA_*", "GOTO_*", "KMP_*",
    "MKL_*", "NPY_*", "NUMEXPR_*", "OMP_*", "OPENBLAS_*", "VECLIB_*", "TORCH_*",
)  # fmt: skip
"""Variables that are part of the environment."""
_PLACES = ("CONDA_*", "LD_*", "LOCPATH", "PYTHON*", "TZDIR", "VIRTUAL_ENV")
"""Variables that say where the environment is; what is there is in the snapshot."""
_TRIVIAL = (
    "_", "COLUMNS", "DBUS_*", "DISPLAY", "EDITOR", "FORCE_COLOR", "HOME", "HOSTNAME",
    "INVOCATION_ID", "JOURNAL_STREAM", "LINES", "LOGNAME", "LS_COLORS", "MAIL", "NIGHTPROOF_*",
    "NO_COLOR", "OLDPWD", "PAGER", "PATH", "PWD", "PYTEST_*", "SHELL", "SHLVL", "SSH_*", "TEMP",
    "TERM", "TERM_*", "TMP", "TMPDIR", "USER", "USERNAME", "WINDOWID", "XDG_*",
)  # fmt: skip
"""Variables that differ between any two sessions, mostly without a consequence."""
_LOOPBACK = re.compile(r"^(127\.[\d.]+|localhost|\[?::1\]?):(\d+)$")
_EPHEMERAL = 32768
"""From this port on a server got whichever was free."""


class Pair(NamedTuple):
    """One thing that two runs read and that differs, or that one of them did not read.

    `cause` is what it is a sign of; `near` one of STEP, IMPORTED, BODIES and EARLIER.
    A `weak` one is too far away, or differs too often, to count beside others.
    """

    cause: str
    near: str
    weak: bool
    a: Read | None
    b: Read | None

    @property
    def item(self) -> str:
        """What it is, in words."""
        known = self.b or self.a
        assert known is not None
        name = known.name
        if self.a is not None and self.b is not None and self.a.name != self.b.name:
            name = f"{self.a.name} | {self.b.name}"
        return f"{known.what} {name}"

    @property
    def sides(self) -> tuple[str | None, str | None]:
        """What either side found, in words; None where it did not read it."""
        return _found(self.a), _found(self.b)


def _found(one: Read | None) -> str | None:
    if one is None:
        return None
    if one.what == "host":
        return "contacted"
    if one.digest is not None:
        return one.digest
    return "absent" if one.size is None else f"{one.size} bytes, not hashed"


def near(reads: Sequence[Read], step: str, fp: str, later: frozenset[str]) -> dict[str, list[Read]]:
    """Reads by how near they are to a call of `step` with the fingerprint `fp`.

    Both are "" where the body is what counts. `later` are the fingerprints of what had
    not ended before it.
    """
    found: dict[str, list[Read]] = {STEP: [], IMPORTED: [], BODIES: [], EARLIER: []}
    for one in reads:
        if fp and (one.fp == fp or (not one.fp and one.step == step)):
            found[STEP].append(one)
        elif one.step == IMPORT:
            found[IMPORTED].append(one)
        elif one.step == BODY:
            found[BODIES].append(one)
        elif not one.fp or one.fp not in later:
            found[EARLIER].append(one)
    return found


def differing(a: dict[str, list[Read]], b: dict[str, list[Read]], body: bool) -> list[Pair]:
    """What differs between the reads of two runs, the nearest first.

    `body` says that it is the body that parted: then what it read is near.
    """
    found: list[Pair] = []
    told: set[tuple[str, str]] = set()
    for how in (STEP, BODIES, IMPORTED, EARLIER) if body else (STEP, IMPORTED, BODIES, EARLIER):
        far = how == EARLIER or (how == BODIES and not body)
        for one, other in _pairs(a[how], b[how]):
            known = other or one
            assert known is not None
            cause, trivial = _sign_of(one, other)
            if cause and (known.what, known.name) not in told:
                told.add((known.what, known.name))
                found.append(Pair(cause, how, far or trivial, one, other))
    return found


def _sign_of(a: Read | None, b: Read | None) -> tuple[str, bool]:
    """The cause that a differing read is a sign of, "" for none, and whether it is trivial."""
    known = b or a
    assert known is not None
    declared = {one.declared for one in (a, b) if one is not None}
    if known.what == "variable":
        if _one_of(known.name, _PLACES):
            return "", False
        if _one_of(known.name, _ENVIRONMENT):
            return "environment", COPIED in declared
        # What the side that did not read it would have found is not known.
        trivial = a is None or b is None or COPIED in declared or "harmless" in declared
        return "context", trivial or _one_of(known.name, _TRIVIAL)
    if declared & {"package", "interpreter", _OWN}:
        # Only content tells: compiled files come and go, and a path is where it is installed.
        both = a is not None and b is not None and a.digest is not None and b.digest is not None
        if not both or known.what != "file" or known.name.endswith((".pyc", ".pyo")):
            return "", False
        return ("code" if _OWN in declared else "environment"), False
    return "context", False


def _one_of(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _pairs(a: Sequence[Read], b: Sequence[Read]) -> list[tuple[Read | None, Read | None]]:
    """Reads that belong together and differ, or have no partner.

    The same name first; then the same content, which only moved; then the same last
    part of the path, like a file in another home.
    """
    ours, theirs = _latest(a), _latest(b)
    found: list[tuple[Read | None, Read | None]] = []
    for key in [key for key in ours if key in theirs]:
        one, other = ours.pop(key), theirs.pop(key)
        if not _same(one, other):
            found.append((one, other))
    alike: tuple[Callable[[Read], object], ...] = (_content, _last_part)
    for same in alike:
        waiting: dict[object, list[tuple[str, str]]] = {}
        for key, other in theirs.items():
            waiting.setdefault(same(other), []).append(key)
        for key, one in list(ours.items()):
            partners = waiting.get(same(one)) if same(one) is not None else None
            if partners:
                del ours[key]
                other = theirs.pop(partners.pop(0))
                if not _same(one, other):
                    found.append((one, other))
    # Something that one side only looked for, and did not find, changed nothing.
    found += [(one, None) for one in ours.values() if _there(one)]
    found += [(None, one) for one in theirs.values() if _there(one)]
    return found


def _same(a: Read, b: Read) -> bool:
    if WITHHELD in (a.digest, b.digest):
        return a.digest is not None and b.digest is not None
    if a.what == "host":
        return True
    if a.digest is None and b.digest is None:
        return a.size == b.size
    # One that was not hashed is the same as far as anybody knows, if its size is.
    unhashed = (a.digest is None and a.size is not None) or (
        b.digest is None and b.size is not None
    )
    return a.size == b.size if unhashed else a.digest == b.digest


def _there(one: Read) -> bool:
    return one.what == "host" or one.digest is not None or one.size is not None


def _latest(reads: Iterable[Read]) -> dict[tuple[str, str], Read]:
    """The last read of each thing: a step that is tried again reads again.

    What the run had written itself is no context: the other run may have found it there.
    """
    found: dict[tuple[str, str], Read] = {}
    for one in reads:
        if one.declared not in ("run", "nightproof"):
            found[one.what, _host(one.name) if one.what == "host" else one.name] = one
    return found


def _host(name: str) -> str:
    """A server of a test has another port each time."""
    found = _LOOPBACK.match(name)
    return "loopback" if found and int(found[2]) >= _EPHEMERAL else name


def _content(one: Read) -> object:
    return (one.what, one.digest) if one.digest and one.what in ("file", "folder") else None


def _last_part(one: Read) -> object:
    if one.what not in ("file", "folder", "program"):
        return None
    return one.what, one.name.rpartition("site-packages/")[2].rpartition("/")[2]
