"""The interpreter and the surroundings that every result may depend on."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

LOCALE_CATEGORIES = (
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_MONETARY",
    "LC_NUMERIC",
    "LC_TIME",
)
HIDDEN = "set (value not kept)"

# Too wide rather than too narrow: a value that is hidden costs a detail of a diff.
_SECRET_NAME = re.compile(
    r"SECRET|TOKEN|PASS|PWD|CREDENTIAL|PRIVATE|COOKIE|SESSION|BEARER|SALT|SIGNATURE|WEBHOOK"
    r"|AUTH|DSN|CERT|CONNECTION|(?:^|_)(?:PAT|SAS|KEYS?)(?:_|$)|API_?KEY|ACCESS_?KEY",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"://[^/\s@]*:[^/\s@]+@|-----BEGIN|\beyJ[\w-]{6,}\.|[?&](?:sig|signature|token|key)="
    r"|\b(?:sk|rk|xox[a-z]|xapp|gh[opsur]|github_pat|glpat|hf|ya29|AIza|AKIA|ASIA)[-_.\w]{10,}"
    r"|^(?=[^\s]*\d)(?=[^\s]*[A-Za-z])[A-Za-z0-9+=_-]{24,}$"
)


def interpreter() -> dict[str, str]:
    """Version, build, implementation and the switches that change what code does."""
    version, _, build = sys.version.partition(" ")
    return {
        "python/version": version,
        "python/build": " ".join(build.split()),
        "python/implementation": sys.implementation.name,
        "python/tag": sys.implementation.cache_tag or "",
        "python/optimize": str(sys.flags.optimize),
        "python/encoding": sys.getfilesystemencoding(),
        "machine": os.uname().machine,
    }


def surroundings(environ: Mapping[str, str], allowed: Iterable[str]) -> dict[str, str]:
    """Time zone, locale, hash seed and the variables that `allowed` names.

    `allowed` may hold patterns (``APP_*``). Of a variable whose name or value looks
    like a secret only the presence is kept.
    """
    found = {
        "tz": time_zone(environ),
        "hashseed": environ.get("PYTHONHASHSEED") or "random",
    }
    for category in LOCALE_CATEGORIES:
        value = environ.get("LC_ALL") or environ.get(category) or environ.get("LANG") or "C"
        found[f"locale/{category}"] = value
    if environ.get("LANGUAGE"):
        found["locale/LANGUAGE"] = environ["LANGUAGE"]
    patterns = tuple(allowed)
    for name in sorted(environ):
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            found[f"variable/{name}"] = shown(name, environ[name])
    return found


def shown(name: str, value: str) -> str:
    """The value of a variable, or only that it is set where it looks like a secret."""
    if _SECRET_NAME.search(name) or _SECRET_VALUE.search(value):
        return HIDDEN
    return value


def time_zone(environ: Mapping[str, str]) -> str:
    """The name of the zone in force: ``TZ``, else the system's."""
    given = environ.get("TZ")
    if given is not None:
        return given.removeprefix(":") or "UTC"
    try:
        link = os.path.realpath("/etc/localtime")
        if "zoneinfo/" in link:
            return link.partition("zoneinfo/")[2]
        with open("/etc/timezone", encoding="utf-8") as file:
            return file.read().strip() or "UTC"
    except (OSError, UnicodeDecodeError):
        return "UTC"
