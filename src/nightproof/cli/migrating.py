"""``nightproof migrate``: a journal and its blobs from one store to another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from nightproof import app
from nightproof.blobs.protocol import Blobs
from nightproof.cli.session import Session, emit, note
from nightproof.config import Settings, redacted
from nightproof.errors import BlobError, NightproofError, UsageError
from nightproof.journal.lease import Possession, possession
from nightproof.journal.portable import TABLES, Row, Source, Sum, Table, Target
from nightproof.journal.records import Entry, RunFilter, RunRow, intact
from nightproof.model import clock
from nightproof.model.states import RunStatus

_AT_ONCE = 8
"""Blobs on their way; each is in memory whole."""
_SHOWN = 5


class Moving:
    """One migration: what it copies, and what it has found."""

    def __init__(
        self,
        session: Session,
        source: Settings,
        target: Settings,
        blobs: tuple[Blobs, Blobs] | None,
    ) -> None:
        self.session = session
        self.source = source
        self.target = target
        self.blobs = blobs
        self.tables: dict[str, dict[str, Any]] = {}
        self.damaged = 0
        self.referenced = self.copied = self.bytes = 0
        self.lost: list[str] = []

    def act(self) -> None:
        """All of it. Raises UsageError where it must not be done."""
        for settings in (self.source, self.target):
            app.examine_server(settings)  # says at once where one is out of reach
        asyncio.run(self._look(self.source, True))
        if app.places(self.target.store).server:
            asyncio.run(self._look(self.target, False))
        with app.open_source(self.source) as source, app.open_target(self.target) as target:
            # Who claimed a run before the source was locked is seen now.
            asyncio.run(self._refuse_live(self.source))
            self._blobs(source)
            sums = {table.name: self._copy(source, target, table) for table in TABLES}
            for table in TABLES:
                self._verify(target, table, sums[table.name])
            target.keep()

    async def _look(self, settings: Settings, source: bool) -> None:
        """Bring the schema forward; wait until the owners of the source's runs are known."""
        if source:
            await app.open_reader(settings).runs(RunFilter(limit=1))  # there must be one
        journal = app.open_journal(settings)
        try:
            if source:
                await _refuse(journal, settings, watch=True)
            else:
                await journal.runs(RunFilter(limit=1))
        finally:
            await journal.close()

    async def _refuse_live(self, settings: Settings) -> None:
        reader = app.open_reader(settings)
        await _refuse(reader, settings, watch=False)

    def _copy(self, source: Source, target: Target, table: Table) -> Sum:
        found = Sum()
        rows = found.of(source.rows(table))
        if table.name == "entry":
            rows = self._checked(rows)
        written = target.write(table, rows)
        assert written == found.rows
        return found

    def _checked(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self.damaged += not intact(Entry(*row))
            yield row

    def _verify(self, target: Target, table: Table, wanted: Sum) -> None:
        """Read back what was written. Raises NightproofError where it is something else."""
        found = Sum().take(target.rows(table))
        if (found.rows, found.digest) != (wanted.rows, wanted.digest):
            raise NightproofError(
                f"table {table.name}: {wanted.rows} rows were copied, {found.rows} were read back, "
                "and they are not the same",
                "Nothing was kept. Please report it, with both databases' versions.",
            )
        self.tables[table.name] = {"rows": found.rows, "digest": found.digest}
        if not self.session.json:
            print(f"{table.name:<10} {found.rows:>10,} rows  {found.digest[:19]}", flush=True)

    def _blobs(self, source: Source) -> None:
        """Copy what the journal refers to, before the journal that refers to it is there."""
        digests = source.blobs()
        if self.blobs is None:
            self.referenced = sum(1 for _ in digests)
            return
        begin, to = self.blobs
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            under_way: set[Future[int]] = set()
            for digest in digests:
                self.referenced += 1
                under_way.add(pool.submit(self._blob, begin, to, digest))
                if len(under_way) >= _AT_ONCE:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    self._count(done)
            self._count(under_way)
        if not self.session.json:
            print(f"{'blobs':<10} {self.copied:>10,} of {self.referenced:,}  {self.bytes:,} bytes")

    def _blob(self, begin: Blobs, to: Blobs, digest: str) -> int:
        """Its size; -1 where it cannot be read. Both ends compare it with its digest."""
        try:
            data = begin.get(digest)
        except BlobError as error:
            self.lost.append(error.message)
            return -1
        ref = to.put(data)
        assert ref.digest == digest
        return ref.size

    def _count(self, done: Iterable[Future[int]]) -> None:
        for size in (each.result() for each in done):
            if size >= 0:
                self.copied, self.bytes = self.copied + 1, self.bytes + size


def migrate(
    session: Session,
    origin: str | None,
    to: str | None,
    blobs_from: str | None,
    blobs_to: str | None,
) -> int:
    """Carry out the command; exit 1 where blobs were lost on the way."""
    source = Session(origin or session.store).settings()
    if to is None:
        return _forward(session, source, blobs_from or blobs_to)
    target = source.override(store=to, blobs="")
    if app.absolute(source.store) == app.absolute(to):
        raise UsageError("--from and --to are the same store", "Name another one with --to.")
    if bool(blobs_from) and not blobs_to:
        raise UsageError("--blobs-from needs --blobs-to", "Name where the blobs are to go.")
    blobs = None
    if blobs_to:
        begin = source.override(blobs=blobs_from)
        blobs = app.open_blobs(begin), app.open_blobs(target.override(blobs=blobs_to))
    moving = Moving(session, source, target, blobs)
    moving.act()
    return _told(session, moving, blobs_to)


def _forward(session: Session, settings: Settings, blobs: str | None) -> int:
    """Without --to: the newest schema, where it is."""
    if blobs:
        raise UsageError("--blobs-from and --blobs-to need --to", "Name the new store.")

    async def act() -> None:
        await app.open_reader(settings).runs(RunFilter(limit=1))  # there must be one
        journal = app.open_journal(settings)
        try:
            await journal.runs(RunFilter(limit=1))
        finally:
            await journal.close()

    asyncio.run(act())
    shown = redacted(settings.store)
    if session.json:
        emit({"store": shown, "newest": True})
    else:
        print(f"{shown} has the newest schema; --to moves it to another store")
    return 0


async def _refuse(reader: Any, settings: Settings, *, watch: bool) -> None:
    """Raise UsageError where a process works on a run.

    With `watch`, an owner that cannot be judged at once is watched for a lease.
    """
    lease = int(settings.lease * 1000)
    want = RunFilter(status=(RunStatus.RUNNING, RunStatus.PARKED), limit=-1)
    rows: list[RunRow] = await reader.runs(want)
    judged = [(row, possession(row, clock.now_ms(), lease)) for row in rows]
    live = [row for row, state in judged if state is Possession.LIVE]
    doubtful = [row for row, state in judged if state is Possession.DOUBTFUL]
    if doubtful and not live and watch:
        note(
            f"nightproof: watching for {settings.lease:g} s whether "
            f"{doubtful[0].name} is still being worked on"
        )
        await clock.sleep(settings.lease)
        again = {row.id: row for row in await reader.runs(want)}
        live = [row for row in doubtful if row.id in again and again[row.id].beat != row.beat]
    if live:
        names = ", ".join(row.name for row in live[:_SHOWN])
        owner = live[0].owner.label if live[0].owner else "a process"
        runs = f"{len(live)} runs are" if len(live) > 1 else "a run is"
        raise UsageError(
            f"{runs} being worked on ({names}, on {owner})",
            "Stop it (it goes on after the migration) or wait until it ends.",
        )


def _told(session: Session, moving: Moving, blobs_to: str | None) -> int:
    begin, to = redacted(moving.source.store), redacted(moving.target.store)
    if session.json:
        emit(
            {
                "from": begin,
                "to": to,
                "tables": moving.tables,
                "damagedEntries": moving.damaged,
                "blobs": {
                    "referenced": moving.referenced,
                    "copied": moving.copied if blobs_to else None,
                    "bytes": moving.bytes if blobs_to else None,
                    "lost": moving.lost,
                },
            }
        )
        return 1 if moving.lost else 0
    for line in moving.lost[:50]:
        print(f"lost       {line}")
    if moving.damaged:
        print(
            f"note       {moving.damaged} entries were damaged before and are still: they run again"
        )
    print(f"moved {begin} to {to}; every row was read back and compared")
    print(f'next: store = "{to}"')
    if blobs_to:
        print(f'      blobs = "{redacted(blobs_to)}"')
    elif moving.referenced:
        folder = app.blobs_folder(moving.source)
        at = redacted(moving.source.blobs) if folder is None else folder.absolute()
        print(
            f'      blobs = "{at}"  ({moving.referenced} blobs stay there; --blobs-to moves them)'
        )
    artifacts = app.artifacts_root(moving.source).absolute()
    if artifacts.is_dir() and not moving.source.artifacts:
        print(f'      artifacts = "{artifacts}"')
    print(f"nothing may use {begin} any more: what is written there is not moved")
    return 1 if moving.lost else 0
