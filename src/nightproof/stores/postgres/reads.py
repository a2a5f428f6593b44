"""The read side of the Postgres journal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from nightproof.journal.reading import TableReader
from nightproof.journal.records import Entry, Recorded, RunRow, checksum, intact
from nightproof.journal.tables import (
    ENTRY_COLUMNS,
    REPLAYABLE,
    RUN_COLUMNS,
)
from nightproof.journal.tables import run_row as plain_run_row
from nightproof.model import clock
from nightproof.stores.postgres.link import ANEW
from nightproof.stores.postgres.schema import DIGEST, LEFT
from nightproof.stores.postgres.session import Session
from nightproof.stores.postgres.values import Row, numbered

PAGE: Final = 20_000
"""So many entries are read at a time."""
FIND_OUTCOMES = (
    f"{ANEW}SELECT " + ", ".join(f"entry.{name}" for name in ENTRY_COLUMNS.split(", ")) + " "
    "FROM outcome JOIN entry USING (run, seq) WHERE outcome.run = $1 "
    "AND outcome.fp = ANY($2::bytea[])"
)
_AUDITED: Final = 2
"""The version of the schema with a record of what people did; other tables were always there."""
RUN_FIELDS: Final = RUN_COLUMNS.replace("lease_until", LEFT)
"""A lease is read as the milliseconds that are left of it by the database's clock."""


def run_row(row: Row) -> RunRow:
    """A row of RUN_FIELDS as a record; what is left of a lease is put on this machine's clock."""
    lease = 0 if row[24] is None else clock.now_ms() + row[24]
    return plain_run_row((*row[:24], lease, *row[25:]))


class PostgresReader(TableReader):
    """Reads a journal; every method is one or two statements."""

    run_columns = RUN_FIELDS
    within_text = "strpos({}, ?) > 0"
    within_bytes = "position(? IN {}) > 0"
    artifact_digest = DIGEST
    page = PAGE
    planned = ANEW

    def __init__(self, session: Session) -> None:
        self._session = session
        self.url = session.target.url
        self._rows = session.rows

    async def rows(self, sql: str, *values: Any) -> list[Row]:
        """See :class:`nightproof.journal.tables.Tables`."""
        return await self._rows(numbered(sql), *values)

    def among(self, column: str, values: Sequence[int] | Sequence[str]) -> tuple[str, list[Any]]:
        """See :class:`nightproof.journal.tables.Tables`."""
        kind = "text" if values and isinstance(values[0], str) else "bigint"
        return f"{column} = ANY(?::{kind}[])", [list(values)]

    def run_row(self, row: Row) -> RunRow:
        """See :class:`nightproof.journal.tables.Tables`."""
        return run_row(row)

    def limit(self, count: int) -> int | None:
        """See :class:`nightproof.journal.tables.Tables`."""
        return count if count >= 0 else None

    async def has(self, table: str) -> bool:
        """See :class:`nightproof.journal.tables.Tables`."""
        if table != "audit":
            return True
        [(version,)] = await self._rows("SELECT max(version) FROM migration")
        return bool(version >= _AUDITED)

    async def present(self) -> None:
        """See :class:`nightproof.journal.protocol.Reader`: a server says so itself."""

    async def index(self, run: int, inline: int) -> tuple[list[Recorded], list[int]]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        found: list[Recorded] = []
        damaged: list[int] = []
        kinds = ", ".join(str(int(kind)) for kind in REPLAYABLE)
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

    async def recorded(self, run: int, fps: Sequence[bytes]) -> dict[bytes, Entry]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        rows = await self._rows(FIND_OUTCOMES, run, list(fps))
        return {row[4]: entry for row in rows if intact(entry := Entry(*row))}

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
