"""``nightproof manifest``: a run's manifest, or its environment, in the words of others."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from nightproof import app
from nightproof.cli.reading import opened
from nightproof.cli.session import Session, emit, note
from nightproof.errors import NotFound, UsageError
from nightproof.model import clock
from nightproof.provenance.manifest.checking import Checked, check
from nightproof.provenance.manifest.exports import cyclonedx, slsa
from nightproof.provenance.manifest.making import announced, manifest_of, versions
from nightproof.provenance.manifest.statement import SUFFIX
from nightproof.views import open_run
from nightproof.views.environment import environment

FORMATS = ("in-toto", "slsa", "cyclonedx")
MISMATCH = 3
"""The exit code where a manifest is not what was written."""


def export(session: Session, target: str, form: str) -> int:
    """Print a run's manifest in a format; exit 3 where it was edited."""
    if form not in FORMATS:
        raise UsageError(f"there is no format '{form}'", f"Known: {', '.join(FORMATS)}.")
    if form == "cyclonedx":
        emit(_materials(session, target))
        return 0
    found = _file(Path(target)) if os.path.exists(target) else _of_run(session, target)
    checked = [check(path.read_bytes(), str(path), None) for path in found]
    for path, one in zip(found, checked, strict=True):
        if one.problems:
            note(f"{path} is not as it was written: {one.problems[0].message}")
            note(f"  `nightproof verify {target}` says more.")
            return MISMATCH
    emit(_slsa(checked) if form == "slsa" else _statement(checked, found))
    return 0


def _slsa(checked: list[Checked]) -> dict[str, Any]:
    subjects = {}
    for one in checked:
        (subject,) = one.statement["subject"]
        subjects[subject["name"]] = subject["digest"]["sha256"]
    return slsa(checked[0].statement["predicate"], subjects)


def _statement(checked: list[Checked], found: list[Path]) -> dict[str, Any]:
    if len(checked) > 1:
        names = "\n".join(str(path) for path in found[:10])
        raise UsageError(f"the run has {len(found)} manifests", f"Give one of them:\n{names}")
    return checked[0].statement


def _file(path: Path) -> list[Path]:
    """A manifest, given by its own name or its artifact's."""
    beside = path.with_name(path.name + SUFFIX)
    if beside.exists():
        return [beside]
    if path.name.endswith(SUFFIX):
        return [path]
    raise NotFound(f"{path} has no manifest beside it", f"It would be {beside.name}.")


def _of_run(session: Session, name: str) -> list[Path]:
    async def look() -> list[Path]:
        reader = opened(session)
        row = await open_run(reader, name)
        said = await announced(reader, row.id)
        files = (said or {}).get("files") or {}
        places = [manifest_of(path, sha256, said, set(files)) for path, sha256 in files.items()]
        found = [Path(place) for place in places if place is not None]
        if not found:
            raise NotFound(
                f"run {row.name} has no manifest",
                "Manifests are written beside the artifacts of a run that completes.",
            )
        return found

    found = asyncio.run(look())
    for path in found:
        if not path.is_file():
            raise NotFound(f"the manifest {path} is gone", "Give another one that is there.")
    return found


def _materials(session: Session, target: str) -> dict[str, Any]:
    if os.path.exists(target):
        raise UsageError(
            f"{target} is a file, and a manifest has only digests of its environment",
            "Give the name of the run, where its journal is.",
        )

    async def look() -> dict[str, Any]:
        reader = opened(session)
        row = await open_run(reader, target)
        taken = await environment(reader, app.open_blobs(session.settings()), row)
        at = clock.from_ms(row.finished or row.updated).isoformat(timespec="milliseconds")
        return cyclonedx(
            taken, row.job, row.name, at.replace("+00:00", "Z"), versions()["nightproof"]
        )

    return asyncio.run(look())
