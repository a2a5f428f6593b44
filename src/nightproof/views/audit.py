"""What people had done to the journal: who, what, when, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from nightproof.errors import NotFound
from nightproof.journal.listing import AuditRow
from nightproof.journal.protocol import Reader
from nightproof.model import clock, identity
from nightproof.model.canonical import sha256_hex
from nightproof.model.identity import ProcessIdentity
from nightproof.views.runs import open_run
from nightproof.views.values import Time, iso

PARKED = 75
"""The exit code of a run that is not at its end, and can go on."""
_MOST = 2000
Act = Literal["resume", "cancel", "replicate", "resolve", "signal", "backfill"]
State = Literal["done", "failed", "under way", "outcome unknown"]


@dataclass(frozen=True, slots=True)
class AuditView:
    """One thing that somebody had done."""

    id: int
    at: Time | None
    who: str
    """``user@host``, or the dashboard and the address of its visitor."""
    act: Act
    run: str
    """The run's name; empty where it was about no single run."""
    command: str
    """What a run was told is not in it: ``-`` stands for that, with its size and digest behind."""
    state: State
    """`outcome unknown` where whoever waited for the command died before it ended."""
    code: int | None
    """The command's exit code; null until it has ended."""
    outcome: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """What people had done, the newest first."""

    acts: list[AuditView]
    next: int | None
    """What to give as `before` for older ones; null at the end."""


async def audits(
    reader: Reader, *, limit: int = 50, before: int | None = None, run: str | None = None
) -> AuditPage:
    """A page of the audit trail; of the run with this whole name, or of all."""
    rows = await reader.audits(limit + 1, before, run)
    shown = rows[:limit]
    more = shown[-1].id if shown and len(rows) > limit else None
    return AuditPage([audit_view(row) for row in shown], more)


async def whose(reader: Reader, name: str) -> str:
    """The whole name of the run that `name` is, or the unique beginning of.

    A run that was removed is meant by its own name, whichever other begins with it.
    """
    if await reader.audits(1, None, name):
        return name
    try:
        return (await open_run(reader, name)).name
    except NotFound:
        return name


async def audit(reader: Reader, number: int) -> AuditView | None:
    """The one with this id."""
    rows = await reader.audits(1, number + 1)
    return audit_view(rows[0]) if rows and rows[0].id == number else None


def audit_view(row: AuditRow) -> AuditView:
    """A row as it is listed."""
    state: State = "done" if row.code in (0, PARKED) else "failed"
    outcome = row.outcome
    if row.code is None:
        state = "outcome unknown" if _gone(row.outcome) else "under way"
        outcome = ""
    return AuditView(
        row.id,
        iso(row.at),
        row.who,
        cast("Act", row.act),
        row.run,
        row.command,
        state,
        row.code,
        outcome,
    )


def intent(who: str, act: str, run: str, command: str, given: bytes | None = None) -> AuditRow:
    """What is written before the act, by the process that will wait for its end.

    Of what the command is `given` on its standard input there is only the digest: the trail is
    kept when the run, which has the whole of it, is removed.
    """
    command = command[:_MOST]
    if given is not None:
        command += f"  # {len(given):,} bytes, sha256:{sha256_hex(given)}"
    here = identity.here()
    waiting = f"{here.host} {here.pid} {here.started}"
    return AuditRow(
        0, clock.now_ms(), who[:_MOST], act, run, command, outcome=waiting
    )  # fmt: skip


def _gone(waiting: str) -> bool:
    """Whether the process that was to write the outcome is certainly no more."""
    try:
        host, pid, started = waiting.rsplit(" ", 2)
        return identity.is_dead(ProcessIdentity(host, int(pid), int(started)))
    except ValueError:
        return True
