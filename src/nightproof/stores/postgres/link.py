"""One connection to a server, driven through libpq's pipeline mode.

psycopg's own asynchronous connection registers with the event loop for every wait;
here the loop watches the socket once, and a whole transaction travels in one message.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from psycopg import Error, pq

from nightproof.stores.postgres.trouble import GONE, Lost, Refused
from nightproof.stores.postgres.values import Row, Value, decode, encode

Statement = tuple[str, Sequence[Value]]
ANEW: Final = "/* anew */ "
"""Before a statement that is planned for the values of every call.

A plan that is kept is made while tables are small, and goes through all of what they have
grown to since.
"""
SILENCE_SECONDS: Final = 75.0
"""A server that owes an answer and says nothing for so long is taken for gone.

Longer than its statement_timeout, shorter than nobody's patience.
"""
LINGER_MS: Final = 1
"""So long an answer is waited for in place: from a server nearby it comes sooner than a turn."""
SPINS: Final = 400
"""Looks before it sleeps for the rest of that time: waking up costs a virtual machine a step's time."""
MISSES: Final = 3
"""After so many answers that took longer nobody waits in place any more, but for one in a hundred."""
_OK, _TUPLES = pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK
_SYNC, _ERROR = pq.ExecStatus.PIPELINE_SYNC, pq.ExecStatus.FATAL_ERROR


class Answer:
    """What the server says to one statement: its rows, or how many it changed."""

    __slots__ = ("count", "rows")

    def __init__(self, rows: list[Row], count: int) -> None:
        self.rows = rows
        self.count = count


Heard = Callable[[list[Answer], Exception | None], None]
"""Called in the event loop with the answers to a unit, or with what went wrong."""


class _Unit:
    """Statements that were sent together, up to a synchronisation point."""

    __slots__ = ("answers", "error", "heard", "prepares", "whole")

    def __init__(self, heard: Heard, whole: bool) -> None:
        self.heard = heard
        self.whole = whole
        """Whether it is a transaction from BEGIN to COMMIT."""
        self.prepares: deque[str | None] = deque()
        self.answers: list[Answer] = []
        self.error: Refused | None = None


