"""What is read of a journal to show it: the statements of a reader."""

from __future__ import annotations

from typing import Any, Final

from nightproof.journal.counting import Counts
from nightproof.journal.incidents import Checkpoint, IncidentRow
from nightproof.journal.listing import (
    QUARTER_MS,
    AuditRow,
    JobRow,
    RunGroup,
    plain_digest,
    searched,
)
from nightproof.journal.quotas import LONGEST_MS, QuotaRow, QuotaUse, QuotaWait
from nightproof.journal.records import Entry, RunFilter, RunRow
from nightproof.journal.schedules import FireRow, ScheduleRow
from nightproof.journal.tables import ENTRY_COLUMNS, Tables
from nightproof.model.states import Kind, RunStatus

_OPEN = frozenset({RunStatus.RUNNING, RunStatus.PARKED})
_OUTCOMES = (
    Kind.RESULT, Kind.FAILURE, Kind.VALUE, Kind.ARTIFACT, Kind.UNDONE, Kind.CHILD, Kind.EFFECT,
    Kind.SIGNAL,
)  # fmt: skip
# Word for word what the partial indexes say: otherwise they are not used.
_IS_OPEN = "status IN ('running', 'parked')"
_OWN = "parent IS NULL AND replicate = 0"
_AGAIN = "parent IS NULL AND replicate <> 0"
AUDIT_COLUMNS: Final = "id, at, who, act, run, command, code, outcome"
INCIDENT_COLUMNS: Final = "key, kind, job, run, opened, cleared, notified, note"
SCHEDULE_COLUMNS: Final = "name, job, target, spec, since, seen"
FIRES: Final = (
    "SELECT schedule, at, run, contract, "
    "contract IS NULL OR EXISTS (SELECT 1 FROM run WHERE run.name = fire.run) "
    "FROM fire WHERE schedule = ? AND at >= ? AND at <= ? ORDER BY at"
)


class Where:
    """Conditions with their values."""

    def __init__(self) -> None:
        self.clauses = ["1 = 1"]
        self.values: list[Any] = []

    def add(self, clause: str, *values: Any) -> None:
        """Each ``?`` in the clause is the next value."""
        self.clauses.append(clause)
        self.values += values

    @property
    def sql(self) -> str:
        """All of them."""
        return " AND ".join(self.clauses)


