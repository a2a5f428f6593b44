"""The part of a pylock.toml that is ours: what the environment has to be once it is built.

Below ``[tool.nightproof]`` stand the items of the snapshot that a lock can bring back
(interpreter and packages) and the digest of both, so that an edit of either is seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nightproof.errors import UsageError
from nightproof.model.canonical import digest

VERSION = 1
PYTHON = ("version", "build", "implementation", "tag")
"""The items ``python/…`` of a snapshot that an interpreter has by itself."""
_NAME = re.compile(r"pylock(\.[^./]+)?\.toml")


class Lock(NamedTuple):
    """What a locked environment has to be, in the items of a snapshot.

    `left_out` names distributions that the locked environment had and the lock has not.
    """

    python: dict[str, str]
    packages: dict[str, str]
    left_out: list[str]

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` over interpreter and packages."""
        return digest({"python": self.python, "packages": self.packages})


def lock_of(strict: Mapping[str, str], packages: Iterable[str], left_out: Iterable[str]) -> Lock:
    """What of a snapshot's strict items the lock of `packages` (names) has to bring back."""
    return Lock(
        {name: strict[f"python/{name}"] for name in PYTHON},
        {name: strict[f"package/{name}"] for name in sorted(packages)},
        sorted(left_out),
    )


def check_name(path: Path) -> None:
    """Raise UsageError for a name that tools do not take for a lock."""
    if not _NAME.fullmatch(path.name):
        raise UsageError(
            f"{path} is not a name for a lock file",
            "Call it pylock.toml, or pylock.NAME.toml with no further dot.",
        )


def table(lock: Lock) -> str:
    """The lines for the end of the pylock.toml."""
    lines = [
        "[tool.nightproof]",
        f"version = {VERSION}",
        f"digest = {_text(lock.digest)}",
        f"left-out = [{', '.join(map(_text, lock.left_out))}]",
        "",
        "[tool.nightproof.python]",
        *(f"{name} = {_text(value)}" for name, value in lock.python.items()),
        "",
        "[tool.nightproof.packages]",
        *(f"{_text(name)} = {_text(value)}" for name, value in lock.packages.items()),
    ]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A TOML basic string; JSON's differ from it in DEL alone."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def read_lock(path: Path) -> Lock:
    """What a lock file says. Raises UsageError for what `env lock` did not write like this."""
    check_name(path)
    document = parsed(path)
    found = document.get("tool", {}).get("nightproof")
    if found is None:
        raise UsageError(
            f"{path} has no [tool.nightproof]: what it builds cannot be proved",
            "Write it with `nightproof env lock`; `uv pip sync` installs any pylock.toml.",
        )
    try:
        version, said = found["version"], found["digest"]
        if version != VERSION:
            raise UsageError(
                f"{path} is a lock of version {version!r}, this reads {VERSION}",
                "Use the nightproof that wrote it, or a newer one.",
            )
        lock = Lock(_texts(found["python"]), _texts(found["packages"]), list(found["left-out"]))
        listed = {str(one["name"]) for one in document.get("packages", [])}
        versions = {one["name"]: str(one.get("version", "")) for one in document["packages"]}
    except (KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{path} lacks what a lock of nightproof has",
            "It is damaged or not whole. Write it again with `nightproof env lock`.",
        ) from None
    edited = said != lock.digest or listed != set(lock.packages)
    for name, value in lock.packages.items():
        locked = versions.get(name)
        edited = edited or (bool(locked) and locked != value.partition(" ")[0])
    if edited:
        raise UsageError(
            f"{path} was edited: its packages are not those that [tool.nightproof] has",
            "Take back the edit, or write it again with `nightproof env lock`.",
        )
    return lock


def parsed(path: Path) -> dict[str, Any]:
    """A TOML file. Raises UsageError where it cannot be read or is none."""
    import tomllib  # no other command reads TOML by itself

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", "`nightproof env lock` writes one."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}", "It is damaged or not whole.") from None


def _texts(found: Any) -> dict[str, str]:
    if not all(isinstance(value, str) for value in found.values()):
        raise TypeError
    return dict(found)
