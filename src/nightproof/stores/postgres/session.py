"""A session that outlives its connections: whatever is lost is resolved by reading back.

A transaction that must happen once leaves a receipt under a number of its own. When the
connection breaks around its COMMIT, the same number is inserted again over a new one:
that waits for whatever is left of the old transaction, and then either finds the receipt
(it was committed) or does not (it never will be, because the number is now taken).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal, TypeVar

from nightproof.errors import ConfigError, Forked, NotFound, StoreError, StoreTooNew
from nightproof.model import clock
from nightproof.stores.postgres import trouble
from nightproof.stores.postgres.connecting import connect
from nightproof.stores.postgres.link import Answer, Link, Statement
from nightproof.stores.postgres.migrating import migrate
from nightproof.stores.postgres.schema import VERSION
from nightproof.stores.postgres.target import Target
from nightproof.stores.postgres.trouble import AGAIN, Lost, Refused
from nightproof.stores.postgres.values import Row, Value

T = TypeVar("T")
Durability = Literal["full", "normal"]

PATIENCE_SECONDS: Final = 60.0
"""How long a server that was there may be away before its absence is an error."""
FIRST_PATIENCE_SECONDS: Final = 8.0
"""The same for one that has never answered: it is more likely that the URL is wrong."""
TRIES: Final = 6
"""How often a transaction that the server refused for others' sake is tried."""
LOCK_MS: Final = 10_000
STATEMENT_MS: Final = 60_000
LONG_SECONDS: Final = 600.0
"""How long removing one large run may take."""
IDLE_MS: Final = 30_000
"""A transaction whose process went away holds its locks for so long at most."""
_RECEIPT = "INSERT INTO receipt (id) VALUES ($1) ON CONFLICT DO NOTHING"
_TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE pid = $1::int4 AND backend_start::text = $2"
)
_WHO = (
    "SELECT pg_backend_pid(), current_setting('synchronous_commit'), "
    "coalesce((SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()), '')"
)
_COMMIT: Final[Statement] = ("COMMIT", ())
_ROLLBACK: Final[Statement] = ("ROLLBACK", ())


class Patience:
    """Waits before another try, with jitter, until it is used up."""

    def __init__(self, session: Session, most: float | None = None) -> None:
        self._session = session
        self._most = most
        self._began: float | None = None
        self._pause = 0.02

    async def wait(self, lost: Lost) -> None:
        """Wait a little; raises what people are told when it has taken too long."""
        session = self._session
        now = clock.monotonic()
        if self._began is None:
            self._began = now
        if session.closed:
            raise StoreError(f"the journal {session.target.url} was closed")
        if (hopeless := trouble.misconfigured(session.target.url, lost.reason)) is not None:
            raise hopeless from lost
        known = session.met or trouble.is_starting(lost.reason) or trouble.is_full(lost.reason)
        limit = PATIENCE_SECONDS if known else FIRST_PATIENCE_SECONDS
        limit = limit if self._most is None else min(limit, self._most)
        waited = now - self._began
        if waited >= limit:
            raise trouble.unreachable(session.target.url, lost.reason, waited) from lost
        await clock.sleep(self._pause * (0.5 + clock.random()))
        self._pause = min(self._pause * 2, 2.0)


