"""Waiting, durably: sleeps, signals, server-told pauses, and parking when it is long."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any

from nightproof.engines.attempt.state import Attempt
from nightproof.errors import CodecError
from nightproof.journal.records import Entry, TakeSignal
from nightproof.model import clock
from nightproof.model.codec import Codec
from nightproof.model.fingerprint import fingerprint
from nightproof.model.states import Kind

NOTHING_SECONDS = 1e-6
"""Too little to wait for: a clock that counts from 1970 cannot add much less."""
CHUNK_SECONDS = 30.0
"""Wall clocks jump; a long wait looks at the clock again this often."""
LOOK_SECONDS = 0.5
"""While a long wait is open and something else works: how often to look if it is done."""
SETTLE_SECONDS = 0.05
"""How long a run must be idle before it parks, so that other branches can begin."""
TURNS = 16
"""And so many turns of the event loop, where the process had no time to run in."""
FAST_SECONDS = 1.0
"""A clock that moves on by so much more than the loop's own passes long waits by itself."""


class Waits:
    """What a run waits for."""

    def __init__(self, run: Attempt) -> None:
        self._run = run
        self._open: dict[int, tuple[float | None, str]] = {}
        self._serial = 0
        self._parking: asyncio.TimerHandle | None = None
        self._taken: set[int] = set()
        self.arrived = asyncio.Event()

    @property
    def for_signals(self) -> bool:
        """Whether somebody waits for a signal, so that the store is worth asking."""
        return any(reason.startswith("signal ") for _, reason in self._open.values())

    async def sleep_until(self, name: str, until: datetime | float) -> None:
        """Wait until a time, or for a duration in seconds; the end is recorded."""
        run = self._run
        absolute = isinstance(until, datetime)
        longest = None if isinstance(until, datetime) else float(until)
        stated = until.isoformat() if isinstance(until, datetime) else repr(float(until))
        fp = run.seen.next(fingerprint(b"\0wait", [name.encode(), stated.encode()]))
        found = run.ledger.recorded.pop(fp, None)
        if found is not None and found.output is not None:
            end = float(json.loads(found.output)["until"])
        else:
            now = clock.now().timestamp()
            end = until.timestamp() if isinstance(until, datetime) else now + until
            output = json.dumps({"until": end, "absolute": absolute}).encode()
            await run.ledger.append(run.ledger.entry(Kind.WAIT, fp, output))
        at = clock.from_ms(int(end * 1000)).isoformat(timespec="seconds")
        await self.rest(end, f"until {at}", longest=longest)

    async def wait_for(self, name: str, annotation: Any, timeout: float | None) -> Any:
        """Wait for a signal; its payload is recorded when it is taken.

        One that does not fit the annotation is put aside: that is said, and the run waits on.
        """
        from nightproof.model import awaited  # of no use to most runs

        run = self._run
        codec: Codec[Any] = Codec(annotation, f"the payload of signal '{name}'")
        fp = run.seen.next(fingerprint(b"\0signal", [name.encode()]))
        found = run.ledger.recorded.pop(fp, None)
        end = None
        over = False
        if found is not None and found.kind == Kind.SIGNAL:
            data = await run.ledger.whole(found)
            if data is not None:
                return codec.decode(data)
        elif found is not None and found.output is not None:
            kept = json.loads(found.output)
            end, over = kept["until"], kept.get("over", False)
        elif timeout is not None:
            end = clock.now().timestamp() + timeout
            await run.ledger.append(self._wait(fp, {"until": end}))
        wait = awaited.Awaited(name, awaited.expected(annotation))
        while not over:
            self.arrived.clear()
            for signal in await run.ledger.journal.signals(run.row.id):
                if signal.name == name and signal.id not in self._taken:
                    self._taken.add(signal.id)
                    # Taken even where it does not fit, or a resume would meet it again.
                    run.ledger.lane.put(TakeSignal(signal.id))
                    try:
                        value = codec.decode(signal.payload)
                    except (CodecError, ValueError) as error:
                        wrong = awaited.unfit(codec, error)
                        run.note(awaited.MISFIT, awaited.misfit_note(name, annotation, wrong))
                        wait = wait.put_aside(wrong)
                        continue
                    await run.ledger.append(run.ledger.entry(Kind.SIGNAL, fp, codec.encode(value)))
                    return value
            if end is not None and clock.now().timestamp() >= end:
                # Recorded, so that a signal that comes later does not change the past.
                await run.ledger.append(self._wait(fp, {"until": end, "over": True}))
                break
            await self.rest(end, str(wait), self.arrived)
        raise TimeoutError(f"no signal '{name}' within {timeout or 0:g} s")

    def _wait(self, fp: bytes, data: dict[str, Any]) -> Entry:
        return self._run.ledger.entry(Kind.WAIT, fp, json.dumps(data).encode())

    async def backoff(self, delay: float, verdict: Any, reason: str) -> None:
        """The pause before another try; parks the run where it is long."""
        end = clock.now().timestamp() + delay
        if verdict.resets_at is not None:
            end = max(end, verdict.resets_at.timestamp())
        self._run.active -= 1
        try:
            longest = None if verdict.resets_at is not None else delay
            await self.rest(end, f"retry of {reason}", longest=longest)
        finally:
            self._run.active += 1

    async def rest(
        self,
        end: float | None,
        reason: str,
        event: asyncio.Event | None = None,
        longest: float | None = None,
    ) -> None:
        """Suspend until wall-clock time `end` (seconds) or until `event`.

        A wait that is a duration ends after `longest` seconds even where the wall
        clock was set back meanwhile.
        """
        run = self._run
        began = clock.monotonic()
        self._serial += 1
        number = self._serial
        self._open[number] = (end, reason)
        run.progress.waiting[number] = reason
        try:
            self._consider_parking()
            while not (event is not None and event.is_set()):
                left = None if end is None else end - clock.now().timestamp()
                if left is not None and longest is not None:
                    left = min(left, longest - (clock.monotonic() - began))
                if left is not None and left <= NOTHING_SECONDS:
                    return
                chunk = CHUNK_SECONDS if left is None else min(left, CHUNK_SECONDS)
                if event is None:
                    await clock.sleep(chunk)
                else:
                    await _event_or(event, chunk)
        finally:
            del self._open[number]
            del run.progress.waiting[number]

    def _consider_parking(self) -> None:
        if self._parking is None and self._long():
            pause = LOOK_SECONDS if self._run.active else SETTLE_SECONDS
            loop = self._run.loop
            ahead = clock.now().timestamp() - loop.time()
            self._parking = loop.call_later(pause, self._settle, ahead, TURNS)

    def _settle(self, ahead: float, turns: int) -> None:
        """Park, unless the clock has run ahead of the loop's: a test's passes waits at once."""
        loop = self._run.loop
        if turns:
            loop.call_soon(self._settle, ahead, turns - 1)
            return
        self._parking = None
        if clock.now().timestamp() - loop.time() - ahead > FAST_SECONDS:
            self._consider_parking()
        else:
            self._park()

    def _long(self) -> bool:
        """Whether something waits, and all that waits does so for long."""
        if not self._open:
            return False
        soon = clock.now().timestamp() + self._run.settings.park_after
        return all(end is None or end > soon for end, _ in self._open.values())

    def _park(self) -> None:
        if self._run.halting:
            return
        if self._run.active or not self._long():
            # The steps in flight do not say when they are done: look again.
            self._consider_parking()
            return
        ends = [end for end, _ in self._open.values() if end is not None]
        reason = "; ".join(sorted({reason for _, reason in self._open.values()}))
        self._run.park(min(ends) if ends else None, reason)


async def _event_or(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
