"""The journal on Postgres: the write side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from nightproof.journal import retaining
from nightproof.journal.quotas import Ask, Claimant, Grant
from nightproof.journal.records import (
    Boot,
    Claimed,
    Collected,
    EffectRow,
    Entry,
    LaneBatch,
    Owner,
    Settle,
    UseBlob,
    Wanted,
    event,
    intact,
)
from nightproof.model import clock
from nightproof.stores.postgres import (
    claims,
    effects,
    incidents,
    listing,
    quotas,
    retention,
    schedules,
    sharing,
    waking,
    writing,
)
from nightproof.stores.postgres.beating import Beats
from nightproof.stores.postgres.committing import Commit
from nightproof.stores.postgres.reads import FIND_OUTCOMES, PostgresReader
from nightproof.stores.postgres.session import Durability, Session, Transaction
from nightproof.stores.postgres.target import target

if TYPE_CHECKING:
    from nightproof.journal.incidents import IncidentRow
    from nightproof.journal.listing import AuditRow
    from nightproof.journal.schedules import FireRow, ScheduleRow

LOOK_SECONDS: Final = 5.0
"""How long a change may go unnoticed where a notification was missed."""
POOLED_LOOK_SECONDS: Final = 1.0
"""The same behind a pooler, which passes no notifications on."""
_BOOT = (
    "INSERT INTO boot (id, at, host, pid, started, command, stage) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET stage = excluded.stage"
)
_FREE = "SELECT 1 FROM run WHERE id = $1 AND owner_host IS NULL FOR NO KEY UPDATE"
_KEEP = "SELECT id FROM run WHERE name = $1 FOR KEY SHARE"
_SIGNAL = "INSERT INTO signal (run, name, payload, at) VALUES ($1, $2, $3, $4)"
_USE = "INSERT INTO blob_use (digest, run, size) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_ORPHANS = (
    "SELECT run, count(*) FROM entry WHERE NOT EXISTS (SELECT 1 FROM run WHERE id = entry.run) "
    "GROUP BY run ORDER BY run LIMIT 20"
)


class PostgresJournal(PostgresReader):
    """A journal in a schema of a Postgres database (``postgresql://…[?schema=NAME]``).

    Works behind a transaction pooler too. `durability` "full" acknowledges a checkpoint
    when the server has it on disk; "normal" (synchronous_commit=off) may lose the newest
    ones when the server, not this process, crashes.

    The first use connects. Raises ConfigError where the URL cannot be right.
    """

    commits_inline = False

    def __init__(
        self, url: str, durability: Durability = "full", patience: float | None = None
    ) -> None:
        where = target(url)
        super().__init__(Session(where, durability, writes=True, listens=True))
        self._session.patience = patience
        self._once = self._session.once
        self._beats = Beats(where)
        self._looked = 0.0

    async def boot(self, boot: Boot) -> None:
        """See :class:`nightproof.journal.protocol.Journal`."""
        process = boot.process
        values = (boot.id, boot.at, process.host, process.pid, process.started, boot.command)

        async def act(transaction: Transaction) -> None:
            await transaction.each(
                [(_BOOT, (*values, boot.stage)), (retention.FORGET_RECEIPTS, ())]
            )

        await self._once(act)

    async def claim(self, want: Wanted, owner: Owner, takeover: int | None = None) -> Claimed:
        """See :class:`nightproof.journal.protocol.Journal`.

        Waits for the disk: a server that crashes must not give the run's number, with the
        same token, to another.
        """
        return await self._once(partial(_claim, want, owner, takeover))

    def commit(self, batches: list[LaneBatch]) -> asyncio.Future[frozenset[int]]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        self._session.check_process()
        return Commit(self._session, batches).start()

    def linger(self) -> None:
        """Wait a moment for the answer to what was just sent, while nothing else is to be done."""
        link = self._session.ready
        if link is not None:
            link.linger()

    async def share(self, run: int, token: int, reopened: bool) -> None:
        """See :class:`nightproof.journal.protocol.Journal`."""
        await self._once(lambda transaction: sharing.share(transaction, run, token, reopened))

    async def recorded(self, run: int, fps: Sequence[bytes]) -> dict[bytes, Entry]:
        """See :class:`nightproof.journal.protocol.Reader`.

        Damaged outcomes are struck off the list, so that others may be written.
        """
        rows = await self._rows(FIND_OUTCOMES, run, list(fps))
        found = [Entry(*row) for row in rows]
        damaged = [entry for entry in found if not intact(entry)]
        if damaged:
            await self._once(lambda transaction: sharing.forget(transaction, run, damaged))
        return {entry.fp: entry for entry in found if entry not in damaged}

    async def intend(self, batch: LaneBatch, row: EffectRow) -> tuple[EffectRow, bool]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        return await self._once(lambda transaction: effects.intend(transaction, batch, row))

    async def confess(self, settle: Settle) -> bool:
        """See :class:`nightproof.journal.protocol.Journal`."""
        return await self._once(lambda transaction: effects.confess(transaction, settle))

    def pulse(self, owned: Mapping[int, int], lease_ms: int) -> frozenset[int]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        return self._beats.pulse(owned, lease_ms)

    def vouch(self, tries: Sequence[tuple[str, bytes, bytes | None]]) -> None:
        """See :class:`nightproof.journal.protocol.Journal`."""
        self._beats.vouch(tries)

    def hear(self, act: Callable[[], None]) -> None:
        """See :class:`nightproof.journal.protocol.Journal`."""
        self._session.heard = act

    async def changed(self) -> bool:
        """See :class:`nightproof.journal.protocol.Journal`.

        Costs nothing: notifications tell. Now and then it says yes without one.
        """
        session = self._session
        now = clock.monotonic()
        patience = POOLED_LOOK_SECONDS if session.pooled else LOOK_SECONDS
        if not session.news and now - self._looked < patience:
            return False
        session.news, self._looked = False, now
        return True

    async def cancelled(self, runs: Iterable[int]) -> frozenset[int]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        rows = await self._rows(
            "SELECT id FROM run WHERE id = ANY($1::bigint[]) AND cancel", list(runs)
        )
        return frozenset(row[0] for row in rows)

    async def request_cancel(self, run: int) -> bool:
        """See :class:`nightproof.journal.protocol.Journal`."""

        async def act(transaction: Transaction) -> bool:
            done = await claims.cancel(transaction, run)
            await waking.tell(transaction, run, self._session.channel)
            return done

        return await self._once(act)

    async def send(self, run: int, name: str, payload: bytes) -> None:
        """See :class:`nightproof.journal.protocol.Journal`."""
        now = clock.now_ms()

        async def act(transaction: Transaction) -> None:
            await transaction.run(_SIGNAL, run, name, payload, now)
            await waking.wake(transaction, run, "", now, self._session.channel)

        await self._once(act)

    async def resolve(self, key: str, happened: bool, output: bytes | None) -> EffectRow:
        """See :class:`nightproof.journal.protocol.Journal`."""
        channel = self._session.channel
        return await self._once(
            lambda transaction: effects.resolve(transaction, key, happened, output, channel)
        )

    async def take(
        self, name: str, spec: str, who: Claimant, asks: Sequence[Ask], want: int, now_ms: int
    ) -> Grant:
        """See :class:`nightproof.journal.quotas.QuotaBook`.

        Does not wait for the disk: what a crash erases is what was taken just before.
        """
        return await self._once(
            lambda transaction: quotas.take(transaction, name, spec, who, asks, want, now_ms),
            durable=False,
        )

    async def park_quota(self, name: str, spec: str, until: int, reason: str, now_ms: int) -> int:
        """See :class:`nightproof.journal.quotas.QuotaBook`."""
        return await self._once(
            lambda transaction: quotas.park(transaction, name, spec, until, reason, now_ms)
        )

    async def annotate(self, run: int, data: bytes, blobs: Sequence[UseBlob] = ()) -> bool:
        """See :class:`nightproof.journal.protocol.Journal`."""
        now = clock.now_ms()

        async def act(transaction: Transaction) -> bool:
            if await transaction.one(_FREE, run) is None:
                return False
            [(last,)] = await transaction.all(
                "SELECT coalesce(max(seq), -1) FROM entry WHERE run = $1", run
            )
            sql, values = writing.free(event(run, last + 1, now, data))
            uses = [(_USE, (use.digest, run, use.size)) for use in blobs]
            await transaction.each([(sql, values), *uses])
            return True

        return await self._once(act)

    async def refer(self, run_name: str, blobs: Sequence[UseBlob]) -> bool:
        """See :class:`nightproof.journal.protocol.Journal`."""

        async def act(transaction: Transaction) -> bool:
            # The lock keeps the run from being collected meanwhile.
            row = await transaction.one(_KEEP, run_name)
            if row is not None and blobs:
                await transaction.each([(_USE, (use.digest, row[0], use.size)) for use in blobs])
            return row is not None

        return await self._once(act)

    async def audit(self, row: AuditRow) -> int:
        """See :class:`nightproof.journal.protocol.Journal`."""
        return await self._once(lambda transaction: listing.audit(transaction, row))

    async def audited(self, id: int, code: int, outcome: str) -> None:
        """See :class:`nightproof.journal.protocol.Journal`."""
        await self._once(lambda transaction: listing.audited(transaction, id, code, outcome))

    async def forget_audits(self, before_ms: int, dry_run: bool = False) -> int:
        """See :class:`nightproof.journal.protocol.Journal`."""
        return await self._once(lambda transaction: listing.forget(transaction, before_ms, dry_run))

    async def open_incident(self, row: IncidentRow) -> IncidentRow:
        """See :class:`nightproof.journal.protocol.Journal`."""
        return await self._once(lambda transaction: incidents.begin(transaction, row))

    async def clear_incident(self, key: str, at: int) -> bool:
        """See :class:`nightproof.journal.protocol.Journal`."""
        return await self._once(lambda transaction: incidents.clear(transaction, key, at))

    async def tell_incident(self, key: str, opened: int, before: int, after: int) -> bool:
        """See :class:`nightproof.journal.protocol.Journal`."""
        return await self._once(
            lambda transaction: incidents.tell(transaction, key, opened, before, after)
        )

    async def keep_schedule(self, row: ScheduleRow) -> ScheduleRow:
        """See :class:`nightproof.journal.protocol.Journal`."""
        return await self._once(lambda transaction: schedules.keep(transaction, row))

    async def fire(self, row: FireRow) -> tuple[FireRow, bool]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        return await self._once(lambda transaction: schedules.fire(transaction, row))

    async def retain(
        self, finished_before: int, keep: int, job: str | None, dry_run: bool
    ) -> Collected:
        """See :class:`nightproof.journal.protocol.Journal`."""
        names, entries = [], 0
        for run in await retaining.old(self, finished_before, keep, job):
            removed = 0
            if not dry_run:
                removed = await self._once(partial(_delete, run.id))
            if removed >= 0:
                names.append(run.name)
                entries += removed
        if not dry_run:
            await self._once(
                lambda transaction: retention.forget_boots(transaction, finished_before)
            )
        return Collected(len(names), entries, tuple(names))

    async def check(self) -> list[str]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        rows = await self._rows(_ORPHANS)
        return [f"{count} entries of run {run}, which does not exist" for run, count in rows]

    async def close(self) -> None:
        """See :class:`nightproof.journal.protocol.Journal`."""
        self._beats.close()
        self._session.close()


async def _claim(
    want: Wanted, owner: Owner, takeover: int | None, transaction: Transaction
) -> Claimed:
    return await claims.claim(transaction, want, owner, takeover)


async def _delete(run: int, transaction: Transaction) -> int:
    return await retention.delete(transaction, run)


def open_reader(url: str) -> PostgresReader:
    """A journal for reading only; its first use connects.

    Raises ConfigError where the URL cannot be right; the first read raises NotFound where
    no journal has been written there yet.
    """
    return PostgresReader(Session(target(url), "full", writes=False))
