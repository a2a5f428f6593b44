"""``nightproof reproduce`` and ``budget``: replicates, and what they prove."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from nightproof import app
from nightproof.cli import signals
from nightproof.cli.drifting import DRIFT, declared
from nightproof.cli.reading import opened
from nightproof.cli.replicating import another, unfinished
from nightproof.cli.session import Session, complain, emit, note
from nightproof.cli.table import out
from nightproof.cli.table import rows as table
from nightproof.drift.compare import compare
from nightproof.errors import Interrupted, UsageError
from nightproof.journal.records import RunRow
from nightproof.views import open_run
from nightproof.views.budgets import ENDED, Agreements, agreements, document, ended
from nightproof.views.documents import plain
from nightproof.views.drift import Budget, Compared, compared
from nightproof.views.drift import budget as budget_of


def reproduce(session: Session, name: str, times: int) -> int:
    """Make replicates of a run and compare each with it.

    Replicates that have not come to their end are gone on with before new ones are made.
    """
    settings = session.settings()
    blobs = app.open_blobs(settings)
    reader = opened(session)
    row = asyncio.run(open_run(reader, name))
    _ready(row)
    rules = asyncio.run(declared(reader, row))
    found: list[Compared] = []
    open_ones: list[str] = []
    stopped = False
    signals.before_the_run()
    left = asyncio.run(unfinished(reader, row, settings))
    for number in range(1, times + 1):
        try:
            made = another(reader, row, settings, left)
        except Interrupted as error:
            complain(error)
            stopped = True
            break
        if made.status not in ENDED:
            open_ones.append(made.name)
            note(f"{number}/{times}  {made.name}  {made.status}: it is not compared")
            continue
        one = compared(asyncio.run(compare(reader, blobs, row, made, rules)))
        found.append(one)
        note(f"{number}/{times}  {one.run}  {words(one)}")
    extra = {"run": row.name, "contract": row.digest, "unfinished": open_ones}
    _report(session, row.job, extra, found, [one.name for one in rules])
    if any(not one.equal for one in found):
        return DRIFT
    return signals.TEMPFAIL if open_ones or stopped else 0


def _ready(row: RunRow) -> None:
    if row.status not in ENDED:
        raise UsageError(
            f"run {row.name} is {row.status}: there is no result to reproduce",
            f"Let it come to its end first: nightproof resume {row.name}",
        )
    if not row.target:
        raise UsageError(
            f"run {row.name} does not say where its job is",
            "It was started from Python; make replicates there: job.run(..., replicate=True).",
        )


def budget(session: Session, job: str, latest: bool) -> int:
    """Compare all replicates on record of a job."""
    blobs = app.open_blobs(session.settings())

    async def look() -> tuple[Budget, list[str]]:
        reader = opened(session)
        rows = await ended(reader, job)
        rules = await declared(reader, rows[0])
        found = await budget_of(reader, blobs, rows, rules, latest)
        return found, [one.name for one in rules]

    found, rules = asyncio.run(look())
    made = document(found, rules, latest)
    if session.json:
        emit(plain(made))
    else:
        extra = {"scope": made.scope, "leftOut": made.left_out}
        out("\n".join(_told(job, extra, made.replicates, rules, made.agreement)))
    return DRIFT if any(not one.equal for one in found.replicates) else 0


def _report(
    session: Session,
    job: str,
    extra: dict[str, Any],
    found: Sequence[Compared],
    rules: list[str],
) -> None:
    agreed = agreements(found)
    if session.json:
        told = {"job": job, **extra, "normalisers": rules}
        emit({**told, "replicates": plain(list(found)), "agreement": plain(agreed)})
        return
    out("\n".join(_told(job, extra, found, rules, agreed)))


def _told(
    job: str,
    extra: dict[str, Any],
    found: Sequence[Compared],
    rules: list[str],
    agreed: Agreements,
) -> list[str]:
    scope = extra.get("scope")
    head = f"{scope} of job '{job}'" if scope else str(extra["run"])
    lines = [f"{head}: {len(found)} replicate{'s' if len(found) != 1 else ''} compared"]
    lines += [f"  {one.run}  {words(one)}" for one in found if not one.equal_raw][:20]
    body = [
        [
            label,
            f"{one.equal} of {one.of}",
            f"{one.upper_bound:.2%}",
            str(one.needed) if one.needed else "-",
        ]
        for label, one in (("raw", agreed.raw), ("normalised", agreed.normalised))
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


def words(one: Compared) -> str:
    """A comparison in a few words."""
    if one.equal_raw:
        return "the same"
    if one.equal:
        return f"the same after normalising; raw, {one.first} differs"
    return f"differs first in {one.first}"
