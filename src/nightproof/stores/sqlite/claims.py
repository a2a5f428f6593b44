"""Who owns a run: the statements behind claim, pulse and cancel."""

from __future__ import annotations

from zlib import crc32

from nightproof.errors import StoreDamaged
from nightproof.journal.lease import Possession, possession
from nightproof.journal.records import Claimed, Finish, Owner, RunRow, Wanted, run_name
from nightproof.journal.tables import RUN_COLUMNS, run_row
from nightproof.model import clock
from nightproof.model.states import RunStatus
from nightproof.stores.sqlite.connection import Database

_INSERT = (
    "INSERT INTO run (id, name, job, digest, replicate, contract, target, code, parent, options, "
    "status, created, updated, token, owner_host, owner_pid, owner_started, lease_until) "
    # Never the number of a run that was removed: its effects are still there under it.
    "VALUES (1 + max(coalesce((SELECT max(id) FROM run), 0), "
    "coalesce((SELECT max(run) FROM effect), 0)), ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, ?, 1, ?, ?, ?, ?) "
    f"ON CONFLICT (name) DO NOTHING RETURNING {RUN_COLUMNS}"
)
_TAKE = (
    "UPDATE run SET status = 'running', token = token + 1, owner_host = ?, owner_pid = ?, "
    "owner_started = ?, lease_until = ?, updated = ?, cancel = (cancel AND status = 'running'), wake = NULL, waiting = '', "
    "attempts = attempts + 1, finished = NULL, target = CASE WHEN ? = '' THEN target ELSE ? END "
    f"WHERE id = ? RETURNING {RUN_COLUMNS}"
)
_ATTEMPT = (
    "INSERT INTO attempt (run, n, boot, started, host, pid, pid_started) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)


def claim(db: Database, want: Wanted, owner: Owner, takeover: int | None) -> Claimed:
    """Own the run, in the caller's transaction; see the Journal protocol."""
    now = clock.now_ms()
    replicate = want.replicate
    if replicate < 0:
        replicate = _next_replicate(db, want)
    name = run_name(want.job, want.digest, replicate)
    created = _create(db, want, owner, name, replicate, now)
    if created is not None:
        return Claimed(created, True, None)
    run = run_row(
        db.execute(f"SELECT {RUN_COLUMNS} FROM run WHERE name = ?", (name,)).fetchall()[0]
    )
    if run.digest != want.digest or run.job != want.job:
        raise StoreDamaged(
            f"run {name} belongs to job '{run.job}' with contract {run.digest}, not to "
            f"'{want.job}' with {want.digest}",
            "Two contracts share a run name; give one of the jobs another name.",
        )
    if run.status is RunStatus.COMPLETED and not want.reopen:
        return Claimed(run, False, run.status)
    if run.owner is not None and takeover != run.token:
        return Claimed(run, False, run.status)
    return Claimed(_take(db, want, owner, run, now), True, run.status)


def _next_replicate(db: Database, want: Wanted) -> int:
    base = run_name(want.job, want.digest, 0)
    count = db.execute(
        "SELECT coalesce(max(replicate), 0) FROM run WHERE name >= ? AND name < ?",
        (base, base + "/"),
    ).get
    return int(count) + 1


def _create(
    db: Database, want: Wanted, owner: Owner, name: str, replicate: int, now: int
) -> RunRow | None:
    """A new run; None where there is one of that name."""
    process = owner.process
    rows = db.execute(
        _INSERT,
        (
            name, want.job, want.digest, replicate, want.contract, want.target, want.code,
            want.parent, want.options, now, now, process.host, process.pid, process.started,
            now + owner.lease_ms,
        ),
    ).fetchall()  # fmt: skip
    if not rows:
        return None
    run = run_row(rows[0])
    _attempt(db, run.id, 1, owner, now)
    return run


def _take(db: Database, want: Wanted, owner: Owner, run: RunRow, now: int) -> RunRow:
    process = owner.process
    if run.owner is not None:
        db.execute(
            "UPDATE attempt SET outcome = 'died' WHERE run = ? AND n = ? AND ended IS NULL",
            (run.id, run.attempts),
        )
    rows = db.execute(
        _TAKE,
        (
            process.host, process.pid, process.started, now + owner.lease_ms, now,
            want.target, want.target, run.id,
        ),
    ).fetchall()  # fmt: skip
    taken = run_row(rows[0])
    _attempt(db, run.id, taken.attempts, owner, now)
    return taken


def _attempt(db: Database, run: int, n: int, owner: Owner, now: int) -> None:
    process = owner.process
    db.execute(_ATTEMPT, (run, n, owner.boot, now, process.host, process.pid, process.started))


def cancel(db: Database, run: int) -> bool:
    """Ask the owner to cancel, or cancel at once where nobody works on the run.

    The token changes with it, so that an owner who was thought dead is fenced off.
    """
    now = clock.now_ms()
    row = run_row(db.execute(f"SELECT {RUN_COLUMNS} FROM run WHERE id = ?", (run,)).fetchall()[0])
    if row.status not in (RunStatus.RUNNING, RunStatus.PARKED):
        return row.status is RunStatus.CANCELLED
    # A lease of length 0: only what is certainly dead counts as gone.
    if possession(row, now, 0) not in (Possession.NOBODY, Possession.DEAD):
        db.execute("UPDATE run SET cancel = 1 WHERE id = ?", (run,))
        return False
    db.execute(
        "UPDATE attempt SET outcome = 'died' WHERE run = ? AND n = ? AND ended IS NULL",
        (run, row.attempts),
    )
    db.execute(
        "UPDATE run SET status = 'cancelled', updated = ?, finished = ?, token = token + 1, "
        "wake = NULL, waiting = '', cancel = 0, owner_host = NULL, owner_pid = NULL, "
        "owner_started = NULL, lease_until = 0 WHERE id = ?",
        (now, now, run),
    )
    return True


def finish(db: Database, run: int, end: Finish) -> None:
    """End an attempt and give its lease back, in the caller's transaction."""
    finished = end.at if end.status not in (RunStatus.RUNNING, RunStatus.PARKED) else None
    db.execute(
        "UPDATE run SET status = ?, updated = ?, finished = ?, result = ?, result_blob = ?, "
        "error = ?, wake = CASE WHEN ? THEN coalesce(wake, ?) END, waiting = ?, "
        "code = CASE WHEN ? = '' THEN code ELSE ? END, result_crc = ?, "
        "owner_host = NULL, owner_pid = NULL, owner_started = NULL, lease_until = 0 "
        "WHERE id = ?",
        (
            str(end.status), end.at, finished, end.result, end.result_blob, end.error,
            end.status is RunStatus.PARKED, end.wake, end.waiting, end.code, end.code,
            None if end.result is None else crc32(end.result), run,
        ),
    )  # fmt: skip
    db.execute(
        "UPDATE attempt SET ended = ?, outcome = ? "
        "WHERE run = ? AND n = (SELECT attempts FROM run WHERE id = ?)",
        (end.at, end.outcome, run, run),
    )
    if end.status is RunStatus.PARKED:
        # It was asked to cancel while it came to its rest: nobody else would heed that.
        db.execute(
            "UPDATE run SET status = 'cancelled', finished = ?, wake = NULL, waiting = '', "
            "cancel = 0 WHERE id = ? AND cancel",
            (end.at, run),
        )
