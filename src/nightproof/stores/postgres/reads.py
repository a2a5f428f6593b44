"""The read side of the Postgres journal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from nightproof.errors import NotFound
from nightproof.journal.quotas import QuotaRow
from nightproof.journal.records import (
    AttemptRow,
    Boot,
    CodeRow,
    EffectRow,
    Entry,
    Recorded,
    RunFilter,
    RunRow,
    SignalRow,
    checksum,
    intact,
)
from nightproof.model import clock
from nightproof.model.identity import ProcessIdentity
from nightproof.model.states import EffectState, Kind, RunStatus
from nightproof.stores.postgres import incidents, listing, quotas, schedules
from nightproof.stores.postgres.link import ANEW
from nightproof.stores.postgres.schema import EFFECT_COLUMNS, ENTRY_COLUMNS, RUN_COLUMNS
from nightproof.stores.postgres.session import Session
from nightproof.stores.postgres.values import Row

if TYPE_CHECKING:
    from nightproof.journal.incidents import Checkpoint, IncidentRow
    from nightproof.journal.listing import AuditRow, EffectFilter, JobRow, RunGroup, SpanRow
    from nightproof.journal.schedules import FireRow, ScheduleRow

REPLAYABLE: Final = [
    int(kind)
    for kind in (
        Kind.RESULT, Kind.FAILURE, Kind.VALUE, Kind.WAIT, Kind.ARTIFACT, Kind.UNDONE, Kind.CHILD,
        Kind.EFFECT, Kind.SIGNAL, Kind.REOPENED,
    )
]  # fmt: skip
PAGE: Final = 20_000
"""So many entries are read at a time."""
FIND_OUTCOMES = (
    f"{ANEW}SELECT " + ", ".join(f"entry.{name}" for name in ENTRY_COLUMNS.split(", ")) + " "
    "FROM outcome JOIN entry USING (run, seq) WHERE outcome.run = $1 "
    "AND outcome.fp = ANY($2::bytea[])"
)


def run_row(row: Row) -> RunRow:
    """A row of RUN_COLUMNS as a record.

    What is left of a lease by the database's clock is put on this machine's.
    """
    owner = ProcessIdentity(row[20], row[21], row[22]) if row[20] is not None else None
    lease = 0 if row[24] is None else clock.now_ms() + row[24]
    fields: list[Any] = [
        *row[:10], RunStatus(row[10]), *row[11:20], owner, row[23], lease, row[25], *row[26:28],
    ]  # fmt: skip
    return RunRow(*fields)


def effect_row(row: Row) -> EffectRow:
    """A row of EFFECT_COLUMNS as a record."""
    return EffectRow(row[0], row[1], row[2], EffectState(row[3]), *row[4:])


class PostgresReader:
    """Reads a journal; every method is one or two statements."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.url = session.target.url
        self._rows = session.rows

    async def present(self) -> None:
        """See :class:`nightproof.journal.protocol.Reader`: a server says so itself."""

    async def find(self, name: str) -> RunRow | None:
        """See :class:`nightproof.journal.protocol.Reader`."""
        rows = await self._rows(f"SELECT {RUN_COLUMNS} FROM run WHERE name = $1", name)
        if not rows and name:
            rows = await self._rows(
                f"SELECT {RUN_COLUMNS} FROM run WHERE name >= $1 AND starts_with(name, $1) "
                "AND ($2::text IS NULL OR name < $2) ORDER BY id DESC LIMIT 6",
                name,
                _behind(name),
            )
            if len(rows) > 1:
                raise NotFound(
                    f"'{name}' is the beginning of several runs: "
                    + ", ".join(row[1] for row in rows),
                    "Give more of the name.",
                )
        return run_row(rows[0]) if rows else None

    async def run(self, run: int) -> RunRow:
        """See :class:`nightproof.journal.protocol.Reader`."""
        rows = await self._rows(f"SELECT {RUN_COLUMNS} FROM run WHERE id = $1", run)
        if not rows:
            raise NotFound(
                f"run number {run} is not in the journal any more", "It was removed by retention."
            )
        return run_row(rows[0])

    async def runs(self, want: RunFilter) -> list[RunRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        return [run_row(row) for row in await listing.runs(self._session, want)]

    async def jobs(self) -> list[JobRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        return await listing.jobs(self._session)

    async def groups(self, since: int) -> list[RunGroup]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        return await listing.groups(self._session, since)

    async def entries(
        self,
        run: int,
        kinds: Sequence[int] = (),
        after: int = -1,
        limit: int = -1,
        *,
        codes: Sequence[int] = (),
        text: bytes = b"",
        before: int | None = None,
        newest: bool = False,
        skip: int = 0,
    ) -> list[Entry]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        only, values = listing.entries(kinds, codes, text)
        found: list[Entry] = []
        while limit < 0 or len(found) < limit:
            page = PAGE if limit < 0 else min(PAGE, limit - len(found))
            rows = await self._rows(
                f"SELECT {ENTRY_COLUMNS} FROM entry WHERE run = $1 AND seq > $2 "
                f"AND seq < coalesce($3::bigint, {1 << 31}) {only}"
                f"ORDER BY seq {'DESC ' if newest else ''}LIMIT $4::bigint OFFSET $5::bigint",
                run, after, before, page, skip, *values,
            )  # fmt: skip
            found.extend(Entry(*row) for row in rows)
            if len(rows) < page:
                break
            skip = 0
            if newest:
                before = found[-1].seq
            else:
                after = found[-1].seq
        return found[::-1] if newest else found

    async def spans(self, run: int, bounds: Sequence[int] = ()) -> list[SpanRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        return await listing.spans(self._session, run, bounds)

    async def states(self, run: int, codes: Sequence[int], reopened: int = -1) -> str:
        """See :class:`nightproof.journal.protocol.Reader`."""
        return await listing.states(self._session, run, codes, reopened)

    async def ledger(self, want: EffectFilter) -> list[EffectRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        return [effect_row(row) for row in await listing.ledger(self._session, want)]

    async def delivered(self, digest: str, limit: int = 50) -> list[Entry]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        return await listing.delivered(self._session, digest, limit)

    async def audits(
        self, limit: int = 50, before: int | None = None, run: str | None = None
    ) -> list[AuditRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        return await listing.audits(self._session, limit, before, run)

    async def tally(self, run: int) -> list[tuple[int, int, int]]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        rows = await self._rows(
            "SELECT kind, code, count(*) FROM entry WHERE run = $1 GROUP BY kind, code "
            "ORDER BY kind, code",
            run,
        )
        return [(row[0], row[1], row[2]) for row in rows]

    async def codes(self, ids: Iterable[int]) -> dict[int, CodeRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        wanted = sorted(set(ids))
        if not wanted:
            return {}
        rows = await self._rows(
            "SELECT id, name, digest FROM code WHERE id = ANY($1::bigint[])", wanted
        )
        return {row[0]: CodeRow(*row) for row in rows}

    async def attempts(self, run: int) -> list[AttemptRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        rows = await self._rows(
            "SELECT run, n, boot, started, ended, outcome, host, pid, pid_started "
            "FROM attempt WHERE run = $1 ORDER BY n",
            run,
        )
        return [
            AttemptRow(row[0], row[1], row[2], row[3], row[4], row[5], ProcessIdentity(*row[6:9]))
            for row in rows
        ]

    async def effects(self, run: int | None = None) -> list[EffectRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        rows = await self._rows(
            f"SELECT {EFFECT_COLUMNS} FROM effect WHERE $1::bigint IS NULL OR run = $1 "
            "ORDER BY at, key",
            run,
        )
        return [effect_row(row) for row in rows]

    async def effect(self, key: str) -> EffectRow | None:
        """See :class:`nightproof.journal.protocol.Journal`."""
        rows = await self._rows(f"SELECT {EFFECT_COLUMNS} FROM effect WHERE key = $1", key)
        return effect_row(rows[0]) if rows else None

    async def signals(self, run: int) -> list[SignalRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        rows = await self._rows(
            "SELECT id, run, name, payload, at FROM signal WHERE run = $1 AND NOT taken "
            "ORDER BY id",
            run,
        )
        return [SignalRow(*row) for row in rows]

    async def boots(self, limit: int = 50, idle: bool = False) -> list[Boot]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        only = "WHERE NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.boot = boot.id)"
        rows = await self._rows(
            "SELECT id, at, host, pid, started, command, stage FROM boot "
            f"{only if idle else ''} ORDER BY at DESC LIMIT $1::bigint",
            limit if limit >= 0 else None,
        )
        return [
            Boot(row[0], row[1], ProcessIdentity(row[2], row[3], row[4]), row[5], row[6])
            for row in rows
        ]

    async def index(self, run: int, inline: int) -> tuple[list[Recorded], list[int]]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        found: list[Recorded] = []
        damaged: list[int] = []
        kinds = ", ".join(str(kind) for kind in REPLAYABLE)
        sql = (
            "SELECT seq, kind, code, fp, length(output), "
            "CASE WHEN length(output) <= $1 THEN output END, blob, crc "
            f"FROM entry WHERE run = $2 AND seq > $3 AND kind IN ({kinds}) "
            f"ORDER BY seq LIMIT {PAGE}"
        )
        after = -1
        while True:
            rows = await self._rows(sql, inline, run, after)
            for seq, kind, code, fp, size, output, blob, crc in rows:
                if (output is not None or size is None) and checksum(fp, output, blob) != crc:
                    damaged.append(seq)
                else:
                    found.append(Recorded(seq, kind, code, fp, size or 0, output, blob))
            if len(rows) < PAGE:
                return found, damaged
            after = rows[-1][0]

    async def outputs(self, run: int, seqs: Sequence[int]) -> dict[int, Entry]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        rows = await self._rows(
            f"SELECT {ENTRY_COLUMNS} FROM entry WHERE run = $1 AND seq = ANY($2::integer[])",
            run,
            list(seqs),
        )
        return {row[1]: entry for row in rows if intact(entry := Entry(*row))}

    async def last_seq(self, run: int) -> int:
        """See :class:`nightproof.journal.protocol.Journal`."""
        rows = await self._rows("SELECT max(seq) FROM entry WHERE run = $1", run)
        return -1 if rows[0][0] is None else int(rows[0][0])

    async def recorded(self, run: int, fps: Sequence[bytes]) -> dict[bytes, Entry]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        rows = await self._rows(FIND_OUTCOMES, run, list(fps))
        return {row[4]: entry for row in rows if intact(entry := Entry(*row))}

    async def due(self, now_ms: int) -> list[RunRow]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        rows = await self._rows(
            f"SELECT {RUN_COLUMNS} FROM run WHERE parent IS NULL "
            "AND status IN ('running', 'parked') "
            "AND (status = 'running' OR wake <= $1) ORDER BY id",
            now_ms,
        )
        return [run_row(row) for row in rows]

    async def quotas(self, now_ms: int) -> list[QuotaRow]:
        """See :class:`nightproof.journal.quotas.QuotaReader`."""
        return await quotas.read(self._session, now_ms)

    async def incidents(self, since: int | None = None) -> list[IncidentRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        return await incidents.read(self._session, since)

    async def checkpoint(self, run: int) -> Checkpoint | None:
        """See :class:`nightproof.journal.protocol.Reader`."""
        return await incidents.checkpoint(self._session, run)

    async def schedules(self) -> list[ScheduleRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        return await schedules.read(self._session)

    async def fires(self, schedule: str, first: int, last: int) -> list[FireRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        return await schedules.fires(self._session, schedule, first, last)

    async def referenced(self, digests: Iterable[str]) -> set[str]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        wanted = list(digests)
        if not wanted:
            return set()
        rows = await self._rows(
            "SELECT digest FROM blob_use WHERE digest = ANY($1::text[]) "
            "UNION SELECT blob FROM effect WHERE blob = ANY($1::text[])",
            wanted,
        )
        return {row[0] for row in rows}


def _behind(name: str) -> str | None:
    """A text that every name that begins with `name` comes before."""
    last = ord(name[-1])
    return name[:-1] + chr(last + 1) if last < 0xD7FF else None
