"""``nightproof reproduce`` and ``budget``: replicates, and what they prove."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nightproof import app
from nightproof.cli.drifting import DRIFT, declared
from nightproof.cli.reading import opened, plain
from nightproof.cli.session import Session, emit, note
from nightproof.cli.signals import TEMPFAIL
from nightproof.cli.table import rows as table
from nightproof.drift.compare import compare
from nightproof.errors import NightproofError, NotFound, UsageError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunFilter, RunRow
from nightproof.model.states import RunStatus
from nightproof.views import open_run
from nightproof.views.drift import Agreement, Budget, Compared, agreement, compared
from nightproof.views.drift import budget as budget_of

_ENDED = (RunStatus.COMPLETED, RunStatus.FAILED)


def reproduce(session: Session, name: str, times: int) -> int:
    """Make replicates of a run and compare each with it."""
    settings = session.settings()
    blobs = app.open_blobs(settings)
    reader = opened(session)
    row = asyncio.run(open_run(reader, name))
    _ready(row)
    rules = asyncio.run(declared(reader, row))
    found: list[Compared] = []
    unfinished: list[str] = []
    for number in range(1, times + 1):
        made = asyncio.run(open_run(reader, replicate(row, settings.store)))
        if made.digest != row.digest:
            raise UsageError(
                f"the class of the contract of {row.name} has changed: its replicate got another "
                "digest",
                "Restore the class, or reproduce a newer run.",
            )
        if made.status not in _ENDED:
            unfinished.append(made.name)
            note(f"{number}/{times}  {made.name}  {made.status}: it is not compared")
            continue
        one = compared(asyncio.run(compare(reader, blobs, row, made, rules)))
        found.append(one)
        note(f"{number}/{times}  {one.run}  {_words(one)}")
    extra = {"run": row.name, "contract": row.digest, "unfinished": unfinished}
    _report(session, row.job, extra, found, [one.name for one in rules])
    if any(not one.equal for one in found):
        return DRIFT
    return TEMPFAIL if unfinished else 0


def _ready(row: RunRow) -> None:
    if row.status not in _ENDED:
        raise UsageError(
            f"run {row.name} is {row.status}: there is no result to reproduce",
            f"Let it come to its end first: nightproof resume {row.name}",
        )
    if not row.target:
        raise UsageError(
            f"run {row.name} does not say where its job is",
            "It was started from Python; make replicates there: job.run(..., replicate=True).",
        )


def replicate(row: RunRow, store: str) -> str:
    """Make one replicate in a process of its own; its name.

    Raises NightproofError with what that process said where it made none.
    """
    import subprocess

    command = [sys.executable, "-m", "nightproof", "run", row.target, "-", "--replicate", "--json"]
    # The folder decides where relative datasets lie; the journal is this one wherever it is.
    folder = json.loads(row.options or b"{}").get("folder") if b'"file:' in row.contract else None
    url = store
    if store.startswith("sqlite:///"):
        url = f"sqlite:///{Path(app.places(store).journal).absolute()}"
    ran = subprocess.run(
        [*command, "--store", url],
        input=row.contract,
        capture_output=True,
        check=False,
        cwd=folder if folder and Path(folder).is_dir() else None,
        env={**os.environ, "NIGHTPROOF_DEBUG": ""},
    )
    try:
        told = json.loads(ran.stdout)
    except ValueError:
        told = {}
    if told.get("run"):
        return str(told["run"])
    error = told.get("error") or {}
    last = ran.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
    message = error.get("message") or (last[0] if last else f"exit code {ran.returncode}")
    failure = UsageError if ran.returncode == UsageError.exit_code else NightproofError
    raise failure(f"no replicate of {row.name} can be run: {message}", error.get("hint", ""))


def budget(session: Session, job: str, latest: bool) -> int:
    """Compare all replicates on record of a job."""
    blobs = app.open_blobs(session.settings())

    async def look() -> tuple[Budget, list[str]]:
        reader = opened(session)
        rows = await _rows(reader, job)
        rules = await declared(reader, rows[0])
        found = await budget_of(reader, blobs, rows, rules, latest)
        return found, [one.name for one in rules]

    found, rules = asyncio.run(look())
    extra = {
        "contracts": found.contracts,
        "scope": "latest contract" if latest else "all contracts",
        "leftOut": plain(found.left_out),
    }
    _report(session, job, extra, found.replicates, rules)
    return DRIFT if any(not one.equal for one in found.replicates) else 0


async def _rows(reader: Reader, job: str) -> list[RunRow]:
    rows = await reader.runs(RunFilter(job=job, status=_ENDED, limit=-1))
    if not rows:
        raise NotFound(
            f"no run of a job '{job}' has come to its end in {reader.url}",
            "`nightproof runs` lists the runs.",
        )
    return rows


def _report(
    session: Session,
    job: str,
    extra: dict[str, Any],
    found: Sequence[Compared],
    rules: list[str],
) -> None:
    raw = agreement(sum(not one.equal_raw for one in found), len(found))
    real = agreement(sum(not one.equal for one in found), len(found))
    if session.json:
        agreed = {"raw": plain(raw), "normalised": plain(real)}
        document = {"job": job, **extra, "normalisers": rules}
        emit({**document, "replicates": plain(list(found)), "agreement": agreed})
        return
    print("\n".join(_told(job, extra, found, rules, (raw, real))))


def _told(
    job: str,
    extra: dict[str, Any],
    found: Sequence[Compared],
    rules: list[str],
    agreed: tuple[Agreement, Agreement],
) -> list[str]:
    scope = extra.get("scope")
    head = f"{scope} of job '{job}'" if scope else str(extra["run"])
    lines = [f"{head}: {len(found)} replicate{'s' if len(found) != 1 else ''} compared"]
    lines += [f"  {one.run}  {_words(one)}" for one in found if not one.equal_raw][:20]
    body = [
        [
            label,
            f"{one.equal} of {one.of}",
            f"{one.upper_bound:.2%}",
            str(one.needed) if one.needed else "-",
        ]
        for label, one in zip(("raw", "normalised"), agreed, strict=True)
    ]
    head_row = [
        "",
        "SAME",
        "DRIFT RATE, 95 % BOUND",
        "REPLICATES TO UNDER 1 %, IF ALL ARE THE SAME",
    ]
    lines += ["", *table(head_row, body), ""]
    lines.append(f"normalised by: {', '.join(rules) or 'nothing is declared'}")
    if any(one.other_code for one in found):
        lines.append("the code has changed since the run: that may be what differs")
    if extra.get("leftOut"):
        lines.append(f"{len(extra['leftOut'])} replicates of other code are left out")
    if extra.get("unfinished"):
        lines.append(f"not come to their end: {', '.join(extra['unfinished'])}")
    return lines


def _words(one: Compared) -> str:
    if one.equal_raw:
        return "the same"
    if one.equal:
        return f"the same after normalising; raw, {one.first} differs"
    return f"differs first in {one.first}"
