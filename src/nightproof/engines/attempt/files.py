"""Artifacts on disk: whole or not at all."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from nightproof.errors import MisuseError, StoreFull, StoreReadOnly
from nightproof.model import clock

LONGEST = 240
"""Bytes of a name that every file system takes, with room for a manifest's ending."""


def artifact_path(root: Path, run_name: str, path: str) -> Path:
    """Where an artifact goes: below the run's own folder, or the absolute path given.

    Raises MisuseError for a relative path that leaves the folder.
    """
    if Path(path).is_absolute():
        return Path(path)
    folder = root / _folder(run_name)
    target = Path(os.path.normpath(folder / path))
    if folder not in target.parents:
        raise MisuseError(
            f"artifact('{path}', ...) lies outside the run's folder",
            "Give a path below it, or an absolute one.",
        )
    return target


def _folder(run_name: str) -> str:
    """The name of a run's folder: the run's, where a file system takes that as it is."""
    parts = run_name.split("/")
    fits = len(run_name.encode("utf-8", "replace")) <= LONGEST and run_name.isprintable()
    if fits and not any(part in ("", ".", "..") for part in parts):
        return run_name
    shown = "".join(one if one.isalnum() or one in "-_. " else "_" for one in run_name[:40])
    return f"{shown.strip('. ')}-{sha256(run_name.encode('utf-8', 'replace')).hexdigest()[:32]}"


def read_digest(path: Path) -> str | None:
    """The sha256 of a file, None where it cannot be read."""
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that nobody ever sees a part of it, synced to disk.

    Raises StoreFull or StoreReadOnly.
    """
    temporary = path.with_name(f".{path.name}.{clock.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, PermissionError) or error.errno == 30:
            raise StoreReadOnly(
                f"the artifact {path} cannot be written: {error.strerror}",
                "Correct the permissions, or set `artifacts` to another folder.",
            ) from error
        raise StoreFull(
            f"the artifact {path} cannot be written: {error.strerror}",
            "Free some space and run `nightproof resume --all`.",
        ) from error
