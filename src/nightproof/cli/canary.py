"""``nightproof canary``: one replicate a night of each configured job, compared."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from nightproof import app
from nightproof.cli import signals
from nightproof.cli.drifting import DRIFT, declared
from nightproof.cli.reading import opened
from nightproof.cli.replicating import another, unfinished
from nightproof.cli.reproducing import words
from nightproof.cli.session import Session, complain, emit, note
from nightproof.cli.table import out, painted
from nightproof.config import Settings, redacted
from nightproof.drift.compare import compare
from nightproof.errors import ConfigError, Interrupted, NightproofError, NotFound
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunFilter, RunRow
from nightproof.model import clock
from nightproof.model.states import RunStatus
from nightproof.views.documents import plain
from nightproof.views.drift import Compared, compared
from nightproof.views.values import duration

_PAGE = 200
_LONGEST_SLEEP = 30.0
"""So many seconds are slept at once: a machine that was suspended notices the time."""
EVENT = "canary"
"""The kind of the remark that a compared replicate gets."""


class Canary(NamedTuple):
    """One job's replicate of tonight; `result` is None where it has not come to its end."""

    job: str
    at: datetime
    of: str = ""
    run: str = ""
    status: str = ""
    result: Compared | None = None
    error: NightproofError | None = None

    def document(self) -> dict[str, Any]:
        """Its part of the JSON document."""
        error = self.error
        return {
            "job": self.job,
            "at": self.at.isoformat(timespec="seconds"),
            "of": self.of or None,
            "run": self.run or None,
            "status": self.status or None,
            "result": plain(self.result),
            "error": {"message": error.message, "hint": error.hint} if error else None,
        }


def canary(session: Session, at_once: bool) -> int:
    """Make one replicate of each configured job's newest completed contract, and compare.

    Each begins at its minute, or all now. Exit 3 where one differs, else 1 or 2 where one
    could not be made, else 75 where one has not come to its end.
    """
    settings = session.settings()
    jobs = list(dict.fromkeys(settings.canary))
    if not jobs:
        raise ConfigError(
            "no job is configured for the canary",
            'Write canary = ["job"] into nightproof.toml, with the names of jobs.',
        )
    begun = clock.now().astimezone()
    hours = 0.0 if at_once else settings.canary_hours
    plan = schedule(jobs, begun, hours)
    if not at_once:
        for name, at in plan:
            note(f"{at:%H:%M}  {name}  (in {duration((at - begun).total_seconds())})")
    signals.before_the_run()
    found: list[Canary] = []
    stopped = False
    try:
        for one in _each(session, settings, plan):
            found.append(one)
            if not session.json:
                out(_line(one), flush=True)
    except (Interrupted, KeyboardInterrupt):
        stopped = True
        complain(Interrupted("interrupted", "`nightproof canary --now` goes on."))
    if session.json:
        emit(plain({"night": f"{begun:%Y-%m-%d}", "canaries": [one.document() for one in found]}))
    return signals.TEMPFAIL if stopped and _code(found) == 0 else _code(found)


def schedule(jobs: Sequence[str], begun: datetime, hours: float) -> list[tuple[str, datetime]]:
    """When each job's replicate begins, the earliest first.

    The minute follows from the job and the date, so that a night can be looked up, and
    differs from night to night: what depends on the time of day shows in the end.
    """
    planned = [(job, begun + timedelta(minutes=minute(job, begun.date(), hours))) for job in jobs]
    return sorted(planned, key=lambda one: one[1])


def minute(job: str, night: date, hours: float) -> int:
    """How many minutes after the start of the canary a job's replicate begins."""
    drawn = sha256(f"{job}\n{night.isoformat()}".encode()).digest()
    return int.from_bytes(drawn[:8], "big") % max(1, round(hours * 60))


def _each(
    session: Session, settings: Settings, plan: Sequence[tuple[str, datetime]]
) -> Iterator[Canary]:
    """One after the other; what one of them raises does not hold up the rest."""
    for job, at in plan:
        while (left := (at - clock.now()).total_seconds()) > 0:
            clock.block(min(left, _LONGEST_SLEEP))
        one = Canary(job, clock.now().astimezone())
        try:
            one = _compared(session, settings, one)
        except Interrupted:
            raise
        except NightproofError as error:
            complain(error)
            one = one._replace(error=error)
        yield one


def _compared(session: Session, settings: Settings, one: Canary) -> Canary:
    reader = opened(session)
    row = asyncio.run(_newest(reader, one.job))
    left = asyncio.run(unfinished(reader, row, settings))
    made = another(reader, row, settings, left)
    one = one._replace(of=row.name, run=made.name, status=str(made.status))
    if made.status not in (RunStatus.COMPLETED, RunStatus.FAILED):
        return one

    async def look() -> Compared:
        rules = await declared(reader, row)
        return compared(await compare(reader, app.open_blobs(settings), row, made, rules))

    result = asyncio.run(look())
    asyncio.run(_remember(settings, row, made, result))
    return one._replace(result=result)


async def _newest(reader: Reader, job: str) -> RunRow:
    """The newest completed run of a job that is no replicate and no child of another."""
    for limit in (_PAGE, -1):
        rows = await reader.runs(RunFilter(job=job, status=(RunStatus.COMPLETED,), limit=limit))
        for row in rows:
            if not row.replicate and row.parent is None and row.target:
                return row
        if len(rows) < _PAGE:
            break
    raise NotFound(
        f"no run of a job '{job}' has completed in {redacted(reader.url)}: there is nothing to repeat",
        "Correct `canary` in the settings, or run the job: `nightproof runs` lists the runs.",
    )


async def _remember(settings: Settings, row: RunRow, made: RunRow, result: Compared) -> None:
    """Leave the outcome with the replicate, for `logs`."""
    told = {
        "kind": EVENT,
        "with": row.name,
        "equal": result.equal,
        "equalRaw": result.equal_raw,
        "message": f"canary of {row.name}: {words(result)}",
    }
    journal = app.open_journal(settings)
    try:
        await journal.annotate(made.id, json.dumps(told).encode())
    finally:
        await journal.close()


def _line(one: Canary) -> str:
    if one.error is not None:
        return f"{painted('problem', one.job)}  {one.error.message}"
    if one.result is None:
        return f"{painted('look', one.job)}  {one.run} is {one.status}: it is not compared"
    kind = "ok" if one.result.equal else "problem"
    line = f"{painted(kind, one.job)}  {one.run}  {words(one.result)}"
    if one.result.equal:
        return line
    changed = "; its code has changed since" if one.result.other_code else ""
    return f"{line}{changed}\n  nightproof diff {one.of} {one.run}"


def _code(found: Sequence[Canary]) -> int:
    if any(one.result is not None and not one.result.equal for one in found):
        return DRIFT
    codes = {one.error.exit_code for one in found if one.error is not None}
    if codes:
        return next((code for code in (1, 2) if code in codes), max(codes))
    return signals.TEMPFAIL if any(one.result is None for one in found) else 0
