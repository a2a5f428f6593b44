"""Group commits on a session: sent at once, and read back where the answer was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from operator import attrgetter

from nightproof.journal.commit import Answer
from nightproof.journal.records import LaneBatch
from nightproof.stores.postgres import writing
from nightproof.stores.postgres.link import Answer as Said
from nightproof.stores.postgres.session import Session, Transaction, receipt_number
from nightproof.stores.postgres.trouble import AGAIN, Lost, Refused

Refusals = frozenset[int]
_NONE: Refusals = frozenset()
_RECEIPT = "INSERT INTO receipt (id) VALUES ($1)"
_TOKEN = "SELECT token FROM run WHERE id = $1"  # noqa: S105 - a fencing token
_SAME = "SELECT 1 FROM entry WHERE run = $1 AND seq = $2 AND at = $3 AND crc = $4 AND fp = $5"
_run = attrgetter("run")


class Commit:
    """A commit on its way; `done` is told which runs were refused."""

    def __init__(self, session: Session, batches: Sequence[LaneBatch]) -> None:
        self._session = session
        # In one order everywhere, so that no two processes wait for each other.
        self._batches = sorted(batches, key=_run) if len(batches) > 1 else batches
        self._receipt = receipt_number() if writing.has_receipt(batches) else None
        self._statements = writing.commit(self._batches)
        self._resolving: asyncio.Task[None] | None = None
        self.done = Answer(loop=asyncio.get_running_loop())

    def start(self) -> asyncio.Future[Refusals]:
        """Send it as one message, where nothing else is in the way."""
        session = self._session
        link = session.ready
        if link is None:
            self._resolve_later(None)
            return self.done
        if self._receipt is None:
            sent = self._statements
        else:
            sent = [*self._statements, (_RECEIPT, (self._receipt,))]
        link.send(session.wrapped(sent), self._heard)
        return self.done

    def _heard(self, answers: list[Said], error: Exception | None) -> None:
        if error is not None:
            self._resolve_later(error)
        elif not self.done.done():
            self.done.set_result(self._refusals(self._session.unwrapped(answers)))

    def _refusals(self, answers: list[Said]) -> Refusals:
        """The runs whose first statement met no row."""
        refused = [
            batch.run
            for batch, first in zip(self._batches, answers, strict=False)
            if not first.count
        ]
        return frozenset(refused) if refused else _NONE

    def _resolve_later(self, error: Exception | None) -> None:
        loop = self.done.get_loop()
        if not loop.is_closed():
            self._resolving = loop.create_task(self._resolve(error))

    async def _resolve(self, error: Exception | None) -> None:
        """See it through: from its beginning, or from where its answer was lost."""
        try:
            answer = await self._resolved(error)
        except BaseException as found:
            if not self.done.done():
                self.done.set_exception(found)
                self.done.exception()  # seen, whether or not anybody still waits
            if not isinstance(found, Exception):
                raise
        else:
            if not self.done.done():
                self.done.set_result(answer)

    async def _resolved(self, error: Exception | None) -> Refusals:
        session = self._session
        durable = session.durability == "full"
        if isinstance(error, Refused) and error.code not in AGAIN:
            raise session.explained(error)
        if error is not None and not isinstance(error, (Lost, Refused)):
            raise error
        if self._receipt is None:
            return await session.once(self._again, durable=durable)
        perhaps = [None] if isinstance(error, Lost) else []
        answer = await session.once(
            self._whole, durable=durable, number=self._receipt, kept=perhaps
        )
        return await session.once(self._since) if answer is None else answer

    async def _whole(self, transaction: Transaction) -> Refusals | None:
        """All of it; the transaction holds the receipt."""
        return self._refusals(await transaction.each(self._statements))

    async def _since(self, transaction: Transaction) -> Refusals:
        """It was committed: a run that has another token now was, or will be, refused."""
        refused = []
        for batch in self._batches:
            row = await transaction.one(_TOKEN, batch.run)
            if row is None or row[0] != batch.token:
                refused.append(batch.run)
        return frozenset(refused)

    async def _again(self, transaction: Transaction) -> Refusals:
        """Entries that may be there already; those that are were written by this commit.

        Inserting waits for whatever is left of the lost transaction, and a number is given
        once under one token.
        """
        refused = []
        for batch, (sql, values) in zip(self._batches, self._statements, strict=True):
            if await transaction.run(sql + writing.AGAIN, *values):
                continue
            first = batch.entries[0]
            same = (batch.run, first.seq, first.at, first.crc, first.fp)
            if not await transaction.all(_SAME, *same):
                refused.append(batch.run)
        return frozenset(refused)
