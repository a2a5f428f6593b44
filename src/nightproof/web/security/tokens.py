"""The token of a dashboard: from the environment, or kept in a file that only its owner reads."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path

from nightproof.errors import ConfigError
from nightproof.model import clock

VARIABLE = "NIGHTPROOF_DASHBOARD_TOKEN"
FILE = "dashboard.token"
SHORTEST = 16
_OTHERS = 0o077


def taken(environ: MutableMapping[str, str]) -> str:
    """The token in the environment, taken out of it: what a job starts need not know it.

    "" where there is none. Raises ConfigError for one that is easily guessed.
    """
    return _checked(environ.pop(VARIABLE, ""), VARIABLE)


def kept(folder: Path) -> tuple[str, Path]:
    """The token in the folder of keys, made where there is none, and its file.

    Raises ConfigError where others may read it, or it cannot be written.
    """
    path = folder / FILE
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & _OTHERS:
            raise ConfigError(
                f"the dashboard's token {path} may be read by others",
                f"`chmod 600 {path}`, or remove it: another one is made.",
            )
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(
            f"the dashboard's token {path} cannot be kept: {told}",
            f"Set {VARIABLE}, or `keys` to a folder of your own.",
        ) from None
    found = _checked(text, str(path))
    if not found:
        raise ConfigError(f"the dashboard's token {path} is empty", "Remove it: one is made.")
    return found, path


def _make(path: Path) -> None:
    """Another process that makes one at the same time wins or loses: both read the same."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{clock.token_hex(6)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(clock.token_hex(24) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def _checked(text: str, where: str) -> str:
    token = text.strip()
    if token and (len(token) < SHORTEST or not token.isprintable() or not token.isascii()):
        raise ConfigError(
            f"{where}: a token has at least {SHORTEST} printable ASCII characters",
            "`python -c 'import secrets; print(secrets.token_urlsafe(24))'` makes a good one.",
        )
    return token
