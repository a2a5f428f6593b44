"""The read side of the SQLite journal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from nightproof.errors import NotFound
from nightproof.journal.reading import TableReader
from nightproof.journal.records import Entry, Recorded, checksum, intact
from nightproof.journal.tables import ENTRY_COLUMNS, REPLAYABLE, Row
from nightproof.stores.sqlite.connection import Database, explained
from nightproof.stores.sqlite.schema import AGAIN, ARTIFACT_DIGEST, LISTING, VERSION

_SINCE: Final = {"quota": 3, "incident": 3, "schedule": 4, "fire": 4, "audit": 6}
"""The version of the schema that tables came with."""


class SqliteReader(TableReader):
    """Reads a journal; every method is one or two statements."""

    within_text = "instr({}, ?) > 0"
    within_bytes = "instr({}, ?) > 0"
    artifact_digest = ARTIFACT_DIGEST

    def __init__(self, database: Database, url: str, version: int = VERSION) -> None:
        self._db = database
        self.url = url
        self._version = version

    def _all(self, sql: str, *values: Any) -> list[Row]:
        self._db.check_process()
        with explained(self._db.path):
            return self._db.execute(sql, values).fetchall()

    async def rows(self, sql: str, *values: Any) -> list[Row]:
        """See :class:`nightproof.journal.tables.Tables`."""
        return self._all(sql, *values)

    def among(self, column: str, values: Sequence[int] | Sequence[str]) -> tuple[str, list[Any]]:
        """See :class:`nightproof.journal.tables.Tables`."""
        return f"{column} IN ({', '.join('?' * len(values))})", list(values)

    def hint(self, index: str) -> str:
        """See :class:`nightproof.journal.tables.Tables`."""
        since = AGAIN if index == "run_again" else LISTING
        return f"INDEXED BY {index} " if self._version >= since else ""

    async def has(self, table: str) -> bool:
        """See :class:`nightproof.journal.tables.Tables`."""
        return self._version >= _SINCE[table]

    async def present(self) -> None:
        """See :class:`nightproof.journal.protocol.Reader`."""
        self._db.present()

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
        sql = f"SELECT {ENTRY_COLUMNS} FROM entry WHERE run = ? AND seq = ?"
        for seq in seqs:
            for row in self._all(sql, run, seq):
                entry = Entry(*row)
                if intact(entry):
                    found[seq] = entry
        return found

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
