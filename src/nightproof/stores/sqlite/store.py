"""The journal on SQLite: the write side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from nightproof.errors import LeaseLost, StoreBusy
from nightproof.journal.quotas import Ask, Claimant, Grant, SpendQuota
from nightproof.journal.records import (
    Boot,
    Claimed,
    CodeRow,
    Collected,
    EffectRow,
    Finish,
    LaneBatch,
    Owner,
    Settle,
    TakeSignal,
    UseBlob,
    Wanted,
    Write,
    event,
)
from nightproof.model import clock
from nightproof.stores.sqlite import claims, effects, quotas
from nightproof.stores.sqlite.connection import (
    Database,
    Durability,
    explained,
    patiently,
    translate,
)
from nightproof.stores.sqlite.reads import SqliteReader

if TYPE_CHECKING:
    from nightproof.journal.incidents import IncidentRow
    from nightproof.journal.listing import AuditRow
    from nightproof.journal.schedules import FireRow, ScheduleRow

_FREE = "SELECT 1 FROM run WHERE id = ? AND owner_host IS NULL"
_INSERT_ENTRY = "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_FENCED = (
    "INSERT INTO entry SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? "
    "WHERE EXISTS (SELECT 1 FROM run WHERE id = ? AND token = ?)"
)
_NONE: frozenset[int] = frozenset()
_WAKE = (
    "WITH RECURSIVE up(id) AS (SELECT id FROM run WHERE id = ?1 OR "
    "(?2 <> '' AND status = 'parked' AND instr(waiting, ?2)) UNION "
    "SELECT parent FROM run JOIN up USING (id) WHERE parent IS NOT NULL) "
    "UPDATE run SET wake = ?3 WHERE status IN ('running', 'parked') AND id IN (SELECT id FROM up)"
)
"""Makes a run due, those that wait for the same decision, and those whose child it is.