async def runs(reader: Tables, want: RunFilter) -> list[RunRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    where = Where()
    index = ""
    if want.own:
        where.add(_OWN)
        index = "run_own" if want.since is None else "run_night"
    if want.again:
        where.add(_AGAIN)
        index = "run_again"
    if want.status:
        clause, values = reader.among("status", [str(status) for status in want.status])
        where.add(clause, *values)
        if _OPEN.issuperset(want.status):
            where.add(_IS_OPEN)
            index = "run_open"
    for column, compared, value in (
        ("job", "=", want.job), ("parent", "=", want.parent), ("finished", "<", want.finished_before),
        ("created", ">=", want.since), ("created", "<", want.until), ("id", "<", want.before),
        ("digest", "=", want.digest),
    ):  # fmt: skip
        if value is not None:
            where.add(f"{column} {compared} ?", value)
    if want.text:
        plain, escaped = searched(want.text)
        name, contract = reader.within_text.format("name"), reader.within_bytes.format("contract")
        where.add(f"({name} OR {contract} OR {contract})", plain, _bytes(plain), _bytes(escaped))
    if want.job is not None or want.parent is not None:
        index = ""  # what the planner chooses is as good
    columns = reader.run_columns
    if want.brief:
        columns = columns.replace(" contract,", " NULL,").replace(" result,", " NULL,")
    rows = await reader.rows(
        f"SELECT {columns} FROM run {reader.hint(index) if index else ''}WHERE {where.sql} "
        "ORDER BY id DESC LIMIT ?",
        *where.values,
        reader.limit(want.limit),
    )
    found = [reader.run_row(row) for row in rows]
    return [row._replace(contract=b"") for row in found] if want.brief else found


async def jobs(reader: Tables) -> list[JobRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    rows = await reader.rows(
        f"SELECT job, count(*), max(created) FROM run {reader.hint('run_night')}WHERE {_OWN} "
        "GROUP BY job ORDER BY job"
    )
    return [JobRow(*row) for row in rows]


async def groups(reader: Tables, since: int) -> list[RunGroup]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    rows = await reader.rows(
        "SELECT found.job, quarter, found.status, many, run.name FROM ("
        f"SELECT job, created / {QUARTER_MS} AS quarter, status, count(*) AS many, "
        f"max(id) AS latest FROM run WHERE {_OWN} AND created >= ? "
        "GROUP BY job, quarter, status) AS found JOIN run ON run.id = latest "
        "ORDER BY found.job, quarter, found.status",
        since,
    )
    return [RunGroup(row[0], row[1], RunStatus(row[2]), row[3], row[4]) for row in rows]


def counts(reader: Tables) -> Counts:
    """What the reader has counted so far."""
    found = reader.counted
    if not isinstance(found, Counts):
        found = reader.counted = Counts()
    return found


async def delivered(reader: Tables, digest: str, limit: int) -> list[Entry]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    rows = await reader.rows(
        f"SELECT {ENTRY_COLUMNS} FROM entry WHERE kind = {int(Kind.ARTIFACT)} "
        f"AND {reader.artifact_digest} = ? ORDER BY at DESC, run DESC, seq DESC LIMIT ?",
        _bytes(plain_digest(digest)),
        reader.limit(limit),
    )
    return [Entry(*row) for row in rows]


async def audits(reader: Tables, limit: int, before: int | None, run: str | None) -> list[AuditRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    if not await reader.has("audit"):
        return []
    where = Where()
    if before is not None:
        where.add("id < ?", before)
    if run is not None:
        where.add("run = ?", run)
    rows = await reader.rows(
        f"SELECT {AUDIT_COLUMNS} FROM audit WHERE {where.sql} ORDER BY id DESC LIMIT ?",
        *where.values,
        reader.limit(limit),
    )
    return [AuditRow(*row) for row in rows]


async def incidents(reader: Tables, since: int | None) -> list[IncidentRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    if not await reader.has("incident"):
        return []
    rows = await reader.rows(
        f"SELECT {INCIDENT_COLUMNS} FROM incident WHERE cleared IS NULL OR cleared >= ? "
        "ORDER BY opened DESC, key",
        since or 0,
    )
    return [IncidentRow(*row) for row in rows]


async def checkpoint(reader: Tables, run: int) -> Checkpoint | None:
    """See :class:`nightproof.journal.protocol.Reader`."""
    rows = await reader.rows(
        "SELECT seq, at, kind, code FROM entry WHERE run = ? AND "
        f"kind IN ({', '.join(str(int(kind)) for kind in _OUTCOMES)}) ORDER BY seq DESC LIMIT 1",
        run,
    )
    return Checkpoint(*rows[0]) if rows else None


async def quotas(reader: Tables, now: int) -> list[QuotaRow]:
    """See :class:`nightproof.journal.quotas.QuotaReader`."""
    if not await reader.has("quota"):
        return []
    known = await reader.rows("SELECT name, spec, parked, reason FROM quota ORDER BY name")
    uses = await reader.rows(
        "SELECT quota, what, sharer, sum(n), min(until) FROM quota_use WHERE until > ? "
        "GROUP BY quota, what, sharer ORDER BY quota, what, sharer",
        now,
    )
    waits = await reader.rows(
        "SELECT quota, run, since, until FROM quota_wait WHERE until > ? ORDER BY quota, run", now
    )
    found = []
    for name, spec, parked, reason in known:
        still = now < parked <= now + LONGEST_MS
        found.append(
            QuotaRow(
                name, spec, parked if still else 0, reason if still else "",
                tuple(QuotaUse(*row[1:]) for row in uses if row[0] == name),
                tuple(QuotaWait(*row[1:]) for row in waits if row[0] == name),
            )
        )  # fmt: skip
    return found


async def schedules(reader: Tables) -> list[ScheduleRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    if not await reader.has("schedule"):
        return []
    rows = await reader.rows(f"SELECT {SCHEDULE_COLUMNS} FROM schedule ORDER BY name")
    return [ScheduleRow(*row) for row in rows]


async def fires(reader: Tables, schedule: str, first: int, last: int) -> list[FireRow]:
    """See :class:`nightproof.journal.protocol.Reader`."""
    if not await reader.has("fire"):
        return []
    return [fire_row(row) for row in await reader.rows(FIRES, schedule, first, last)]


def fire_row(row: tuple[Any, ...]) -> FireRow:
    """A row of FIRES as a record."""
    return FireRow(row[0], row[1], row[2], row[3], bool(row[4]))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
