"""The read side of a journal that is tables of SQL, as far as every store has it in common.

Statements that only pages and reports need are in :mod:`nightproof.journal.shown`, whose
import is no part of a run's start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nightproof.errors import NotFound
from nightproof.journal.records import (
    AttemptRow,
    Boot,
    CodeRow,
    EffectRow,
    Entry,
    RunFilter,
    RunRow,
    SignalRow,
)
from nightproof.journal.tables import EFFECT_COLUMNS, ENTRY_COLUMNS, Tables, effect_row
from nightproof.model.identity import ProcessIdentity
from nightproof.model.states import Kind

if TYPE_CHECKING:
    from nightproof.journal.incidents import Checkpoint, IncidentRow
    from nightproof.journal.listing import (
        AuditRow,
        EffectFilter,
        EffectPlace,
        JobRow,
        RunGroup,
        SpanRow,
    )
    from nightproof.journal.quotas import QuotaRow
    from nightproof.journal.schedules import FireRow, ScheduleRow


class TableReader(Tables):
    """Reads a journal; every method is one or two statements.

    For the methods see :class:`nightproof.journal.protocol.Reader`.
    """

    async def find(self, name: str) -> RunRow | None:
        rows = await self.rows(f"SELECT {self.run_columns} FROM run WHERE name = ?", name)
        if not rows and name:
            behind = _behind(name)
            rows = await self.rows(
                f"SELECT {self.run_columns} FROM run WHERE name >= ? AND substr(name, 1, ?) = ? "
                f"{'' if behind is None else 'AND name < ? '}ORDER BY id DESC LIMIT 6",
                name, len(name), name, *([] if behind is None else [behind]),
            )  # fmt: skip
            if len(rows) > 1:
                raise NotFound(
                    f"'{name}' is the beginning of several runs: "
                    + ", ".join(row[1] for row in rows),
                    "Give more of the name.",
                )
        return self.run_row(rows[0]) if rows else None

    async def run(self, run: int) -> RunRow:
        rows = await self.rows(f"SELECT {self.run_columns} FROM run WHERE id = ?", run)
        if not rows:
            raise NotFound(
                f"run number {run} is not in the journal any more", "It was removed by retention."
            )
        return self.run_row(rows[0])

    async def runs(self, want: RunFilter) -> list[RunRow]:
        from nightproof.journal import shown

        return await shown.runs(self, want)

    async def jobs(self) -> list[JobRow]:
        from nightproof.journal import shown

        return await shown.jobs(self)

    async def groups(self, since: int) -> list[RunGroup]:
        from nightproof.journal import shown

        return await shown.groups(self, since)

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
        told = bool(kinds) and Kind.RESULT not in kinds
        where, values = "", list[Any]()
        if told:  # word for word what the index says: otherwise it is not used
            where += f"AND kind <> {Kind.RESULT:d} "
        if kinds:
            where += f"AND kind IN ({', '.join(str(int(kind)) for kind in kinds)}) "
        if codes:
            clause, given = self.among("code", codes)
            where += f"AND {clause} "
            values += given
        if text:
            where += f"AND {self.within_bytes.format('inputs')} "
            values.append(text)
        sql = (
            f"{self.planned if limit >= 0 else ''}SELECT {ENTRY_COLUMNS} FROM entry "
            f"{self.hint('entry_told') if told else ''}"
            f"WHERE run = ? AND seq > CAST(? AS bigint) AND seq < CAST(? AS bigint) {where}"
            f"ORDER BY seq {'DESC ' if newest else ''}LIMIT ? OFFSET ?"
        )
        end = 1 << 31 if before is None else before
        found: list[Entry] = []
        while limit < 0 or len(found) < limit:
            count = self.page if limit < 0 else min(self.page, limit - len(found))
            rows = await self.rows(sql, run, after, end, *values, count, skip)
            found += [Entry(*row) for row in rows]
            if len(rows) < count:
                break
            skip = 0
            if newest:
                end = found[-1].seq
            else:
                after = found[-1].seq
        return found[::-1] if newest else found

    async def spans(self, run: int, bounds: Sequence[int] = ()) -> list[SpanRow]:
        from nightproof.journal import shown

        return await shown.counts(self).spans(self, run, bounds)

    async def states(self, run: int, codes: Sequence[int], reopened: int = -1) -> str:
        from nightproof.journal import shown

        return await shown.counts(self).states(self, run, codes, reopened)

    async def delivered(self, digest: str, limit: int = 50) -> list[Entry]:
        from nightproof.journal import shown

        return await shown.delivered(self, digest, limit)

    async def audits(
        self, limit: int = 50, before: int | None = None, run: str | None = None
    ) -> list[AuditRow]:
        from nightproof.journal import shown

        return await shown.audits(self, limit, before, run)

    async def tally(self, run: int) -> list[tuple[int, int, int]]:
        rows = await self.rows(
            "SELECT kind, code, count(*) FROM entry WHERE run = ? GROUP BY kind, code "
            "ORDER BY kind, code",
            run,
        )
        return [(row[0], row[1], row[2]) for row in rows]

    async def codes(self, ids: Iterable[int]) -> dict[int, CodeRow]:
        wanted = sorted(set(ids))
        if not wanted:
            return {}
        clause, values = self.among("id", wanted)
        rows = await self.rows(f"SELECT id, name, digest FROM code WHERE {clause}", *values)
        return {row[0]: CodeRow(*row) for row in rows}

    async def attempts(self, run: int) -> list[AttemptRow]:
        rows = await self.rows(
            "SELECT run, n, boot, started, ended, outcome, host, pid, pid_started "
            "FROM attempt WHERE run = ? ORDER BY n",
            run,
        )
        return [
            AttemptRow(row[0], row[1], row[2], row[3], row[4], row[5], ProcessIdentity(*row[6:9]))
            for row in rows
        ]

    async def effects(self, run: int | None = None) -> list[EffectRow]:
        where, values = ("", []) if run is None else ("WHERE run = ? ", [run])
        sql = f"SELECT {EFFECT_COLUMNS} FROM effect {where}ORDER BY at, key"
        return [effect_row(row) for row in await self.rows(sql, *values)]

    async def ledger(self, want: EffectFilter) -> list[EffectRow]:
        from nightproof.journal import effects

        return await effects.ledger(self, want)

    async def reach(self, want: EffectFilter, count: int) -> EffectPlace | None:
        from nightproof.journal import effects

        return await effects.reach(self, want, count)

    async def effect(self, key: str) -> EffectRow | None:
        rows = await self.rows(f"SELECT {EFFECT_COLUMNS} FROM effect WHERE key = ?", key)
        return effect_row(rows[0]) if rows else None

    async def signals(self, run: int) -> list[SignalRow]:
        rows = await self.rows(
            "SELECT id, run, name, payload, at FROM signal WHERE run = ? AND NOT taken ORDER BY id",
            run,
        )
        return [SignalRow(*row) for row in rows]

    async def boots(self, limit: int = 50, idle: bool = False) -> list[Boot]:
        only = "WHERE NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.boot = boot.id) "
        rows = await self.rows(
            "SELECT id, at, host, pid, started, command, stage FROM boot "
            f"{only if idle else ''}ORDER BY at DESC LIMIT ?",
            self.limit(limit),
        )
        return [Boot(row[0], row[1], ProcessIdentity(*row[2:5]), row[5], row[6]) for row in rows]

    async def blob_size(self, digest: str) -> int | None:
        rows = await self.rows("SELECT max(size) FROM blob_use WHERE digest = ?", digest)
        return None if rows[0][0] is None else int(rows[0][0])

    async def last_seq(self, run: int) -> int:
        rows = await self.rows("SELECT max(seq) FROM entry WHERE run = ?", run)
        return -1 if rows[0][0] is None else int(rows[0][0])

    async def due(self, now_ms: int) -> list[RunRow]:
        rows = await self.rows(
            f"SELECT {self.run_columns} FROM run WHERE parent IS NULL "
            "AND status IN ('running', 'parked') "
            "AND (status = 'running' OR wake <= ?) ORDER BY id",
            now_ms,
        )
        return [self.run_row(row) for row in rows]

    async def quotas(self, now_ms: int) -> list[QuotaRow]:
        from nightproof.journal import shown

        return await shown.quotas(self, now_ms)

    async def incidents(self, since: int | None = None) -> list[IncidentRow]:
        from nightproof.journal import shown

        return await shown.incidents(self, since)

    async def checkpoint(self, run: int) -> Checkpoint | None:
        from nightproof.journal import shown

        return await shown.checkpoint(self, run)

    async def schedules(self) -> list[ScheduleRow]:
        from nightproof.journal import shown

        return await shown.schedules(self)

    async def fires(self, schedule: str, first: int, last: int) -> list[FireRow]:
        from nightproof.journal import shown

        return await shown.fires(self, schedule, first, last)


def _behind(name: str) -> str | None:
    """A text that every name that begins with `name` comes before."""
    last = ord(name[-1])
    return name[:-1] + chr(last + 1) if last < 0xD7FF else None
