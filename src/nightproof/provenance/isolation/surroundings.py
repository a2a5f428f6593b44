"""The environment of an isolated attempt: the same for everybody, and what is declared."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from nightproof import config
from nightproof.model import crash
from nightproof.provenance.isolation.handover import DETAILS, LEVEL

THREADS = (
    "BLIS_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""With one thread each, sums are added up in one order."""

FOLDERS = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")

# Switches of nightproof itself: how errors are shown, and where a drill kills it.
_OWN = (
    "NIGHTPROOF_DEBUG",
    "NIGHTPROOF_DRILL",
    "NIGHTPROOF_DRILL_DIR",
    crash.FAIL_AT,
    crash.TRACE,
    crash.LEDGER,
)
# How the terminal is to be written to: no value of it is content.
_TERMINAL = ("NO_COLOR",)


def fixed(home: str, folder: str, temporary: str, zone: str) -> dict[str, str]:
    """The variables that every isolated attempt has.

    `folder` is where the interpreter lies; `zone` names the time zone.
    """
    return {
        "COLUMNS": "80",
        "HOME": home,
        "LC_ALL": "C.UTF-8",
        "LINES": "24",
        "PATH": ":".join(dict.fromkeys((folder, *FOLDERS))),
        "PYTHONHASHSEED": "0",
        "TMPDIR": temporary,
        "TZ": zone,
        **dict.fromkeys(THREADS, "1"),
    }


def declared(environ: Mapping[str, str], patterns: Iterable[str]) -> dict[str, str]:
    """The variables of `environ` that `patterns` name (``APP_*``), in the order of their names.

    Those by which nightproof is told its settings are not among them.
    """
    patterns, ours = tuple(patterns), {*config.VARIABLES, config.HANDED_OVER, LEVEL, DETAILS}
    return {
        name: environ[name]
        for name in sorted(environ)
        if name not in ours and any(fnmatchcase(name, one) for one in patterns)
    }


def carried(environ: Mapping[str, str]) -> dict[str, str]:
    """What nightproof and the interpreter need to be the same program in the child."""
    found = {name: environ[name] for name in (*_OWN, *_TERMINAL) if environ.get(name)}
    if environ.get("TERM") == "dumb":
        found["TERM"] = "dumb"
    if path := environ.get("PYTHONPATH"):
        parts = (os.path.abspath(part) for part in path.split(os.pathsep))  # noqa: PTH100 - as site does
        found["PYTHONPATH"] = os.pathsep.join(parts)
    base = _user_base()
    if base:
        found["PYTHONUSERBASE"] = base
    return found


def _user_base() -> str:
    """Where packages installed with ``pip --user`` are, if this process uses them: HOME changes."""
    import site

    folder = site.USER_SITE
    return (site.USER_BASE or "") if folder and folder in sys.path else ""
