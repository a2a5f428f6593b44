"""Who owns a run: the statements behind claim, pulse and cancel."""

from __future__ import annotations

from nightproof.errors import StoreDamaged
from nightproof.journal.lease import Possession, possession
from nightproof.journal.records import Claimed, Owner, RunRow, Wanted, run_name
from nightproof.model import clock
from nightproof.model.states import RunStatus
from nightproof.stores.postgres.reads import RUN_FIELDS, run_row
from nightproof.stores.postgres.schema import NOW
from nightproof.stores.postgres.session import Transaction

_INSERT = (
    "INSERT INTO run (name, job, digest, replicate, contract, target, code, parent, options, "
    "status, created, updated, token, owner_host, owner_pid, owner_started, lease_until) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'running', $10, $10, 1, $11, $12, $13, "
    f"{NOW} + $14::bigint) ON CONFLICT (name) DO NOTHING RETURNING {RUN_FIELDS}"
)
_LOCK = f"SELECT {RUN_FIELDS} FROM run WHERE name = $1 FOR NO KEY UPDATE"
_TAKE = (
    "UPDATE run SET status = 'running', token = token + 1, owner_host = $1, owner_pid = $2, "
    f"owner_started = $3, lease_until = {NOW} + $4::bigint, updated = $5, "
    "cancel = (cancel AND status = 'running'), wake = NULL, waiting = '', "
    "attempts = attempts + 1, finished = NULL, "
    "target = CASE WHEN $6::text = '' THEN target ELSE $6 END "
    f"WHERE id = $7 RETURNING {RUN_FIELDS}"
)
_ATTEMPT = (
    "INSERT INTO attempt (run, n, boot, started, host, pid, pid_started) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7)"
)
_DIED = "UPDATE attempt SET outcome = 'died' WHERE run = $1 AND n = $2 AND ended IS NULL"
_CANCEL = (
    "UPDATE run SET status = 'cancelled', updated = $1, finished = $1, token = token + 1, "
    "wake = NULL, waiting = '', cancel = false, owner_host = NULL, owner_pid = NULL, "
    "owner_started = NULL, lease_until = 0 WHERE id = $2"
)
PULSE = (
    f"UPDATE run SET beat = beat + 1, lease_until = {NOW} + $3::bigint FROM "
    "(SELECT r.id FROM run AS r JOIN unnest($1::bigint[], $2::bigint[]) AS own (id, token) "
    "USING (id, token) ORDER BY r.id FOR NO KEY UPDATE OF r) AS mine "
    "WHERE run.id = mine.id RETURNING run.id"
)
"""Locks in the order in which commits do."""


async def claim(
    transaction: Transaction, want: Wanted, owner: Owner, takeover: int | None
) -> Claimed:
    """Own the run, in the caller's transaction; see the Journal protocol."""
    now = clock.now_ms()
    while True:
        replicate = want.replicate
        if replicate < 0:
            replicate = await _next_replicate(transaction, want)
        name = run_name(want.job, want.digest, replicate)
        created = await _create(transaction, want, owner, name, replicate, now)
        if created is not None:
            return Claimed(created, True, None)
        if want.replicate < 0:
            continue  # somebody else has just made that one
        row = await transaction.one(_LOCK, name)
        if row is not None:
            break
    run = run_row(row)
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
    return Claimed(await _take(transaction, want, owner, run, now), True, run.status)


async def _next_replicate(transaction: Transaction, want: Wanted) -> int:
    base = run_name(want.job, want.digest, 0)
    row = await transaction.one(
        "SELECT coalesce(max(replicate), 0) FROM run WHERE name >= $1 AND name < $2",
        base,
        base + "/",
    )
    return int(row[0]) + 1 if row else 1


async def _create(
    transaction: Transaction, want: Wanted, owner: Owner, name: str, replicate: int, now: int
) -> RunRow | None:
    """A new run; None where there is one of that name."""
    process = owner.process
    row = await transaction.one(
        _INSERT,
        name, want.job, want.digest, replicate, want.contract, want.target, want.code,
        want.parent, want.options, now, process.host, process.pid, process.started,
        owner.lease_ms,
    )  # fmt: skip
    if row is None:
        return None
    run = run_row(row)
    await _attempt(transaction, run.id, 1, owner, now)
    return run


async def _take(
    transaction: Transaction, want: Wanted, owner: Owner, run: RunRow, now: int
) -> RunRow:
    process = owner.process
    if run.owner is not None:
        await transaction.run(_DIED, run.id, run.attempts)
    row = await transaction.one(
        _TAKE, process.host, process.pid, process.started, owner.lease_ms, now, want.target, run.id
    )
    assert row is not None, "the row is locked"
    taken = run_row(row)
    await _attempt(transaction, run.id, taken.attempts, owner, now)
    return taken


async def _attempt(transaction: Transaction, run: int, n: int, owner: Owner, now: int) -> None:
    process = owner.process
    await transaction.run(
        _ATTEMPT, run, n, owner.boot, now, process.host, process.pid, process.started
    )


async def cancel(transaction: Transaction, run: int) -> bool:
    """Ask the owner to cancel, or cancel at once where nobody works on the run.

    The token changes with it, so that an owner who was thought dead is fenced off.
    """
    now = clock.now_ms()
    sql = f"SELECT {RUN_FIELDS} FROM run WHERE id = $1 FOR NO KEY UPDATE"
    row = run_row((await transaction.all(sql, run))[0])
    if row.status not in (RunStatus.RUNNING, RunStatus.PARKED):
        return row.status is RunStatus.CANCELLED
    # A lease of length 0: only what is certainly dead counts as gone.
    if possession(row, now, 0) not in (Possession.NOBODY, Possession.DEAD):
        await transaction.run("UPDATE run SET cancel = true WHERE id = $1", run)
        return False
    await transaction.run(_DIED, run, row.attempts)
    await transaction.run(_CANCEL, now, run)
    return True