class Link:
    """A live connection of the running event loop. After :class:`Lost` it is of no use."""

    def __init__(self, raw: pq.abc.PGconn, prepares: bool = False) -> None:
        self.raw = raw
        self.loop = asyncio.get_running_loop()
        self.lost: Lost | None = None
        self.prepares = prepares
        """Whether statements are prepared: not behind a pooler, which moves between servers."""
        self.notified: Callable[[], None] | None = None
        self._owner = os.getpid()
        self._fd = raw.socket
        self._units: deque[_Unit] = deque()
        self._names: dict[str, bytes] = {}
        self._named = 0
        self._ready: set[str] = set()
        self._writing = False
        self._silence = SILENCE_SECONDS
        self._watch: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._missed = 0
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        raw.nonblocking = 1
        raw.enter_pipeline_mode()
        self.loop.add_reader(self._fd, self._read)

    def send(self, statements: Sequence[Statement], heard: Heard) -> None:
        """Send statements that succeed or fail together; `heard` is told of the outcome."""
        if self.lost is not None:
            heard([], self.lost)
            return
        unit = _Unit(heard, len(statements) > 1 and statements[-1][0] == "COMMIT")
        encoded = [(sql, *encode(values)) for sql, values in statements]
        raw = self.raw
        try:
            for sql, params, formats in encoded:
                if self.prepares and not sql.startswith(ANEW):
                    name = self._names.get(sql)
                    if name is None:
                        name = self._names[sql] = b"n%d" % self._named
                        self._named += 1
                        raw.send_prepare(name, sql.encode())
                        unit.prepares.append(sql)
                    elif sql not in self._ready:
                        # Being prepared by a unit under way, which may yet fail.
                        raw.send_query_params(sql.encode(), params, None, formats, 1)
                        unit.prepares.append(None)
                        continue
                    raw.send_query_prepared(name, params, formats, 1)
                else:
                    raw.send_query_params(sql.encode(), params, None, formats, 1)
                unit.prepares.append(None)
            raw.pipeline_sync()  # flushes what the socket takes
            self._units.append(unit)
            if raw.flush() and not self._writing:
                self._writing = True
                self.loop.add_writer(self._fd, self._write)
        except Error as error:
            self._units.append(unit)
            self._break(Lost(str(error)))
            return
        if self._watch is None:
            self._heard_at = self.loop.time()
            self._watch = self.loop.call_later(self._silence, self._look)

    def ask(self, statements: Sequence[Statement]) -> asyncio.Future[list[Answer]]:
        """As :meth:`send`, as a future that raises :class:`Lost` or :class:`Refused`."""
        future: asyncio.Future[list[Answer]] = self.loop.create_future()

        def heard(answers: list[Answer], error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
                future.exception()  # a caller that was cancelled does not ask for it
            else:
                future.set_result(answers)

        self.send(statements, heard)
        return future

    def allow(self, seconds: float | None) -> None:
        """How long the server may be silent while it owes an answer; None for as long as usual."""
        self._silence = SILENCE_SECONDS if seconds is None else seconds

    def linger(self) -> None:
        """Read the answer to what was sent, where it comes at once; blocks for a moment at most."""
        if self._missed >= MISSES:
            self._missed += 1
            if self._missed % 100:
                return
        look, turns = self._poll.poll, 0
        while self._units and self.lost is None:
            while turns < SPINS and not look(0):
                turns += 1
                os.sched_yield()
            if turns >= SPINS and not look(LINGER_MS):
                self._missed += 1
                return
            self._read()
        self._missed = 0

    def _write(self) -> None:
        try:
            if not self.raw.flush():
                self._writing = False
                self.loop.remove_writer(self._fd)
        except Error as error:
            self._break(Lost(str(error)))

    def _read(self) -> None:
        raw = self.raw
        self._heard_at = self.loop.time()
        try:
            raw.consume_input()
            units = self._units
            ended = False
            while units and not raw.is_busy():
                result = raw.get_result()
                if result is not None:
                    self._take(units[0], result)
                elif ended:
                    break  # a connection that breaks has nothing more to say
                ended = result is None
            if self.notified is not None:
                self._notifications()
            if raw.status != pq.ConnStatus.OK and self.lost is None:
                self._break(Lost(_text(raw.get_error_message())))
        except Error as error:
            self._break(Lost(str(error)))

    def _take(self, unit: _Unit, result: pq.abc.PGresult) -> None:
        status = result.status
        if status == _SYNC:
            self._units.popleft()
            if unit.error is not None and unit.whole:
                # Its COMMIT was skipped with everything else behind the error.
                self.send([("ROLLBACK", ())], _nobody)
            unit.heard(unit.answers, unit.error)
            return
        if status == _ERROR:
            code = _text(result.error_field(pq.DiagnosticField.SQLSTATE) or b"")
            message = _text(result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"")
            if GONE.fullmatch(code):
                self._break(Lost(f"{message} (SQLSTATE {code})", code))
                return
            if unit.error is None:
                unit.error = Refused(code, message or _text(result.error_message))
        prepared = unit.prepares.popleft() if unit.prepares else None
        if prepared is not None:
            if status == _OK:
                self._ready.add(prepared)
            else:
                del self._names[prepared]
        elif status == _TUPLES:
            try:
                unit.answers.append(Answer(decode(result), result.ntuples))
            except (KeyError, ValueError) as error:
                unit.error = Refused("XX000", f"an answer that cannot be read: {error!r}")
        elif status == _OK:
            unit.answers.append(Answer([], result.command_tuples or 0))

    def _notifications(self) -> None:
        some = False
        while self.raw.notifies() is not None:
            some = True
        if some and self.notified is not None:
            self.notified()

    def _look(self) -> None:
        """Break with a server that owes an answer and has said nothing for too long."""
        self._watch = None
        if not self._units:
            return
        silent = self.loop.time() - self._heard_at
        if silent >= self._silence:
            self._break(Lost(f"the server has not answered for {silent:.0f} s"))
        else:
            self._watch = self.loop.call_later(self._silence - silent, self._look)

    def _break(self, lost: Lost) -> None:
        if self.lost is None:
            self.lost = lost
            self._leave()
        units, self._units = list(self._units), deque()
        for unit in units:
            unit.heard([], self.lost)

    def _leave(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if not self.loop.is_closed():
            self.loop.remove_reader(self._fd)
            self.loop.remove_writer(self._fd)
        if self._owner == os.getpid():
            self.raw.finish()

    def close(self) -> None:
        """End the session; what is under way is lost."""
        self._break(Lost("the journal was closed"))


def _nobody(_answers: list[Answer], _error: Exception | None) -> None:
    """Nobody waits for the answer."""


def _text(data: Any) -> str:
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)
