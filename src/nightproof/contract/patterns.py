"""The forms that names, versions, hashes and addresses have in a contract.

Apart from the models that use them, so that linting a small contract builds none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

HEX = re.compile(r"[0-9a-f]{64}")
PROMPT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*@[1-9][0-9]*")

HEX_HINT = "write the sha256 of the file, 64 lower-case hex digits (`sha256sum FILE` prints it)"
PROMPT_HINT = (
    "write name@version, like weekly-report@7, for the template prompts/weekly-report@7.md"
)


def sha256_fault(text: str) -> str:
    """What is wrong with `text` as a sha256, in words."""
    if text.startswith("sha256:"):
        return "the sha256 has a prefix"
    if HEX.fullmatch(text.lower()):
        return "the sha256 has upper-case digits"
    return f"this is not a sha256 ({len(text)} characters)"


@cache
def _version() -> re.Pattern[str]:
    return re.compile(
        r"""(?ix) (?:^|[-@:_./]) (?:
              v?\d{3,8}                        # -002, @20250929, -2411
            | \d{4}-\d{2}(?:-\d{2})?           # -2026-04-23
            | \d{2}-\d{2,4}                    # -05-20
            | v\d+(?:[.:]\d+)*                 # -v1:0
            | v?\d+\.\d+\.\d+[\w.+-]*          # -1.4.2
            | (?:sha256[:-])?(?=[a-f]*\d)[0-9a-f]{7,64}    # a commit or the digest of the weights
        ) $""",
    )


def alias_fault(version: str, id: str | None = None) -> str:
    """Why `version` does not pin a model; empty where it does."""
    if version.lower().endswith("latest"):
        return f'"{version}" means another model whenever the provider decides'
    if version == id:
        return f'"{version}" is the id itself, which is an alias'
    if not _version().search(version):
        return f'"{version}" ends in no version or date, so it is an alias'
    return ""


def version_of(name: str, alias: str) -> bool:
    """Whether `name` is `alias` with a version behind it and nothing between.

    ``gpt-5-2026-01-01`` is a version of ``gpt-5``, ``gpt-5-mini-2026-01-01`` is not.
    """
    return name.startswith(alias) and _version().fullmatch(name[len(alias) :]) is not None


def uri_keys(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(address key, sha256 key) for every key of `value` that names an address."""
    for key in value:
        ending = key[-3:]
        if ending in ("Uri", "Url"):
            yield key, key[:-3] + "Sha256"
        elif key in ("uri", "url") or key.endswith(("_uri", "_url")):
            yield key, key[:-3] + "sha256"
