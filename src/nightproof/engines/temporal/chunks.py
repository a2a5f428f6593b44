"""Some items of a map, in one activity: those on record are read, the others run side by side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from nightproof.durable.step import Step
from nightproof.engines.temporal import calls
from nightproof.engines.temporal.heart import Heart, leaves
from nightproof.engines.temporal.messages import ChunkAnswer, ChunkAsk
from nightproof.engines.temporal.parts import Failure, Rest
from nightproof.engines.temporal.worker_run import Holding, Resting, WorkerRun
from nightproof.errors import StepFailed
from nightproof.journal.commit import Committed
from nightproof.journal.records import Entry
from nightproof.model.fingerprint import fingerprint, repeated
from nightproof.model.states import Kind


class Item(NamedTuple):
    """One item: its place in the chunk, how it is called, and what identifies the call."""

    place: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    parts: list[bytes]
    fp: bytes
    label: str


class Chunk:
    """The items of one activity on their way."""

    def __init__(self, run: WorkerRun, step: Step[..., Any], ask: ChunkAsk, heart: Heart) -> None:
        self._run = run
        self._step = step
        self._ask = ask
        self._heart = heart
        self._stopped = False
        self._rests: list[Resting] = []
        self._held: Holding | None = None
        self._ran: set[int] = set()

    async def work(self) -> ChunkAnswer:
        """Run what is missing; what became of every item."""
        run, step = self._run, self._step
        items = list(self._items())
        fps = [item.fp for item in items]
        before = await run.ledger.outcomes(fps)
        await self._drop_what_is_lost(before)
        todo = [item for item in items if item.fp not in before]
        if todo:
            run.ledger.know(step)
            await self._run_all(iter(todo))
            await run.ledger.written()
        after = before
        if todo:
            found = await run.ledger.outcomes([item.fp for item in todo])
            after = {**before, **found}
        return await self._answer(items, before, after)

    def _items(self) -> Iterator[Item]:
        run, step, ask = self._run, self._step, self._ask
        arguments = step.arguments
        common = [part.encode() for part in ask["common"]]
        encode, mints = arguments.encoders[0], run.mints
        rest: list[bytes] = []
        shared: tuple[Any, ...] = ()
        for place, (text, label, wanted, occurrence) in enumerate(ask["items"]):
            if not place:
                shared = arguments.values([text.encode(), *common], run.host.made)
                rest = arguments.parts(shared)[1:]
                if mints.by_value:
                    rest = mints.substitute(arguments, shared, [b"", *rest])[1:]
                values = shared
            else:
                values = (arguments.value(0, text.encode()), *shared[1:])
            parts = [encode(values[0]), *rest]
            if mints.by_value:
                parts[0] = mints.veil(parts[0])
            fp = repeated(fingerprint(step.prefix, parts), occurrence)
            calls.verify(step, fp, wanted)
            yield Item(place, *arguments.call(values), parts, fp, label)

    async def _drop_what_is_lost(self, found: dict[bytes, Entry]) -> None:
        """Let what cannot be read any more run again."""
        careful = not self._step.simple or self._step.result.has_refs
        for fp, entry in list(found.items()):
            if not careful and entry.kind == Kind.RESULT and entry.blob is None:
                continue
            if not await calls.whole(self._run, self._step, entry):
                await self._run.ledger.forget(entry)
                del found[fp]

    async def _run_all(self, source: Iterator[Item]) -> None:
        tasks = [asyncio.create_task(self._some(source)) for _ in range(self._ask["width"])]
        try:
            await self._until_done(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _until_done(self, tasks: list[asyncio.Task[None]]) -> None:
        """Until no item is in flight; one that is cancelled begins no other."""
        pending: set[asyncio.Task[None]] = set(tasks)
        patience: float | None = None
        while pending:
            try:
                done, pending = await asyncio.wait(
                    pending, timeout=patience, return_when=asyncio.FIRST_EXCEPTION
                )
            except asyncio.CancelledError:
                self._stopped = True
                _taken_back()
                # A worker that leaves has waited already; who cancels the run does not wait.
                at_once = leaves() or await self._run_is_cancelled()
                patience = 0.0 if at_once else self._run.settings.grace
                continue
            if not done or any(task.exception() for task in done if not task.cancelled()):
                return

    async def _run_is_cancelled(self) -> bool:
        """Not only this map, because an item of it has failed."""
        run = self._run
        return bool(await run.host.journal.cancelled([run.row.id]))

    async def _some(self, source: Iterator[Item]) -> None:
        """Item after item; the next one begins while the last one's commit is on its way."""
        run, step = self._run, self._step
        acks: list[Committed] = []
        collecting = self._ask["on_error"] == "collect"
        while not (self._stopped or run.host.draining.is_set()):
            item = next(source, None)
            if item is None:
                break
            run.nested()
            try:
                await run.steps.execute(
                    step, item.args, item.kwargs, item.parts, item.fp, item.label, acks
                )
            except StepFailed:
                if not collecting:
                    self._stopped = True
            except Resting as rest:
                self._rests.append(rest)
                break
            except Holding as held:
                self._held, self._stopped = held, True
                break
            self._ran.add(item.place)
            self._heart.done += 1
            if len(acks) > 1:
                await acks.pop(0)
        for ack in acks:
            await ack

    async def _answer(
        self, items: list[Item], before: dict[bytes, Entry], after: dict[bytes, Entry]
    ) -> ChunkAnswer:
        answer = ChunkAnswer(values=[], raw={}, failures={}, missing=[])
        values = answer["values"]
        for item in items:
            entry = after.get(item.fp)
            value: str | None = None
            if entry is None:
                answer["missing"].append(item.place)
            elif entry.kind == Kind.FAILURE:
                answer["failures"][str(item.place)] = cast(
                    "Failure", json.loads(entry.output or b"{}")
                )
            elif entry.blob is None:
                value = (entry.output or b"").decode()
            else:
                value = await self._large(entry, item, answer)
            values.append(value)
        failed = {int(place) for place in answer["failures"]}
        old = {item.place for item in items if item.fp in before}
        answer["executed"] = len(self._ran - failed)
        answer["replayed"] = len(old - failed)
        answer["failed"] = len(failed)
        if self._held is not None:
            held = self._held
            answer["held"] = {
                "effect": held.effect, "key": held.key, "why": held.why,
                "reason": self._run.decision(held),
            }  # fmt: skip
        elif self._rests and not self._stopped and not self._run.host.draining.is_set():
            answer["rest"] = together(self._rests)
        return answer

    async def _large(self, entry: Entry, item: Item, answer: ChunkAnswer) -> str | None:
        found = await calls.answered(self._run, self._step, entry)
        if "ok" in found:
            return found["ok"]
        answer["raw"][str(item.place)] = found["raw64"], found["form"]
        return None


def together(rests: list[Resting]) -> Rest:
    """The wait after which the first of them can go on."""
    ends = [rest.until for rest in rests if rest.until is not None]
    return {
        "until": min(ends) if ends else None,
        "reason": "; ".join(sorted({rest.reason for rest in rests})),
    }


def _taken_back() -> None:
    """The cancellation is dealt with: the activity answers."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
