"""map and stream over workers: chunks of items, each item still recorded on its own."""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, NamedTuple, cast

from nightproof.durable.context import MapCall
from nightproof.durable.step import Step
from nightproof.engines.attempt.mapper import Mapper
from nightproof.engines.attempt.steps import recorded_failure
from nightproof.engines.temporal.execution import Execution
from nightproof.engines.temporal.messages import ChunkAnswer
from nightproof.engines.temporal.record import short
from nightproof.engines.temporal.waiting import HELD_SECONDS
from nightproof.errors import CodecError, StepFailed
from nightproof.model.fingerprint import fingerprint
from nightproof.model.states import Kind

CHUNK_ITEMS = 64
"""Items of a chunk, at least."""
CHUNKS = 200
"""So many chunks a map of known length has at most."""
GROWS_AFTER = 32
"""Where the length is not known, chunks grow to twice the size after so many."""
LARGEST = 4096
PARALLEL = 8
"""So many chunks are under way at a time, at most; they share the map's concurrency."""


class Item(NamedTuple):
    """One item on its way to a worker."""

    at: int
    part: bytes
    label: str
    fp: bytes
    before: int
    known: list[bytes]


class Chunks(Mapper):
    """One call of ``step.map`` or ``step.stream``."""

    def __init__(self, run: Execution, step: Step[..., Any], call: MapCall) -> None:
        self._runtime = run
        super().__init__(cast("Any", run), step, call)
        values = step.arguments.bind((None,), call.common)
        step.arguments.refuse_unsendable(values)
        sent = zip(step.arguments.encoders[1:], step.arguments.positions[1:], strict=True)
        self._common = [encode(values[at]).decode() for encode, at in sent]
        self._total: int | None = None
        self._chunks = 0
        self._results: list[Any] = []
        self._failures: list[tuple[int, StepFailed]] = []
        self._ends = False

    async def collect(self) -> list[Any]:
        """All results, in the order of the items."""
        self._total = self.announce()
        source = self._items()
        parallel = min(PARALLEL, self.width)
        if self._total is not None:
            parallel = max(1, min(parallel, -(-self._total // CHUNK_ITEMS)))
        workers = [asyncio.ensure_future(self._pull(source, parallel)) for _ in range(parallel)]
        try:
            await asyncio.gather(*workers)
        except BaseException:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            if not self._failures or self._runtime.ending is not None:
                raise
        if self._failures:
            raise min(self._failures, key=lambda pair: pair[0])[1]
        return self._results

    async def stream(self) -> AsyncIterator[Any]:
        """The results one by one, in order, a bounded number ahead of the consumer."""
        self.announce()
        source = self._items()
        ahead: deque[tuple[int, int, asyncio.Task[None] | None]] = deque()
        size = max(1, min(CHUNK_ITEMS, self.width))
        given = 0
        try:
            while True:
                while len(ahead) < 2 and not self._ends:
                    first = len(self._results)
                    items = self._chunk(source, size)
                    last = len(self._results)
                    if last == first:
                        break
                    width = -(-self.width // 2)
                    task = asyncio.ensure_future(self._fetch(items, width)) if items else None
                    ahead.append((first, last, task))
                if not ahead:
                    break
                first, last, task = ahead.popleft()
                if task is not None:
                    await task
                broken = min((at for at, _ in self._failures), default=last)
                for at in range(first, min(last, broken)):
                    value, self._results[at] = self._results[at], None
                    given += 1
                    yield value
                if self._failures:
                    raise min(self._failures, key=lambda pair: pair[0])[1]
        except GeneratorExit:
            # Let go of by its consumer: nobody closes it who could wait, in a workflow.
            _call_off(ahead)
            raise
        except BaseException:
            _call_off(ahead)
            await asyncio.gather(*(task for *_, task in ahead if task), return_exceptions=True)
            raise

    def _items(self) -> Iterator[Item]:
        """Each item with what a worker needs of it, in order."""
        run, rest, encode, prefix = self._runtime, self._rest, self._encode, self.step.prefix
        key, expiring = self.call.key, bool(run.mints.by_value)
        for at, item in enumerate(self.call.items):
            label = "" if key is None else self._label(key, item)
            part = encode(item)
            known = [run.mints.veil(part) if expiring else part, *rest]
            fp, before = run.seen.counted(fingerprint(prefix, known))
            yield Item(at, part, label, fp, before, known)

    def _size(self) -> int:
        """How many items the next chunk has."""
        if self._total is not None:
            return max(CHUNK_ITEMS, -(-self._total // CHUNKS))
        return min(LARGEST, CHUNK_ITEMS << (self._chunks // GROWS_AFTER))

    def _chunk(self, source: Iterator[Item], size: int) -> list[Item]:
        """The next items that are not on record; results of others are put in their places."""
        items: list[Item] = []
        first = len(self._results)
        bounded = self._total is None
        for item in source:
            self._results.append(None)
            if not self._recorded(item):
                items.append(item)
            if len(items) >= size or (bounded and len(self._results) - first >= 64 * size):
                break
            if self._failures:
                break
        else:
            self._ends = True
        self._chunks += bool(items)
        return items

    def _recorded(self, item: Item) -> bool:
        """Whether the index has the item's outcome, which is in its place then."""
        found = self._runtime.record.take(item.fp)
        data = short(found)
        if found is None or data is None:
            return False
        progress = self._runtime.progress.of(self.step.name)
        if found.kind == Kind.FAILURE:
            progress.failed += 1
            self._fail(item, recorded_failure(self.step, data, item.label))
            return True
        if found.kind != Kind.RESULT or self.step.result.has_refs:
            return False
        try:
            self._results[item.at] = self.step.result.decode(data)
        except CodecError as error:
            self._runtime.record.lost(found, error.message)
            return False
        progress.replayed += 1
        self._undo_later(item)
        return True

    def _fail(self, item: Item, failure: StepFailed) -> None:
        if self.call.on_error == "collect":
            self._results[item.at] = failure
        else:
            self._failures.append((item.at, failure))

    def _undo_later(self, item: Item) -> None:
        if self.step.undo is not None:
            parts = [item.part, *(part.encode() for part in self._common)]
            self._runtime.undo_later(self.step, parts, item.fp)

    async def _pull(self, source: Iterator[Item], parallel: int) -> None:
        width = -(-self.width // parallel)
        while not self._failures and not self._ends:
            items = self._chunk(source, self._size())
            if items and not self._failures:
                await self._fetch(items, width)
        if self._failures:
            # What others have under way is called off: workers finish the items in flight.
            raise _Stop

    async def _fetch(self, items: list[Item], width: int) -> None:
        """Have workers do the items, as often as some are missing."""
        run, step = self._runtime, self.step
        ident = fingerprint(b"\0chunk", [item.fp for item in items]).hex()
        while items:
            message = {
                "op": "chunk",
                "step": step.name,
                "module": step.fn.__module__,
                "common": self._common,
                "items": [
                    (item.part.decode(), item.label, item.fp.hex(), item.before) for item in items
                ],
                "width": width,
                "on_error": self.call.on_error,
            }
            seen = run.waits.pokes
            mints = run.mints.records(
                (part for item in items for part in item.known),
                (*(item.part for item in items), *(part.encode() for part in self._common)),
            )
            answer: ChunkAnswer = await run.asking.ask(
                step.name, message, f"chunk-{ident}", mints=mints
            )
            run.check(items[0].fp, answer)
            run.record.heard(f"step '{step.name}'", answer.get("code"), step.code)
            items = self._placed(items, answer)
            if run.ending is not None:
                raise asyncio.CancelledError
            if self._failures:
                return
            if "rest" in answer:
                until, reason = answer["rest"]["until"], answer["rest"]["reason"]
                await run.waits.rest(until, reason, seen if until is None else None)
            elif "held" in answer:
                await run.waits.rest(None, answer["held"]["reason"], seen, HELD_SECONDS)

    def _placed(self, items: list[Item], answer: ChunkAnswer) -> list[Item]:
        """Put what came back in its places; the items that are missing."""
        step, decode = self.step, self.step.result.decode
        progress = self._runtime.progress.of(step.name)
        progress.executed += answer.get("executed", 0)
        self._runtime.news += answer.get("executed", 0)
        progress.replayed += answer.get("replayed", 0)
        progress.failed += answer.get("failed", 0)
        missing = set(answer.get("missing", ()))
        failures, raw = answer.get("failures", {}), answer.get("raw", {})
        for place, (item, text) in enumerate(zip(items, answer["values"], strict=True)):
            if text is not None:
                self._results[item.at] = decode(text.encode())
            elif str(place) in raw:
                data, form = raw[str(place)]
                value = step.result.from_raw(base64.b64decode(data), form.encode())
                self._results[item.at] = value
            elif str(place) in failures:
                kept = failures[str(place)]
                self._fail(
                    item,
                    StepFailed(
                        step.name, kept["type"], kept["message"], kept["attempts"], item.label
                    ),
                )
                continue
            else:
                missing.add(place)
                continue
            self._undo_later(item)
        return [items[place] for place in sorted(missing)]


class _Stop(Exception):
    """An item failed: the other chunks of the map are called off."""


def _call_off(ahead: Iterable[tuple[int, int, asyncio.Task[None] | None]]) -> None:
    for *_, task in ahead:
        if task is not None:
            task.cancel()
