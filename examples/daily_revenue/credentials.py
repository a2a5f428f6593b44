"""Credentials as references: a variable, or a file that a variable names.

Nothing here returns a secret in an error, and no secret is ever an argument of a
step: steps ask for them where they are used.
"""

from __future__ import annotations

import os
from pathlib import Path

from nightproof import Permanent


def secret(name: str) -> str:
    """The secret in the variable `name`, or in the file that ``<name>_FILE`` names.

    Raises Permanent, without a value in it, where neither is set or readable.
    """
    value = os.environ.get(name, "").strip()
    if value:
        return value
    path = os.environ.get(f"{name}_FILE", "")
    if not path:
        raise Permanent(
            f"the credential {name} is not configured: set {name}_FILE to a file that holds it"
        )
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "it is not text"
        raise Permanent(f"{name}_FILE ({path}) cannot be read: {what}") from None
    if not value:
        raise Permanent(f"{name}_FILE ({path}) is empty")
    return value


def setting(name: str, default: str = "") -> str:
    """What is configured under `name` and is no secret. Raises Permanent where it is missing."""
    value = os.environ.get(name, "").strip() or default
    if not value:
        raise Permanent(f"{name} is not configured", f"Set the variable {name}.")
    return value
