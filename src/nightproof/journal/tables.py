"""A journal as tables of SQL: what every store that has them reads alike, and what it says itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from nightproof.journal.records import EffectRow, RunRow
from nightproof.model.identity import ProcessIdentity
from nightproof.model.states import EffectState, Kind, RunStatus

Row = tuple[Any, ...]

RUN_COLUMNS: Final = (
    "id, name, job, digest, replicate, contract, target, code, parent, options, status, created, "
    "updated, finished, wake, waiting, result, result_blob, error, token, owner_host, owner_pid, "
    "owner_started, beat, lease_until, cancel, attempts, result_crc"
)
EFFECT_COLUMNS: Final = (
    "key, name, run, state, digest, inputs, tries, at, output, blob, error, run_name"
)
ENTRY_COLUMNS: Final = "run, seq, kind, code, fp, at, took, inputs, output, blob, crc"
REPLAYABLE: Final = (
    Kind.RESULT, Kind.FAILURE, Kind.VALUE, Kind.WAIT, Kind.ARTIFACT, Kind.UNDONE, Kind.CHILD,
    Kind.EFFECT, Kind.SIGNAL, Kind.REOPENED,
)  # fmt: skip
"""The kinds of entries that an attempt has to know of what was before it."""


def run_row(row: Row) -> RunRow:
    """A row of RUN_COLUMNS as a record."""
    owner = ProcessIdentity(row[20], row[21], row[22]) if row[20] is not None else None
    head, middle = row[:10], row[11:20]
    return RunRow(
        *head, RunStatus(row[10]), *middle, owner, *row[23:25], bool(row[25]), *row[26:28]
    )  # type: ignore[call-arg]


def effect_row(row: Row) -> EffectRow:
    """A row of EFFECT_COLUMNS as a record; an intent has no result yet, but who tries it."""
    found = EffectRow(row[0], row[1], row[2], EffectState(row[3]), *row[4:])
    if found.state is EffectState.INTENDED:
        return found._replace(output=None, trying=found.output)
    return found


class Tables(ABC):
    """The tables of one journal, for statements that mark their values with ``?``."""

    run_columns: str = RUN_COLUMNS
    within_text: str
    """Whether a text column ``{}`` holds the text ``?``."""
    within_bytes: str
    """Whether a column ``{}`` of bytes holds the bytes ``?``."""
    artifact_digest: str
    """The digest in the note about an artifact, word for word as in its index."""
    page: int = 1 << 62
    """So many entries are read at a time."""
    planned: str = ""
    """Before a statement whose plan depends much on its values: it is planned for these."""
    counted: object = None
    """What is kept of what was counted, see :mod:`nightproof.journal.counting`."""

    @abstractmethod
    async def rows(self, sql: str, *values: Any) -> list[Row]:
        """The rows of a statement."""

    @abstractmethod
    def among(self, column: str, values: Sequence[int] | Sequence[str]) -> tuple[str, list[Any]]:
        """A condition that a column is one of `values`, and what takes the place of its marks."""

    def run_row(self, row: Row) -> RunRow:
        """A row of `run_columns` as a record."""
        return run_row(row)

    def limit(self, count: int) -> int | None:
        """What LIMIT says for `count` rows, -1 for all."""
        return count

    def hint(self, index: str) -> str:
        """What makes a statement go by an index, where the store's planner would not see it."""
        del index
        return ""

    async def has(self, table: str) -> bool:
        """Whether there is a table in this journal: in an older one that is only read some are not."""
        del table
        return True
