"""The read side of the SQLite journal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

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
from nightproof.model.identity import ProcessIdentity
from nightproof.model.states import EffectState, Kind, RunStatus
from nightproof.stores.sqlite import quotas
from nightproof.stores.sqlite.connection import Database, explained
from nightproof.stores.sqlite.schema import (
    EFFECT_COLUMNS,
    ENTRY_COLUMNS,
    LISTING,
    RUN_COLUMNS,
    VERSION,
)

if TYPE_CHECKING:
    from nightproof.journal.incidents import Checkpoint, IncidentRow
    from nightproof.journal.listing import AuditRow, EffectFilter, JobRow, RunGroup, SpanRow
    from nightproof.journal.schedules import FireRow, ScheduleRow

REPLAYABLE = (
    Kind.RESULT,
    Kind.FAILURE,
    Kind.VALUE,
    Kind.WAIT,
    Kind.ARTIFACT,
    Kind.UNDONE,
    Kind.CHILD,
    Kind.EFFECT,
    Kind.SIGNAL,
    Kind.REOPENED,
)


def run_row(row: tuple[Any, ...]) -> RunRow:
    """A row of RUN_COLUMNS as a record."""
    owner = ProcessIdentity(row[20], row[21], row[22]) if row[20] is not None else None
    head, middle = row[:10], row[11:20]
    return RunRow(
        *head, RunStatus(row[10]), *middle, owner, *row[23:25], bool(row[25]), *row[26:28]
    )  # type: ignore[call-arg]


def effect_row(row: tuple[Any, ...]) -> EffectRow:
    """A row of EFFECT_COLUMNS as a record."""
    return EffectRow(row[0], row[1], row[2], EffectState(row[3]), *row[4:])


class SqliteReader:
    """Reads a journal; every method is one or two statements."""

    def __init__(self, database: Database, url: str, version: int = VERSION) -> None:
        self._db = database
        self.url = url
        self._version = version

    def _all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        self._db.check_process()
        with explained(self._db.path):
            return self._db.execute(sql, values).fetchall()

    async def present(self) -> None:
        """See :class:`nightproof.journal.protocol.Reader`."""
        self._db.present()

    async def find(self, name: str) -> RunRow | None:
        """See :class:`nightproof.journal.protocol.Reader`."""
        rows = self._all(f"SELECT {RUN_COLUMNS} FROM run WHERE name = ?", name)
        if not rows and name:
            rows = self._all(
                f"SELECT {RUN_COLUMNS} FROM run WHERE substr(name, 1, ?) = ? "
                "ORDER BY id DESC LIMIT 6",
                len(name),
                name,
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
        rows = self._all(f"SELECT {RUN_COLUMNS} FROM run WHERE id = ?", run)
        if not rows:
            raise NotFound(
                f"run number {run} is not in the journal any more", "It was removed by retention."
            )
        return run_row(rows[0])

    async def runs(self, want: RunFilter) -> list[RunRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        from nightproof.stores.sqlite import listing  # of no use to a run

        sql, values = listing.runs(want, self._version)
        return [run_row(row) for row in self._all(sql, *values)]

    async def jobs(self) -> list[JobRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        from nightproof.stores.sqlite import listing

        return listing.jobs(self._all, self._version)

    async def groups(self, since: int) -> list[RunGroup]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        from nightproof.stores.sqlite import listing

        return listing.groups(self._all, since)

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
        told = kinds and Kind.RESULT not in kinds and self._version >= LISTING
        sql = f"SELECT {ENTRY_COLUMNS} FROM entry {'INDEXED BY entry_told ' if told else ''}"
        sql += f"WHERE run = ? AND seq > ? {f'AND kind <> {Kind.RESULT:d} ' if told else ''}"
        values: list[Any] = [run, after]
        if kinds:
            sql += f"AND kind IN ({', '.join(str(int(kind)) for kind in kinds)}) "
        if codes:
            sql += f"AND code IN ({', '.join('?' * len(codes))}) "
            values += codes
        if text:
            sql += "AND instr(inputs, ?) "
            values.append(text)
        if before is not None:
            sql += "AND seq < ? "
            values.append(before)
        sql += f"ORDER BY seq {'DESC ' if newest else ''}LIMIT ? OFFSET ?"
        found = [Entry(*row) for row in self._all(sql, *values, limit, skip)]
        return found[::-1] if newest else found

    async def spans(self, run: int, bounds: Sequence[int] = ()) -> list[SpanRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        from nightproof.stores.sqlite import listing

        return listing.spans(self._all, run, bounds)

    async def states(self, run: int, codes: Sequence[int], reopened: int = -1) -> str:
        """See :class:`nightproof.journal.protocol.Reader`."""
        from nightproof.stores.sqlite import listing

        return listing.states(self._all, run, codes, reopened)

    async def ledger(self, want: EffectFilter) -> list[EffectRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        from nightproof.stores.sqlite import listing

        sql, values = listing.ledger(want, self._version)
        return [effect_row(row) for row in self._all(sql, *values)]

    async def delivered(self, digest: str, limit: int = 50) -> list[Entry]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        from nightproof.stores.sqlite import listing

        return listing.delivered(self._all, digest, limit)

    async def audits(
        self, limit: int = 50, before: int | None = None, run: str | None = None
    ) -> list[AuditRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        from nightproof.stores.sqlite import listing

        if self._version < LISTING:
            return []
        return listing.audits(self._all, limit, before, run)

    async def tally(self, run: int) -> list[tuple[int, int, int]]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        rows = self._all(
            "SELECT kind, code, count(*) FROM entry WHERE run = ? GROUP BY kind, code", run
        )
        return [(row[0], row[1], row[2]) for row in rows]

    async def codes(self, ids: Iterable[int]) -> dict[int, CodeRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        found = {}
        for code in set(ids):
            for row in self._all("SELECT id, name, digest FROM code WHERE id = ?", code):
                found[code] = CodeRow(*row)
        return found

    async def attempts(self, run: int) -> list[AttemptRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        return [
            AttemptRow(row[0], row[1], row[2], row[3], row[4], row[5], ProcessIdentity(*row[6:9]))
            for row in self._all(
                "SELECT run, n, boot, started, ended, outcome, host, pid, pid_started "
                "FROM attempt WHERE run = ? ORDER BY n",
                run,
            )
        ]

    async def effects(self, run: int | None = None) -> list[EffectRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        if run is None:
            rows = self._all(f"SELECT {EFFECT_COLUMNS} FROM effect ORDER BY at, key")
        else:
            rows = self._all(
                f"SELECT {EFFECT_COLUMNS} FROM effect WHERE run = ? ORDER BY at, key", run
            )
        return [effect_row(row) for row in rows]

    async def effect(self, key: str) -> EffectRow | None:
        """See :class:`nightproof.journal.protocol.Journal`."""
        rows = self._all(f"SELECT {EFFECT_COLUMNS} FROM effect WHERE key = ?", key)
        return effect_row(rows[0]) if rows else None

    async def signals(self, run: int) -> list[SignalRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        return [
            SignalRow(*row)
            for row in self._all(
                "SELECT id, run, name, payload, at FROM signal WHERE run = ? AND taken = 0 "
                "ORDER BY id",
                run,
            )
        ]

    async def boots(self, limit: int = 50, idle: bool = False) -> list[Boot]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        only = "WHERE NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.boot = boot.id)"
        return [
            Boot(row[0], row[1], ProcessIdentity(row[2], row[3], row[4]), row[5], row[6])
            for row in self._all(
                "SELECT id, at, host, pid, started, command, stage FROM boot "
                f"{only if idle else ''} ORDER BY at DESC LIMIT ?",
                limit,
            )
        ]

    async def index(self, run: int, inline: int) -> tuple[list[Recorded], list[int]]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        self._db.check_process()
        found: list[Recorded] = []
        damaged: list[int] = []
        kinds = ", ".join(str(int(kind)) for kind in REPLAYABLE)
        with explained(self._db.path):
            for seq, kind, code, fp, size, output, blob, crc in self._db.execute(
                "SELECT seq, kind, code, fp, length(output), "
                "CASE WHEN length(output) <= ? THEN output END, blob, crc "
                f"FROM entry WHERE run = ? AND kind IN ({kinds}) ORDER BY seq",
                (inline, run),
            ):
                if (output is not None or size is None) and checksum(fp, output, blob) != crc:
                    damaged.append(seq)
                else:
                    found.append(Recorded(seq, kind, code, fp, size or 0, output, blob))
        return found, damaged

    async def outputs(self, run: int, seqs: Sequence[int]) -> dict[int, Entry]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        found = {}
        for seq in seqs:
            for row in self._all(
                f"SELECT {ENTRY_COLUMNS} FROM entry WHERE run = ? AND seq = ?", run, seq
            ):
                entry = Entry(*row)
                if intact(entry):
                    found[seq] = entry
        return found

    async def last_seq(self, run: int) -> int:
        """See :class:`nightproof.journal.protocol.Journal`."""
        rows = self._all("SELECT max(seq) FROM entry WHERE run = ?", run)
        value = rows[0][0]
        return -1 if value is None else int(value)

    async def due(self, now_ms: int) -> list[RunRow]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        return [
            run_row(row)
            for row in self._all(
                f"SELECT {RUN_COLUMNS} FROM run WHERE parent IS NULL "
                "AND status IN ('running', 'parked') "
                "AND (status = 'running' OR wake <= ?) ORDER BY id",
                now_ms,
            )
        ]

    async def quotas(self, now_ms: int) -> list[QuotaRow]:
        """See :class:`nightproof.journal.quotas.QuotaReader`."""
        self._db.check_process()
        with explained(self._db.path):
            return quotas.read(self._db, now_ms)

    async def incidents(self, since: int | None = None) -> list[IncidentRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        from nightproof.stores.sqlite import incidents  # of no use to a run

        self._db.check_process()
        with explained(self._db.path):
            return incidents.read(self._db, since)

    async def checkpoint(self, run: int) -> Checkpoint | None:
        """See :class:`nightproof.journal.protocol.Reader`."""
        from nightproof.stores.sqlite import incidents  # of no use to a run

        self._db.check_process()
        with explained(self._db.path):
            return incidents.checkpoint(self._db, run)

    async def schedules(self) -> list[ScheduleRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        from nightproof.stores.sqlite import schedules  # of no use to a run

        self._db.check_process()
        with explained(self._db.path):
            return schedules.read(self._db)

    async def fires(self, schedule: str, first: int, last: int) -> list[FireRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        from nightproof.stores.sqlite import schedules  # of no use to a run

        self._db.check_process()
        with explained(self._db.path):
            return schedules.fires(self._db, schedule, first, last)

    async def recorded(self, run: int, fps: Sequence[bytes]) -> dict[bytes, Entry]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        from nightproof.stores.sqlite import shared  # of no use to most runs

        self._db.check_process()
        with explained(self._db.path):
            return shared.recorded(self._db, run, fps)

    async def referenced(self, digests: Iterable[str]) -> set[str]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        return {
            digest
            for digest in digests
            if self._all("SELECT 1 FROM blob_use WHERE digest = ? LIMIT 1", digest)
            or self._all("SELECT 1 FROM effect WHERE blob = ? LIMIT 1", digest)
        }


def open_reader(path: str, url: str) -> SqliteReader:
    """A journal opened for reading only. Raises NotFound where it is still empty."""
    database = Database(path, readonly=True)
    version = int(database.execute("PRAGMA user_version").get)
    if version == 1:
        # In front of the table, for this connection only: the columns that came later.
        database.execute("CREATE TEMP VIEW run AS SELECT *, NULL AS result_crc FROM main.run")
    if version == 0:
        database.close()
        raise NotFound(f"there is no journal at {url} yet", "The first run writes it.")
    return SqliteReader(database, url, version)
