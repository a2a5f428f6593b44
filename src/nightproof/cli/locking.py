"""``nightproof env lock`` and ``env restore``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from nightproof import app
from nightproof.cli.reading import opened
from nightproof.cli.session import Session, emit, note
from nightproof.cli.table import rows
from nightproof.errors import UsageError
from nightproof.provenance.locking.building import build, proved, write
from nightproof.provenance.locking.lockfile import lock_of, read_lock
from nightproof.provenance.locking.wanted import origins, wanted
from nightproof.provenance.snapshot import capture, request
from nightproof.provenance.snapshot.compare import brief
from nightproof.provenance.snapshot.packages import packages
from nightproof.views import open_run
from nightproof.views.environment import environment

DIFFERS = 3
"""The exit code where what was built is not what was locked."""


def lock(session: Session, file: Path, run: str | None, without: Sequence[str]) -> int:
    """Write what is installed here, or was for a run, to a lock file."""
    if run is None:
        strict = capture(request("", ())).strict
        came = origins(packages(sys.path).distributions)
    else:
        strict, came = _recorded(session, run), {}
    unknown = [name for name in without if f"package/{name}" not in strict]
    if unknown:
        raise UsageError(
            f"there is no package {', '.join(unknown)} to leave out",
            "`nightproof env show` lists their names.",
        )
    found = wanted(strict, came, without)
    if not found.requirements:
        raise UsageError("there is no installed package to lock")
    made = lock_of(strict, found.requirements, found.left_out)
    write(file, list(found.requirements.values()), made)
    edits = [item.partition("/")[2] for item in strict if item.startswith("edited/")]
    if session.json:
        emit({
            "file": str(file), "digest": made.digest, "packages": len(made.packages),
            "leftOut": found.left_out, "edited": edits,
        })  # fmt: skip
        return 0
    print(f"{file}: {len(made.packages)} packages, {made.digest}")
    for name, why in found.left_out.items():
        print(f"  left out: {name} ({why})")
    if edits:
        note(f"{len(edits)} installed files were edited; restoring brings back the originals:")
        note("\n".join(f"  {file}" for file in edits[:10]))
    return 0


def restore(session: Session, file: Path, into: Path) -> int:
    """Build the environment of a lock file, and compare it with what was locked."""
    wanted_lock = read_lock(file)
    build(file, wanted_lock, into)
    python = into / "bin" / "python"
    found = proved(wanted_lock, python)
    if session.json:
        emit({
            "into": str(into), "python": str(python), "digest": wanted_lock.digest,
            "proved": not found, "leftOut": wanted_lock.left_out,
            "items": [one._asdict() for one in found],
        })  # fmt: skip
        return DIFFERS if found else 0
    if found:
        body = [[one.item, brief(one.a), brief(one.b)] for one in found]
        print("\n".join(rows(["ITEM", "LOCKED", "BUILT"], body)))
        print(f"{into} is not what was locked")
        return DIFFERS
    print(f"{into}: {len(wanted_lock.packages)} packages, proved {wanted_lock.digest}")
    if wanted_lock.left_out:
        print(f"  not in the lock, install it there yourself: {', '.join(wanted_lock.left_out)}")
    return 0


def _recorded(session: Session, run: str) -> dict[str, str]:
    settings = session.settings()

    async def look() -> dict[str, str]:
        row = await open_run(reader := opened(session), run)
        return (await environment(reader, app.open_blobs(settings), row)).strict

    return asyncio.run(look())