Also one that is running: it may be about to park.
"""
_PULSE = "UPDATE run SET beat = beat + 1, lease_until = ? WHERE id = ? AND token = ?"


class SqliteJournal(SqliteReader):
    """A journal in one file (``sqlite:///path``) or in memory (``sqlite://:memory:``).

    `durability` "full" syncs every acknowledged checkpoint to disk; "normal" syncs
    only now and then, so that power loss (not a crash) may cost the newest ones.
    """

    commits_inline = True

    def __init__(self, path: str, url: str, durability: Durability = "full") -> None:
        super().__init__(Database(path, durability), url)
        self._pulse_db: Database | None = None
        self._pulse_lock = threading.Lock()
        self._data_version = -1

    async def boot(self, boot: Boot) -> None:
        """See :class:`nightproof.journal.protocol.Journal`."""
        process = boot.process
        with explained(self._db.path), self._db.transaction():
            self._db.execute(
                "INSERT INTO boot VALUES (?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET stage = excluded.stage",
                (boot.id, boot.at, process.host, process.pid, process.started, boot.command,
                 boot.stage),
            )  # fmt: skip

    async def claim(self, want: Wanted, owner: Owner, takeover: int | None = None) -> Claimed:
        """See :class:`nightproof.journal.protocol.Journal`.

        Does not wait for the disk: the first checkpoint carries the claim with it,
        and a claim that power loss erases had not led to anything.
        """
        with explained(self._db.path), self._db.transaction(full=False):
            return claims.claim(self._db, want, owner, takeover)

    def commit(self, batches: list[LaneBatch]) -> frozenset[int]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        db = self._db
        db.check_process()
        execute = db.execute
        try:
            if len(batches) == 1 and len(batches[0].entries) == 1:
                only = batches[0]
                if not only.writes and not only.shared:
                    return self._write_one(only)
            patiently(lambda: execute("BEGIN IMMEDIATE"))
            try:
                refused = [batch.run for batch in batches if not self._write(batch)]
                patiently(lambda: execute("COMMIT"))
            except BaseException:
                if db.raw.in_transaction:
                    execute("ROLLBACK")
                raise
        except (apsw.Error, OSError) as error:
            raise translate(error, db.path) from error
        return frozenset(refused)

    def _write_one(self, batch: LaneBatch) -> frozenset[int]:
        """One entry and its fence as one statement: what a sequential job does most."""
        values = (*batch.entries[0], batch.run, batch.token)
        patiently(lambda: self._db.execute(_INSERT_FENCED, values))
        return _NONE if self._db.raw.changes() else frozenset((batch.run,))

    def _write(self, batch: LaneBatch) -> bool:
        run = batch.run
        token = self._db.execute("SELECT token FROM run WHERE id = ?", (run,)).get
        if token != batch.token:
            return False
        entries = batch.entries
        if batch.shared:
            from nightproof.stores.sqlite import shared  # of no use to most runs

            shared.append(self._db, run, entries)
        elif len(entries) == 1:
            self._db.execute(_INSERT_ENTRY, entries[0])
        elif entries:
            self._db.executemany(_INSERT_ENTRY, entries)
        for write in batch.writes:
            self._apply(run, write)
        return True

    def _apply(self, run: int, write: Write) -> None:
        execute = self._db.execute
        if isinstance(write, CodeRow):
            execute(
                "INSERT OR IGNORE INTO code VALUES (?, ?, ?)", (write.id, write.name, write.digest)
            )
        elif isinstance(write, UseBlob):
            execute(
                "INSERT OR IGNORE INTO blob_use VALUES (?, ?, ?)", (write.digest, run, write.size)
            )
        elif isinstance(write, Settle):
            effects.settle(self._db, write)
        elif isinstance(write, SpendQuota):
            quotas.spend(self._db, write)
        elif isinstance(write, TakeSignal):
            execute("UPDATE signal SET taken = 1 WHERE id = ?", (write.id,))
        elif isinstance(write, Finish):
            claims.finish(self._db, run, write)
        else:
            from nightproof.stores.sqlite import shared  # of no use to most runs

            shared.apply(self._db, run, write)

    async def share(self, run: int, token: int, reopened: bool) -> None:
        """See :class:`nightproof.journal.protocol.Journal`."""
        from nightproof.stores.sqlite import shared  # of no use to most runs

        with explained(self._db.path), self._db.transaction():
            if not self._write(LaneBatch(run, token)):
                raise LeaseLost("this attempt no longer owns its run; nothing was shared")
            shared.share(self._db, run, reopened)

    async def intend(self, batch: LaneBatch, row: EffectRow) -> tuple[EffectRow, bool]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        with explained(self._db.path), self._db.transaction():
            if not self._write(batch):
                raise LeaseLost("this attempt no longer owns its run; the effect was not tried")
            return effects.intend(self._db, row)

    async def confess(self, settle: Settle) -> bool:
        """See :class:`nightproof.journal.protocol.Journal`."""
        with explained(self._db.path), self._db.transaction():
            return effects.confess(self._db, settle)

    def pulse(self, owned: Mapping[int, int], lease_ms: int) -> frozenset[int]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        if self._db.memory:
            return frozenset()
        until = clock.now_ms() + lease_ms
        lost = []
        with self._beside() as db:
            for run, token in owned.items():
                db.execute(_PULSE, (until, run, token))
                if db.raw.changes() == 0:
                    lost.append(run)
        return frozenset(lost)

    def vouch(self, tries: Sequence[tuple[str, bytes, bytes | None]]) -> None:
        """See :class:`nightproof.journal.protocol.Journal`."""
        if not self._db.memory:  # there is nobody else
            with self._beside() as db:
                effects.vouch(db, tries)

    @contextmanager
    def _beside(self) -> Iterator[Database]:
        """A transaction of a connection for other threads, which does not wait for the disk."""
        with self._pulse_lock, explained(self._db.path):
            if self._pulse_db is None:
                self._pulse_db = Database(self._db.path, "normal")
            with self._pulse_db.transaction(full=False):
                yield self._pulse_db

    async def changed(self) -> bool:
        """See :class:`nightproof.journal.protocol.Journal`."""
        version = self._all("PRAGMA data_version")[0][0]
        before, self._data_version = self._data_version, version
        return bool(version != before)

    async def cancelled(self, runs: Iterable[int]) -> frozenset[int]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        return frozenset(
            run for run in runs if self._all("SELECT 1 FROM run WHERE id = ? AND cancel = 1", run)
        )

    def hear(self, act: Callable[[], None]) -> None:
        """See :class:`nightproof.journal.protocol.Journal`. A file tells nobody."""

    async def request_cancel(self, run: int) -> bool:
        """See :class:`nightproof.journal.protocol.Journal`."""
        with explained(self._db.path), self._db.transaction():
            done = claims.cancel(self._db, run)
        # What this connection writes does not count as a change by others.
        self._data_version = -1
        return done

    async def send(self, run: int, name: str, payload: bytes) -> None:
        """See :class:`nightproof.journal.protocol.Journal`."""
        now = clock.now_ms()
        with explained(self._db.path), self._db.transaction():
            self._db.execute(
                "INSERT INTO signal (run, name, payload, at) VALUES (?, ?, ?, ?)",
                (run, name, payload, now),
            )
            self._db.execute(_WAKE, (run, "", now))
        self._data_version = -1

    async def resolve(self, key: str, happened: bool, output: bytes | None) -> EffectRow:
        """See :class:`nightproof.journal.protocol.Journal`."""
        now = clock.now_ms()
        with explained(self._db.path), self._db.transaction():
            row = effects.resolve(self._db, key, happened, output, now)
            self._db.execute(_WAKE, (row.run, f" [{key}] has an unknown outcome", now))
        return row

    async def take(
        self, name: str, spec: str, who: Claimant, asks: Sequence[Ask], want: int, now_ms: int
    ) -> Grant:
        """See :class:`nightproof.journal.quotas.QuotaBook`.

        Does not wait for the disk: what power loss erases is what was taken just before.
        """
        with explained(self._db.path), self._db.transaction(full=False):
            return quotas.take(self._db, name, spec, who, asks, want, now_ms)

    async def park_quota(self, name: str, spec: str, until: int, reason: str, now_ms: int) -> int:
        """See :class:`nightproof.journal.quotas.QuotaBook`."""
        with explained(self._db.path), self._db.transaction():
            return quotas.park(self._db, name, spec, until, reason, now_ms)

    async def annotate(self, run: int, data: bytes, blobs: Sequence[UseBlob] = ()) -> bool:
        """See :class:`nightproof.journal.protocol.Journal`."""
        with explained(self._db.path), self._db.transaction():
            if self._db.execute(_FREE, (run,)).get is None:
                return False
            last = self._db.execute("SELECT max(seq) FROM entry WHERE run = ?", (run,)).get
            seq = 0 if last is None else int(last) + 1
            self._db.execute(_INSERT_ENTRY, event(run, seq, clock.now_ms(), data))
            for use in blobs:
                self._apply(run, use)
        return True

    async def keep_schedule(self, row: ScheduleRow) -> ScheduleRow:
        """See :class:`nightproof.journal.protocol.Journal`."""
        from nightproof.stores.sqlite import schedules  # of no use to a run

        with explained(self._db.path), self._db.transaction():
            return schedules.keep(self._db, row)

    async def fire(self, row: FireRow) -> tuple[FireRow, bool]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        from nightproof.stores.sqlite import schedules  # of no use to a run

        with explained(self._db.path), self._db.transaction():
            return schedules.fire(self._db, row)

    async def refer(self, run_name: str, blobs: Sequence[UseBlob]) -> bool:
        """See :class:`nightproof.journal.protocol.Journal`."""
        from nightproof.stores.sqlite import shared  # of no use to most runs

        with explained(self._db.path), self._db.transaction():
            return shared.refer(self._db, run_name, blobs)

    async def audit(self, row: AuditRow) -> int:
        """See :class:`nightproof.journal.protocol.Journal`."""
        from nightproof.stores.sqlite import auditing  # of no use to a run

        with explained(self._db.path), self._db.transaction():
            return auditing.audit(self._db, row)

    async def audited(self, id: int, code: int, outcome: str) -> None:
        """See :class:`nightproof.journal.protocol.Journal`."""
        from nightproof.stores.sqlite import auditing  # of no use to a run

        with explained(self._db.path), self._db.transaction():
            auditing.audited(self._db, id, code, outcome)

    async def forget_audits(self, before_ms: int, dry_run: bool = False) -> int:
        """See :class:`nightproof.journal.protocol.Journal`."""
        from nightproof.stores.sqlite import auditing  # of no use to a run

        with explained(self._db.path), self._db.transaction():
            return auditing.forget(self._db, before_ms, dry_run)

    async def open_incident(self, row: IncidentRow) -> IncidentRow:
        """See :class:`nightproof.journal.protocol.Journal`."""
        from nightproof.stores.sqlite import incidents  # of no use to a run

        with explained(self._db.path), self._db.transaction():
            return incidents.begin(self._db, row)

    async def clear_incident(self, key: str, at: int) -> bool:
        """See :class:`nightproof.journal.protocol.Journal`."""
        from nightproof.stores.sqlite import incidents  # of no use to a run

        with explained(self._db.path), self._db.transaction():
            return incidents.clear(self._db, key, at)

    async def tell_incident(self, key: str, opened: int, before: int, after: int) -> bool:
        """See :class:`nightproof.journal.protocol.Journal`."""
        from nightproof.stores.sqlite import incidents  # of no use to a run

        with explained(self._db.path), self._db.transaction():
            return incidents.tell(self._db, key, opened, before, after)

    async def retain(
        self, finished_before: int, keep: int, job: str | None, dry_run: bool
    ) -> Collected:
        """See :class:`nightproof.journal.protocol.Journal`."""
        from nightproof.journal import retaining  # of no use to a run
        from nightproof.stores.sqlite import retention

        names, entries = [], 0
        for run in await retaining.old(self, finished_before, keep, job):
            removed = 0
            if not dry_run:
                with explained(self._db.path), self._db.transaction():
                    removed = retention.delete(self._db, run.id)
            if removed >= 0:
                names.append(run.name)
                entries += removed
        if not dry_run:
            with explained(self._db.path), self._db.transaction():
                retention.forget_boots(self._db, finished_before)
        return Collected(len(names), entries, tuple(names))

    async def check(self) -> list[str]:
        """See :class:`nightproof.journal.protocol.Journal`."""
        return [row[0] for row in self._all("PRAGMA integrity_check(20)") if row[0] != "ok"]

    async def close(self) -> None:
        """See :class:`nightproof.journal.protocol.Journal`."""
        with self._pulse_lock:
            if self._pulse_db is not None:
                self._pulse_db.close()
                self._pulse_db = None
        try:
            self._db.close()
        except apsw.BusyError as error:
            raise StoreBusy(f"the journal {self._db.path} is still in use") from error
