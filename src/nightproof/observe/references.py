"""Credentials by reference: a setting says where a secret is, never what it is."""

from __future__ import annotations

import os
from pathlib import Path

from nightproof.errors import ConfigError

_SECRET = ("https://hooks.slack.com/", "xoxb-", "xoxp-", "xapp-", "Bearer ", "Basic ")


def check(text: object, where: str) -> str:
    """The reference in a setting. Raises ConfigError where it is none, or is a secret itself."""
    if not isinstance(text, str) or not text:
        raise ConfigError(
            f"{where}: expected a text, got {text!r}", "Write env:NAME, file:PATH or the value."
        )
    if text.startswith(_SECRET) or ("://" in text and "@" in text.split("/")[2]):
        raise ConfigError(
            f"{where}: a credential does not belong into the configuration",
            "Write env:NAME (an environment variable) or file:PATH.",
        )
    if text in ("env:", "file:"):
        raise ConfigError(f"{where}: '{text}' names nothing", "Write env:NAME or file:PATH.")
    return text


def resolve(text: str, where: str) -> str:
    """What a reference stands for. Raises ConfigError where it is not there."""
    kind, _, name = text.partition(":")
    if kind == "env":
        found = os.environ.get(name, "")
        if not found:
            raise ConfigError(f"{where}: the environment variable {name} is not set", "Set it.")
        return found
    if kind == "file":
        try:
            return Path(name).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise ConfigError(f"{where}: the file {name} cannot be read", "Write it.") from None
    return text