class Transaction:
    """An open transaction of a session."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def all(self, sql: str, *values: Value) -> list[Row]:
        """The rows that a statement returns."""
        return (await self._link.ask([(sql, values)]))[0].rows

    async def one(self, sql: str, *values: Value) -> Row | None:
        """The first of them."""
        rows = await self.all(sql, *values)
        return rows[0] if rows else None

    async def run(self, sql: str, *values: Value) -> int:
        """How many rows a statement has changed."""
        return (await self._link.ask([(sql, values)]))[0].count

    async def lengthily(self) -> None:
        """From here on a statement of this transaction may take minutes."""
        self._link.allow(LONG_SECONDS + 15)
        await self.all(_LONG, str(int(LONG_SECONDS * 1000)))

    async def each(self, statements: list[Statement]) -> list[Answer]:
        """Several statements in one message."""
        return await self._link.ask(statements)


class Session:
    """The connection of one journal, made again whenever it is lost."""

    def __init__(
        self, target: Target, durability: Durability, *, writes: bool, listens: bool = False
    ) -> None:
        self.target = target
        self.durability = durability
        self.writes = writes
        self.met = False
        """Whether the server has ever answered."""
        self.pooled = False
        self.closed = False
        self.link: Link | None = None
        self.news = True
        """Whether others may have written since this was last set to False."""
        self.heard: Callable[[], None] | None = None
        self.patience: float | None = None
        """How long reading waits for a server that is away; None: as long as a run can."""
        self._listens = listens
        self._turn = asyncio.Lock()
        self._pid = os.getpid()
        self._backend: tuple[int, str] | None = None

    @property
    def channel(self) -> str:
        """The channel on which writers tell of what others wait for."""
        return f"nightproof_{self.target.schema}"

    @property
    def ready(self) -> Link | None:
        """The link, where a message may be sent at once."""
        link = self.link
        if link is None or link.lost is not None or self._turn.locked():
            return None
        return link if link.loop is asyncio.get_running_loop() else None

    def check_process(self) -> None:
        """Raise Forked in a process that did not open this session."""
        if self._pid != os.getpid():
            raise Forked(
                "the journal was used in a process made by fork(), which shares its connections",
                "Write to the journal only in the process that runs the job; use the 'spawn' "
                "start method, or call plain functions in the child.",
            )

    async def read(self, *statements: Statement) -> list[Answer]:
        """Statements that only read, together; asked again when the connection is lost."""
        self.check_process()
        patience = Patience(self, self.patience)
        tries = 0
        while True:
            try:
                return await self.attempt(*statements)
            except Lost as lost:
                await patience.wait(lost)
            except Refused as refused:
                tries += 1
                if refused.code not in AGAIN or tries >= TRIES:
                    raise self.explained(refused) from refused

    async def attempt(self, *statements: Statement) -> list[Answer]:
        """Statements in a transaction, tried once. Raises Lost or Refused."""
        async with self._entered():
            answer = (await self._linked()).ask(self.wrapped(list(statements)))
        return self.unwrapped(await answer)

    async def rows(self, sql: str, *values: Value) -> list[Row]:
        """The rows of one statement that only reads."""
        return (await self.read((sql, values)))[0].rows

    async def once(
        self,
        act: Callable[[Transaction], Awaitable[T]],
        *,
        durable: bool = True,
        number: int | None = None,
        kept: Sequence[T] = (),
    ) -> T:
        """Run `act` in a transaction that is committed exactly once, and return its result.

        It is run again where the server refused it for the sake of others, or where the
        connection broke and the transaction turns out not to have been committed. Where
        one with the receipt `number` may be committed already, `kept` holds its result.
        """
        self.check_process()
        number = receipt_number() if number is None else number
        patience = Patience(self)
        kept = list(kept)
        tries = 0
        while True:
            try:
                async with self._entered():
                    return await self._try_once(act, number, kept, durable)
            except Lost as lost:
                await patience.wait(lost)
            except Refused as refused:
                # What is kept stays: also waiting for what is left of a lost COMMIT ends so.
                tries += 1
                if refused.code not in AGAIN or tries >= TRIES:
                    raise self.explained(refused) from refused

    async def _try_once(
        self,
        act: Callable[[Transaction], Awaitable[T]],
        number: int,
        kept: list[T],
        durable: bool,
    ) -> T:
        """One try; a result in `kept` says that an earlier COMMIT has an unknown outcome."""
        used = await self._linked()
        link: Link | None = used
        committing = False
        try:
            begun = await used.ask([*self.begin(durable), (_RECEIPT, (number,))])
            if not begun[-1].count and kept:
                return kept[0]
            kept.clear()
            result = await act(Transaction(used))
            kept.append(result)
            committing = True
            await used.ask([_COMMIT])
            committing = False
            link = None
            return result
        finally:
            if link is not None and link.lost is None and not committing:
                link.send([_ROLLBACK], _nobody)
            used.allow(None)

    def begin(self, durable: bool = True) -> list[Statement]:
        """What opens a transaction; `durable` ones wait for the disk whatever the setting."""
        if self.pooled:
            return [("BEGIN", ()), self._settings(True, durable)]
        usual = self.durability == "full"
        if durable == usual:
            return [("BEGIN", ())]
        level = "on" if durable else "off"
        return [("BEGIN", ()), (_SYNCHRONOUS, (level,))]

    def wrapped(self, statements: list[Statement]) -> list[Statement]:
        """Statements as a transaction of their own; one alone needs no more, without a pooler."""
        if self.pooled or len(statements) > 1:
            return [*self.begin(self.durability == "full"), *statements, _COMMIT]
        return statements

    def unwrapped(self, answers: list[Answer]) -> list[Answer]:
        """The answers to the statements that were wrapped."""
        if self.pooled:
            return answers[2:-1]
        return answers[1:-1] if len(answers) > 1 else answers

    def explained(self, refused: Refused) -> Exception:
        """A refusal as the error for people."""
        return trouble.explained(self.target.url, refused.code, refused.message)

    def close(self) -> None:
        """End it; what is under way is lost."""
        self.closed = True
        if self.link is not None and self._pid == os.getpid():
            self.link.close()
        self.link = None

    def _entered(self) -> asyncio.Lock:
        """The right to send; a session that changes its event loop begins anew."""
        if self.link is not None and self.link.loop is not asyncio.get_running_loop():
            self.link.close()
            self.link = None
            self._turn = asyncio.Lock()
        return self._turn

    async def _linked(self) -> Link:
        """A live link; raises Lost where there is none to be had now."""
        if self.closed:
            raise StoreError(f"the journal {self.target.url} was closed")
        if self.link is not None and self.link.lost is None:
            return self.link
        self.link = None
        raw = await connect(self.target)
        link = Link(raw)
        try:
            await self._prepare(link)
        except BaseException as error:
            link.close()
            if isinstance(error, Refused):
                if error.code.startswith("57P") or trouble.is_full(error.message):
                    raise Lost(error.message, error.code) from error
                raise self.explained(error) from error
            raise
        self.link = link
        self.met = True
        self.news = True
        return link

    async def _prepare(self, link: Link) -> None:
        """Settings, schema and notifications of a new link."""
        encoding = link.raw.parameter_status(b"server_encoding") or b"UTF8"
        if encoding not in (b"UTF8", b"SQL_ASCII"):
            raise ConfigError(
                f"store: the database of {self.target.url} has the encoding {encoding.decode()}",
                "Create one with ENCODING 'UTF8' (`createdb -T template0 -E UTF8 NAME`).",
            )
        pid, synchronous, began = (await link.ask([(_WHO, ())]))[0].rows[0]
        # A pooler hands out a number of its own.
        self.pooled = pid != link.raw.backend_pid
        link.prepares = not self.pooled
        before, self._backend = self._backend, None if self.pooled else (pid, began)
        version = ("SELECT max(version) FROM migration", ())
        if self.pooled:
            looking = link.ask(self.wrapped([version]))
        else:
            level = "off" if self.durability == "normal" else "on"
            keep = self.durability == "full" and synchronous != "off"
            setting = self._settings(False, True, synchronous if keep else level)
            link.ask([setting])
            if before is not None:
                # What is left of the lost connection would keep its locks for a while.
                link.ask([(_TERMINATE, before)])
            if self._listens:
                link.notified = self._notified
                link.ask([(f'LISTEN "{self.channel}"', ())])
            looking = link.ask([version])
        await self._check_version(link, looking)

    async def _check_version(self, link: Link, looking: Awaitable[list[Answer]]) -> None:
        try:
            found = self.unwrapped(await looking)[0].rows[0][0] or 0
        except Refused as refused:
            if refused.code not in ("42P01", "3F000"):
                raise
            found = 0
        if found > VERSION:
            raise StoreTooNew(
                f"the journal {self.target.url} has schema version {found}; this nightproof "
                f"knows {VERSION}",
                "Install the nightproof that wrote it, or a newer one.",
            )
        if not self.writes and not found:
            raise NotFound(
                f"there is no journal in {self.target.url} (schema {self.target.schema}) yet",
                "The first run writes it.",
            )
        if self.writes and found < VERSION:
            await migrate(link, self.target.schema, self.begin())

    def _settings(self, local: bool, durable: bool, level: str = "") -> Statement:
        level = level or ("on" if durable else "off")
        flag = "true" if local else "false"
        pairs = (
            ("search_path", f'"{self.target.schema}"'),
            ("lock_timeout", str(LOCK_MS)),
            ("statement_timeout", str(STATEMENT_MS)),
            ("idle_in_transaction_session_timeout", str(IDLE_MS)),
            ("synchronous_commit", level),
            # Plans are kept that were made while the tables were small.
            ("enable_seqscan", "off"),
        )
        chosen = ", ".join(f"set_config('{name}', '{value}', {flag})" for name, value in pairs)
        return f"SELECT {chosen}", ()

    def _notified(self) -> None:
        self.news = True
        if self.heard is not None:
            self.heard()


_LONG = "SELECT set_config('statement_timeout', $1, true)"
_SYNCHRONOUS = "SELECT set_config('synchronous_commit', $1, true)"


def _nobody(_answers: list[Answer], _error: Exception | None) -> None:
    """Nobody waits for the answer."""


def receipt_number() -> int:
    """A number that no other transaction has, within the day that receipts are kept."""
    return int(clock.token_hex(8), 16) >> 1
