"""Waiting in a workflow: Temporal's timers, and pokes that say that something may have come."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any, cast

from temporalio import workflow
from temporalio.exceptions import FailureError

from nightproof.engines.temporal.execution import Execution
from nightproof.engines.temporal.messages import (
    PAUSE,
    TAKE,
    PauseAsk,
    TakeAsk,
)
from nightproof.engines.temporal.parts import Pending
from nightproof.engines.temporal.record import short
from nightproof.errors import CodecError, NightproofError
from nightproof.model import awaited, clock
from nightproof.model.codec import Codec
from nightproof.model.fingerprint import fingerprint
from nightproof.model.states import Kind

LOOK_SECONDS = 600.0
"""So often a run that waits for a signal or a decision looks, even if nobody pokes it."""
HELD_SECONDS = 3600.0
"""So often a held effect is looked at again, even if nobody says that it was resolved."""
SETTLE_SECONDS = 0.05
"""How long a run must be idle before it says that it waits, so that other branches can begin."""
WRITTEN_SECONDS = 1.0
"""A wait that is longer is on record before it begins, so that new code keeps its end."""
CHILD = "nightproof.child"
"""The signal by which a child says that it is parked, or goes on."""
_SHORTEST = 0.001


class Waiting:
    """What a run waits for."""

    def __init__(self, run: Execution) -> None:
        self._run = run
        self._open: dict[int, tuple[float | None, str]] = {}
        self._serial = 0
        self._taken: set[int] = set()
        self._settling: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        self._children: dict[str, int] = {}
        self.awaited: set[str] = set()
        """The child runs that the body waits for."""
        self._telling: asyncio.Future[None] | None = None
        self._going: asyncio.Future[None] | None = None
        self.pokes = 0
        self.parked = ""
        """What the run row says that it waits for; "" while it works."""
        self.wake: float | None = None

    def poke(self) -> None:
        """Something may have come: whoever waits for it looks."""
        self.pokes += 1

    async def sleep_until(self, name: str, until: datetime | float) -> None:
        """Wait until a time, or for a duration in seconds; the end is recorded."""
        run = self._run
        absolute = isinstance(until, datetime)
        stated = until.isoformat() if isinstance(until, datetime) else repr(float(until))
        fp = run.seen.next(fingerprint(b"\0wait", [name.encode(), stated.encode()]))
        data = short(run.record.take(fp))
        if data:
            end = float(json.loads(data)["until"])
        else:
            now = workflow.time()
            end = until.timestamp() if isinstance(until, datetime) else now + until
            self._write(fp, {"until": end, "absolute": absolute})
        at = clock.from_ms(int(end * 1000)).isoformat(timespec="seconds")
        await self.rest(end, f"until {at}")

    def _write(self, fp: bytes, data: dict[str, Any]) -> None:
        entry = Pending(kind=Kind.WAIT, fp=fp.hex(), output=json.dumps(data))
        self._run.asking.later(entry)

    async def wait_for(self, name: str, annotation: Any, timeout: float | None) -> Any:
        """Wait for a signal; its payload is recorded when it is taken.

        One that does not fit the annotation is put aside: that is said, and the run waits on.
        """
        run = self._run
        codec: Codec[Any] = Codec(annotation, f"the payload of signal '{name}'")
        fp = run.seen.next(fingerprint(b"\0signal", [name.encode()]))
        found = run.record.take(fp)
        data = short(found)
        end, over = None, False
        if found is not None and found.kind == Kind.SIGNAL:
            if data is not None:
                return codec.decode(data)
        elif data:
            kept = json.loads(data)
            end, over = kept["until"], kept.get("over", False)
        elif timeout is not None:
            end = workflow.time() + timeout
            self._write(fp, {"until": end})
        wait = awaited.Awaited(name, awaited.expected(annotation))
        while not over:
            seen = self.pokes
            message = {"name": name, "fp": fp.hex(), "but": sorted(self._taken)}
            answer = await run.asking.ask(
                TAKE, cast("TakeAsk", message), f"take-{fp.hex()}", works=False
            )
            if "id" in answer:
                if answer["id"] in self._taken:
                    continue  # another branch has taken it meanwhile: there may be one more
                try:
                    value = codec.decode(answer["payload"].encode())
                except (CodecError, ValueError) as error:
                    if not answer["id"]:
                        raise  # it is on record: it fitted once
                    wrong = awaited.unfit(codec, error)
                    self._took(fp, answer["id"])
                    run.note(awaited.MISFIT, awaited.misfit_note(name, annotation, wrong))
                    wait = wait.put_aside(wrong)
                    continue
                self._took(fp, answer["id"], codec.encode(value).decode())
                return value
            if end is not None and workflow.time() >= end:
                # Recorded, so that a signal that comes later does not change the past.
                self._write(fp, {"until": end, "over": True})
                break
            await self.rest(end, str(wait), seen)
        raise TimeoutError(f"no signal '{name}' within {timeout or 0:g} s")

    def _took(self, fp: bytes, number: int, output: str | None = None) -> None:
        """Note that a signal is taken, with its payload where that fits.

        Also where it does not: a resume would meet it again. Number 0 is on record already.
        """
        if number:
            self._taken.add(number)
            kind = 0 if output is None else Kind.SIGNAL
            entry = Pending(kind=kind, fp=fp.hex(), output=output)
            entry["signal"] = number
            self._run.asking.later(entry)

    async def rest(
        self,
        end: float | None,
        reason: str,
        seen: int | None = None,
        look: float = LOOK_SECONDS,
    ) -> None:
        """Suspend until `end` (seconds since the epoch); with `seen` also until the next poke.

        `seen` is how many pokes there were when the caller last looked; then the caller is
        to look again after `look` seconds as well.
        """
        run = self._run
        await run.turn()
        self._serial += 1
        number = self._serial
        self._open[number] = (end, reason)
        try:
            if end is None or end - workflow.time() > WRITTEN_SECONDS:
                await run.asking.flush()
            self._consider()
            left = None if end is None else max(end - workflow.time(), 0.0)
            if seen is None:
                if left is not None and left > 0:
                    run.news += 1
                    await workflow.sleep(max(left, _SHORTEST))
                return
            run.news += 1
            longest = look if left is None else min(left, look)
            try:
                await workflow.wait_condition(
                    lambda: self.pokes != seen, timeout=max(longest, _SHORTEST)
                )
            except TimeoutError:
                return
        finally:
            del self._open[number]

    @property
    def idle(self) -> bool:
        """Whether the run does nothing but wait for long, and its row says so."""
        return (
            bool(self.parked)
            and not (self._run.asking.flying or self._run.flights)
            and self._long()
        )

    def _consider(self) -> None:
        if self._settling is None and self._long() and not self._works():
            self._settling = asyncio.ensure_future(self._settle())

    def consider(self) -> None:
        """Work has ended: what waits may be all that is left."""
        if self._open:
            self._consider()

    def _works(self) -> bool:
        return bool(self._run.active or self._run.flights)

    def _long(self) -> bool:
        if not self._open:
            return False
        soon = workflow.time() + self._run.park_after
        return all(end is None or end > soon for end, _ in self._open.values())

    async def _settle(self) -> None:
        """Show in the run row what the run waits for, once it is idle."""
        run = self._run
        try:
            await workflow.sleep(SETTLE_SECONDS)
            if self._works() or run.halting or not self._long():
                return
            ends = [end for end, _ in self._open.values() if end is not None]
            reason = "; ".join(sorted({reason for _, reason in self._open.values()}))
            wake = min(ends) if ends else None
            async with self._changing:
                if not self._works() and (reason != self.parked or wake != self.wake):
                    await self._pause(reason, wake)
        except NightproofError:
            return  # a lost lease has ended the body; anything else is met again at the end
        finally:
            self._settling = None

    async def go_on(self) -> None:
        """Before work begins: the run row says that the run goes on."""
        if self.parked or self._changing.locked():
            async with self._changing:
                if self.parked:
                    await self._pause("", None)

    async def _pause(self, reason: str, wake: float | None) -> None:
        run = self._run
        message = {"waiting": reason, "wake": wake}
        await run.asking.ask(
            PAUSE, cast("PauseAsk", message), "pause" if reason else "go-on", works=False, last=True
        )
        self.parked, self.wake = reason, wake
        parent = workflow.info().parent
        if parent is not None:
            told = self._tell(parent.workflow_id, {"run": run.facts["name"], "wake": wake})
            self._telling = asyncio.ensure_future(told)

    async def _tell(self, parent: str, news: dict[str, Any]) -> None:
        """Let the parent know: while this run is parked, so is who only waits for it."""
        try:
            handle = workflow.get_external_workflow_handle(parent)
            await handle.signal(CHILD, {**news, "parked": bool(self.parked)})
        except FailureError:
            return  # it is over, or works on in another execution that looks by itself

    def child(self, run: str, parked: bool, wake: float | None) -> None:
        """A child has parked, or goes on."""
        if run not in self.awaited:
            return
        key = f"child run {run}"
        known = self._children.pop(key, None)
        if known is not None:
            del self._open[known]
            self._run.flights += 1
        if parked:
            self._serial += 1
            self._children[key] = self._serial
            self._open[self._serial] = (wake, key)
            self._run.flights -= 1
            self._consider()
        elif self.parked:
            self._going = asyncio.ensure_future(self.go_on())
