"""``nightproof verify``: an artifact against its manifest, a run against its journal."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from nightproof import app, views
from nightproof.cli.session import Session, emit
from nightproof.cli.table import out, painted
from nightproof.errors import NotFound
from nightproof.provenance import signing
from nightproof.views import verdicts
from nightproof.views.documents import plain
from nightproof.views.verdicts import Verdict

MISMATCH = 3


def verify(session: Session, target: str, key: Path | None) -> int:
    """``nightproof verify FILE|RUN``: 0 as it should be, 3 where something differs."""
    verifier = None if key is None else signing.verifier(key)
    path = Path(target)
    run = None
    if os.path.exists(target):  # a name that is too long is no file either
        found = [verdicts.of_file(path, verifier)]
    elif "/" in target or path.suffix.strip(".0123456789"):  # work-3f0c.2 is a replicate
        raise NotFound(f"there is no file {target}", "Give an artifact, its manifest, or a run.")
    else:
        run, found = asyncio.run(_run(session, target, verifier))
    document = verdicts.verification(target, run, found)
    if session.json:
        emit(plain(document))
    else:
        for verdict in found:
            out("\n".join(_lines(verdict)))
        if not found:
            out(f"{run} delivered no artifact: there is nothing to verify")
    return 0 if document.ok else MISMATCH


def _lines(verdict: Verdict) -> list[str]:
    """A verdict for people."""
    if verdict.problems:
        told = [f"{painted('problem', 'differs')}  {verdict.path}"]
        for problem in verdict.problems:
            where = f"{problem.where}: " if problem.where else ""
            told.append(f"  {where}{problem.message}")
        return told
    told = [f"{painted('ok')}  {verdict.path}"]
    checked = verdict.checked
    if checked is None:
        told.append("  no manifest was written: only the journal's digest was checked")
    elif checked.signature == "verified":
        told.append(f"  signed by key {checked.keyid}")
    elif checked.signature == "unchecked":
        told.append(f"  signed by key {checked.keyid}, not checked: give --key PUB")
    else:
        told.append("  not signed: this shows damage, not forgery")
    seen = verdict.witness()
    if seen and seen.undeclared:
        told.append(f"  the run read {seen.undeclared} things that nothing declares")
    return told


async def _run(
    session: Session, name: str, verifier: signing.Verifier | None
) -> tuple[str, list[Verdict]]:
    """Check every artifact of a run, and what the journal says of each."""
    try:
        settings = session.settings()
        reader = app.open_reader(settings)
    except NotFound as error:
        raise NotFound(f"'{name}' is no file, and {error.message}", error.hint) from error
    row = await views.open_run(reader, name)
    verdicts.ended(row)
    return row.name, await verdicts.of_run(reader, app.open_blobs(settings), row, verifier)
