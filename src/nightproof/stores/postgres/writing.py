"""The statements of a commit: each is fenced by its run's token, and all go in one message.

The run's row is locked in the statement that reads its token. Without the lock a takeover
could commit between the look at the token and the commit of what it let through.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final
from zlib import crc32

from nightproof.journal.quotas import SpendQuota
from nightproof.journal.records import (
    NEVER_OUTCOMES,
    CodeRow,
    Entry,
    Finish,
    Forget,
    LaneBatch,
    Pause,
    Settle,
    TakeSignal,
    UseBlob,
    Write,
)
from nightproof.model.states import RunStatus
from nightproof.stores.postgres.link import ANEW, Statement
from nightproof.stores.postgres.values import Value

_COLUMNS: Final = "run, code, at, took, crc, seq, kind, fp, inputs, output, blob"
_OWNED = "SELECT 1 FROM run WHERE id = $%d AND token = $%d"
ONE: Final = (
    f"INSERT INTO entry ({_COLUMNS}) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 "
    "FROM run WHERE id = $1 AND token = $12 FOR SHARE"
)
_FREE = f"INSERT INTO entry ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
_MANY = (
    f"INSERT INTO entry ({_COLUMNS}) SELECT $1::bigint, u.* FROM "
    "(SELECT 1 FROM run WHERE id = $1 AND token = $2 FOR SHARE) AS own, "
    "unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::integer[], "
    "$8::smallint[], $9::bytea[], $10::bytea[], $11::bytea[], $12::text[]) AS u"
)
AGAIN: Final = " ON CONFLICT (run, seq) DO NOTHING"
"""Behind an insert of entries that may have been made already."""
FENCE: Final = "SELECT 1 FROM run WHERE id = $1 AND token = $2 FOR NO KEY UPDATE"
_NEVER = ", ".join(str(int(kind)) for kind in NEVER_OUTCOMES)
SHARED: Final = (
    f"{ANEW}WITH given AS (SELECT * FROM "
    "unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], "
    "$7::integer[], $8::smallint[], $9::bytea[], $10::bytea[], $11::bytea[], $12::text[]) "
    "WITH ORDINALITY AS g (code, at, took, crc, own, kind, fp, inputs, output, blob, n)), "
    f"judged AS (SELECT *, length(fp) > 0 AND kind NOT IN ({_NEVER}) AS counts, "
    f"row_number() OVER (PARTITION BY fp, length(fp) > 0 AND kind NOT IN ({_NEVER}) ORDER BY n) "
    "AS nth FROM given), "
    "fresh AS (SELECT *, (SELECT coalesce(max(seq), -1) FROM entry WHERE run = $1) + "
    "row_number() OVER (ORDER BY n) AS seq FROM judged WHERE NOT counts OR (nth = 1 AND NOT "
    "EXISTS (SELECT 1 FROM outcome AS o JOIN entry AS e ON e.run = o.run AND e.seq = o.seq "
    "WHERE o.run = $1 AND o.fp = judged.fp))), "
    "listed AS (INSERT INTO outcome (run, seq, fp) SELECT $1, seq, fp FROM fresh WHERE counts "
    f"AND EXISTS ({_OWNED % (1, 2)}) ON CONFLICT (run, fp) DO UPDATE SET seq = excluded.seq) "
    f"INSERT INTO entry ({_COLUMNS}) SELECT $1, code, at, took, crc, seq, kind, fp, inputs, "
    f"output, blob FROM fresh WHERE EXISTS ({_OWNED % (1, 2)}) ORDER BY n"
)
"""Behind FENCE in the same transaction: nobody else numbers entries of the run meanwhile."""
_CODE = (
    "INSERT INTO code (id, name, digest) SELECT $1, $2, $3 "
    f"WHERE EXISTS ({_OWNED % (4, 5)}) ON CONFLICT DO NOTHING"
)
_BLOB = (
    "INSERT INTO blob_use (digest, run, size) SELECT $1, $3, $2 "
    f"WHERE EXISTS ({_OWNED % (3, 4)}) ON CONFLICT DO NOTHING"
)
_SETTLE = (
    "UPDATE effect SET state = $1, at = $2, output = $3, blob = $4, error = $5 WHERE key = $6 "
    f"AND EXISTS ({_OWNED % (7, 8)})"
)
_SETTLE_SEEN = f"{_SETTLE} AND tries = $9 AND state = $10"
_SPEND = (
    "INSERT INTO quota_use (quota, what, sharer, until, n) SELECT $1, $2, $3, $4, $5 "
    f"WHERE EXISTS ({_OWNED % (6, 7)}) "
    "ON CONFLICT (quota, what, sharer, until) DO UPDATE SET n = quota_use.n + excluded.n"
)
_TAKEN = f"UPDATE signal SET taken = true WHERE id = $1 AND EXISTS ({_OWNED % (2, 3)})"
_FORGET = (
    f"DELETE FROM outcome WHERE run = $1 AND fp = $2 AND seq = $3 AND EXISTS ({_OWNED % (1, 4)})"
)
_PAUSE = (
    "UPDATE run SET status = $1, waiting = $2, wake = $3, updated = $4 "
    "WHERE id = $5 AND token = $6 AND owner_host IS NOT NULL"
)
_FINISH = (
    "UPDATE run SET status = $1, updated = $2, finished = $3, result = $4, result_blob = $5, "
    "error = $6, wake = CASE WHEN $7::boolean THEN coalesce(wake, $8) END, waiting = $9, "
    "code = CASE WHEN $10::text = '' THEN code ELSE $10 END, result_crc = $11, "
    "owner_host = NULL, owner_pid = NULL, owner_started = NULL, lease_until = 0 "
    "WHERE id = $12 AND token = $13"
)
_HEEDED = (
    "UPDATE run SET status = 'cancelled', finished = $1, wake = NULL, waiting = '', "
    "cancel = false WHERE id = $2 AND token = $3 AND cancel"
)
"""It was asked to cancel while it came to its rest: nobody else would heed that."""
_ENDED = (
    "UPDATE attempt SET ended = $1, outcome = $2 FROM run WHERE run.id = $3 AND run.token = $4 "
    "AND attempt.run = run.id AND attempt.n = run.attempts"
)


_first = itemgetter(0)


def one(entry: Entry, token: int) -> Statement:
    """A single entry with its fence: what a sequential job does most."""
    run, seq, kind, code, fp, at, took, inputs, output, blob, crc = entry
    return ONE, (run, code, at, took, crc, seq, kind, fp, inputs, output, blob, token)


def free(entry: Entry) -> Statement:
    """An entry of a run that the caller has locked."""
    run, seq, kind, code, fp, at, took, inputs, output, blob, crc = entry
    values = (run, code, at, took, crc, seq, kind, fp, inputs, output, blob)
    return _FREE, values


def many(run: int, token: int, entries: Sequence[Entry]) -> Statement:
    """The entries of a lane, with their fence."""
    if len(entries) == 1:
        return one(entries[0]._replace(run=run), token)
    return _MANY, (run, token, *_columns(entries))


def _columns(entries: Sequence[Entry]) -> list[Value]:
    _, seq, kind, code, fp, at, took, inputs, output, blob, crc = zip(*entries, strict=True)
    columns = (code, at, took, crc, seq, kind, fp, inputs, output, blob)
    return [list(column) for column in columns]


def commit(batches: Sequence[LaneBatch]) -> list[Statement]:
    """The statements of a commit: first one for each lane, then the rest.

    The first of a lane changes or returns no row where the lane is fenced off. Rows that
    processes share are touched in one order everywhere, so that none waits for another
    that waits for it.
    """
    statements = [_head(batch) for batch in batches]
    writes: list[tuple[Any, int, int, Write]] = []
    for batch in batches:
        run, token = batch.run, batch.token
        if batch.entries and (batch.shared or batch.writes):
            if batch.shared:
                statements.append((SHARED, (run, token, *_columns(batch.entries))))
            else:
                statements.append(many(run, token, batch.entries))
        writes.extend((_order(run, write), run, token, write) for write in batch.writes)
    if len(writes) > 1:
        writes.sort(key=_first)
    for _, run, token, write in writes:
        statements.extend(_write(run, token, write))
    return statements


def _head(batch: LaneBatch) -> Statement:
    if batch.entries and not batch.shared and not batch.writes:
        return many(batch.run, batch.token, batch.entries)
    return FENCE, (batch.run, batch.token)


def _order(run: int, write: Write) -> tuple[Any, ...]:
    if isinstance(write, CodeRow):
        return 0, write.id
    if isinstance(write, UseBlob):
        return 1, write.digest, run
    if isinstance(write, Settle):
        return 2, write.key
    if isinstance(write, SpendQuota):
        return 3, write.quota, write.what, write.sharer, write.until
    if isinstance(write, TakeSignal):
        return 4, write.id
    return 6 if isinstance(write, Finish) else 5, run


def _write(run: int, token: int, write: Write) -> list[Statement]:
    if isinstance(write, CodeRow):
        return [(_CODE, (write.id, write.name, write.digest, run, token))]
    if isinstance(write, UseBlob):
        return [(_BLOB, (write.digest, write.size, run, token))]
    if isinstance(write, Settle):
        values = (str(write.state), write.at, write.output, write.blob, write.error, write.key)
        if write.seen is not None:
            return [(_SETTLE_SEEN, (*values, run, token, write.seen[0], str(write.seen[1])))]
        return [(_SETTLE, (*values, run, token))]
    if isinstance(write, SpendQuota):
        spent = (write.quota, write.what, write.sharer, write.until, float(write.n))
        return [(_SPEND, (*spent, run, token))]
    if isinstance(write, TakeSignal):
        return [(_TAKEN, (write.id, run, token))]
    if isinstance(write, Forget):
        return [(_FORGET, (run, write.fp, write.seq, token))]
    if isinstance(write, Pause):
        status = RunStatus.PARKED if write.waiting else RunStatus.RUNNING
        return [(_PAUSE, (str(status), write.waiting, write.wake, write.at, run, token))]
    return _finish(run, token, write)


def _finish(run: int, token: int, end: Finish) -> list[Statement]:
    finished = end.at if end.status not in (RunStatus.RUNNING, RunStatus.PARKED) else None
    ended = (
        str(end.status), end.at, finished, end.result, end.result_blob, end.error,
        end.status is RunStatus.PARKED, end.wake, end.waiting, end.code,
        None if end.result is None else crc32(end.result), run, token,
    )  # fmt: skip
    statements: list[Statement] = [
        (_FINISH, ended), (_ENDED, (end.at, end.outcome, run, token)),
    ]  # fmt: skip
    if end.status is RunStatus.PARKED:
        statements.append((_HEEDED, (end.at, run, token)))
    return statements


def has_receipt(batches: Sequence[LaneBatch]) -> bool:
    """Whether a commit can be found again only by a receipt.

    Entries that their run has numbered are a receipt of their own.
    """
    return any(batch.writes or batch.shared or not batch.entries for batch in batches)
