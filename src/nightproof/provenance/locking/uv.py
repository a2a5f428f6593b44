"""Running uv, with the package indexes that pip is configured for."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from nightproof.errors import ConfigError, NightproofError

_INSTALL = "Install it: `python -m pip install uv`, or as its own site says."
_UNREACHABLE = re.compile(
    r"Failed to fetch|error sending request|dns error|Connection refused|timed? out"
    r"|Network connectivity is disabled|tcp connect error",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s\"']+@")
_SHOWN = 12
"""So many lines of what uv says are passed on."""
_OURS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
}
"""pip's settings, and the variables that tell uv the same."""
_UVS = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS",
        "UV_NO_INDEX", "UV_CONFIG_FILE")  # fmt: skip


def uv(arguments: Sequence[str], doing: str, environ: Mapping[str, str] | None = None) -> str:
    """Run uv; what it prints.

    Raises ConfigError where there is no uv, NightproofError with uv's own words where
    it fails; `doing` says what failed.
    """
    import subprocess

    given = os.environ if environ is None else environ
    quiet = ("--quiet", "--no-progress", "--color", "never")
    # The format is a preview of uv; without its consent it warns.
    asked = [*command(), *arguments, *quiet, "--preview"]
    ran = subprocess.run(
        asked, env={**given, **indexes(given)}, capture_output=True, text=True,
        errors="replace", check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if ran.returncode == 0:
        return ran.stdout
    said = without_credentials(ran.stderr.strip())
    lines = said.splitlines()
    told = "\n".join(["uv says:", *lines[:_SHOWN]])
    if _UNREACHABLE.search(said):
        told = (
            "A package index cannot be reached: look at the network, and at the indexes that "
            f"UV_DEFAULT_INDEX or pip's settings name.\n{told}"
        )
    raise NightproofError(f"uv could not {doing}", told)


def command() -> list[str]:
    """How uv is called here: beside this Python, else on the PATH, else as a module."""
    beside = Path(sys.executable).with_name("uv")
    if os.access(beside, os.X_OK):
        return [str(beside)]
    found = shutil.which("uv")
    if found is not None:
        return [found]
    from importlib.util import find_spec

    if find_spec("uv") is None:
        raise ConfigError("this needs uv, which is not installed here", _INSTALL)
    return [sys.executable, "-m", "uv"]


def without_credentials(text: str) -> str:
    """A text without the users and passwords in its addresses."""
    return _CREDENTIALS.sub("", text)


def indexes(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables for uv that say what pip is configured for.

    Empty where uv has settings of its own: then they count. pip takes the best version
    of all indexes, and so is uv told to.
    """
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "/")) / ".config")
    own = [home / "uv/uv.toml", Path("/etc/uv/uv.toml")]
    if any(name in environ for name in _UVS) or any(path.is_file() for path in own):
        return {}
    found = {}
    for name, value in pip_settings(environ).items():
        words = value.split()
        if name == "no-index" and value.lower() not in ("1", "true", "yes", "on"):
            continue
        if name in _OURS and words:
            found[_OURS[name]] = "true" if name == "no-index" else " ".join(words)
        elif name == "cert" and "SSL_CERT_FILE" not in environ:
            found["SSL_CERT_FILE"] = value
    if {"UV_DEFAULT_INDEX", "UV_INDEX"} & set(found) and "UV_INDEX_STRATEGY" not in environ:
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return found


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings of pip in force: its files, weakest first, then its variables."""
    from configparser import Error, RawConfigParser

    home = Path(environ.get("HOME", "/"))
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    wide = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    files = [
        *(Path(folder, "pip/pip.conf") for folder in wide),
        Path("/etc/pip.conf"),
        home / ".pip/pip.conf",
        config / "pip/pip.conf",
        Path(sys.prefix, "pip.conf"),
    ]
    if given := environ.get("PIP_CONFIG_FILE"):
        files = [] if given == os.devnull else [*files, Path(given)]
    found: dict[str, str] = {}
    for file in files:
        parser = RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (Error, OSError, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                found.update({k.replace("_", "-"): v for k, v in parser.items(section)})
    for name in (*_OURS, "cert"):
        if value := environ.get(f"PIP_{name.upper().replace('-', '_')}"):
            found[name] = value
    return found
