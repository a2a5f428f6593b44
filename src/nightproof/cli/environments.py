"""``nightproof env show`` and ``env diff``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple

from nightproof import app
from nightproof.cli.reading import opened
from nightproof.cli.session import Session, emit, note
from nightproof.cli.table import out, rows
from nightproof.errors import UsageError
from nightproof.provenance.snapshot import (
    IMPORTED,
    Difference,
    Snapshot,
    capture,
    differences,
    request,
)
from nightproof.provenance.snapshot.compare import brief
from nightproof.views import documents, open_run
from nightproof.views.documents import plain
from nightproof.views.environment import DifferenceView, environment, workers
from nightproof.views.notes import Part, SnapshotDigests

HERE = "here"
DIFFERS = 3
"""The exit code where the strict digests differ, or installed files were edited."""
_OF_LOADED_LIBRARIES = ("cpus", "threads/", "numpy/", "torch/")


class Side(NamedTuple):
    """One of two environments; `target` says where the run's job is."""

    name: str
    target: str
    snapshot: Snapshot
    workers: dict[str, SnapshotDigests] = {}  # noqa: RUF012 - nobody changes it
    """The digests of each worker's, where several worked on the run."""


def show(session: Session, run: str | None, verify: bool = False) -> int:
    """Print an environment; with `verify` every installed file is hashed, exit 3 on an edit."""
    if verify and run is not None:
        raise UsageError(
            "--verify hashes the files that are installed here",
            "Give no run; `nightproof env diff RUN here` compares a run's environment with this.",
        )
    side = _here(session, "", verify) if run is None else _recorded(session, run)
    found = side.snapshot
    edits = sorted(item for item in found.strict if item.startswith("edited/")) if verify else []
    if session.json:
        name = None if run is None else side.name
        emit(plain(documents.environment_of(name, found, side.workers)))
        return DIFFERS if edits else 0
    for part, items in _parts(found).items():
        out(f"{part}  {found.digests[part]}")
        for item, value in sorted(items.items()):
            out(f"  {item}  {value}")
    for worker, its in side.workers.items():
        same = "the same" if its.strict == found.digests["strict"] else "another"
        out(f"worker  {worker}: {same}  {its.strict}")
    if verify:
        hashed = found.host["installed/verified"]
        told = f"{len(edits)} edited" if edits else "all as they were installed"
        note(f"{hashed} of installed packages hashed: {told}")
    return DIFFERS if edits else 0


def diff(session: Session, a: str, b: str) -> int:
    """Print what differs; exit 3 where the strict digests do."""
    if a == b == HERE:
        raise UsageError("both sides are this process", "Name at least one run.")
    recorded = {name: _recorded(session, name) for name in (a, b) if name != HERE}
    target = next(iter(recorded.values())).target
    sides = [recorded.get(name) or _here(session, target) for name in (a, b)]
    one, other = sides[0].snapshot, sides[1].snapshot
    live = HERE in (a, b)
    strict = differences(one.strict, other.strict)
    if live and not _file(target):
        note(f"the code of {target or 'the job'} is not here: it is left out")
        strict = [found for found in strict if not found.item.startswith("code/")]
    numeric, host = differences(one.numeric, other.numeric), differences(one.host, other.host)
    if live:
        # This process has loaded none of the job's libraries.
        numeric = [found for found in numeric if not found.item.startswith(_OF_LOADED_LIBRARIES)]
        host = [found for found in host if found.item != IMPORTED]
    parts: dict[Part, list[Difference]] = {"strict": strict, "numeric": numeric, "host": host}
    if session.json:
        items = [DifferenceView(part, *one) for part, its in parts.items() for one in its]
        emit(plain(documents.environment_diff(sides[0].name, sides[1].name, items)))
    else:
        _print(sides, parts)
    return DIFFERS if strict else 0


def _print(sides: list[Side], parts: Mapping[Part, list[Difference]]) -> None:
    body = [
        [part, one.item, brief(one.a), brief(one.b)]
        for part, found in parts.items()
        for one in found
    ]
    if body:
        out("\n".join(rows(["PART", "ITEM", sides[0].name, sides[1].name], body)))
    if not parts["strict"]:
        out("the strict environments are the same")


def _parts(found: Snapshot) -> dict[str, dict[str, str]]:
    return {"strict": found.strict, "numeric": found.numeric, "host": found.host}


def _recorded(session: Session, run: str) -> Side:
    settings = session.settings()

    async def look() -> Side:
        reader = opened(session)
        row = await open_run(reader, run)
        found = await environment(reader, app.open_blobs(settings), row)
        return Side(row.name, row.target, found, await workers(reader, row))

    return asyncio.run(look())


def _here(session: Session, target: str, verify: bool = False) -> Side:
    wanted = request(_file(target), session.settings().variables, ())
    return Side(HERE, target, capture(wanted, verify))


def _file(target: str) -> str:
    """The file of the job of a target; empty where it is not here. Imports nothing."""
    place = target.rpartition(":")[0]
    if not place or place.endswith(".py"):
        return place if place and Path(place).is_file() else ""
    top = place.partition(".")[0]
    spec = PathFinder.find_spec(top, [str(Path.cwd())]) or PathFinder.find_spec(top)
    return spec.origin or "" if spec is not None else ""
