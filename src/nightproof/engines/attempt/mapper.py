"""map and stream: many items, each checkpointed on its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from nightproof.durable.context import MapCall
from nightproof.durable.step import Step
from nightproof.engines.attempt.state import Attempt
from nightproof.engines.attempt.steps import MISSING, recorded_failure
from nightproof.errors import CodecError, MisuseError, StepFailed
from nightproof.journal.commit import Committed
from nightproof.model import clock
from nightproof.model.fingerprint import fingerprint
from nightproof.model.states import Kind

DEFAULT_CONCURRENCY = 16
REPLAYS_PER_TURN = 256
"""After so many replayed items the event loop gets a turn."""


class Mapper:
    """One call of ``step.map`` or ``step.stream``."""

    def __init__(self, run: Attempt, step: Step[..., Any], call: MapCall) -> None:
        if step.mints:
            raise MisuseError(f"step '{step.name}' expires or is secret and cannot be mapped")
        self.run = run
        self.step = step
        self.call = call
        self.keys: set[str] = set()
        self.width = run.concurrency.get(step.name) or call.concurrency or DEFAULT_CONCURRENCY
        self._prepare()

    def _prepare(self) -> None:
        arguments = self.step.arguments
        names = list(arguments.parameters)
        if not names or names[0] not in arguments.names or arguments.positions[0] != 0:
            raise MisuseError(
                f"step '{self.step.name}' cannot be mapped: its first parameter receives the item "
                "and must be stored"
            )
        sample = arguments.bind((None,), self.call.common)
        self._values = sample
        rest = arguments.encoders[1:], arguments.positions[1:]
        self._rest = [encode(sample[at]) for encode, at in zip(rest[0], rest[1], strict=True)]
        if self.run.mints.by_value:
            padded = self.run.mints.substitute(arguments, sample, [b"", *self._rest])
            self._rest = padded[1:]
        self._encode = arguments.encoders[0]
        self._code = self.run.ledger.know(self.step)

    def items(self) -> Iterator[tuple[Any, str, list[bytes], bytes]]:
        """Each item with its label, its encoded inputs and its fingerprint, in order."""
        rest, encode, prefix = self._rest, self._encode, self.step.prefix
        following, key = self.run.seen.next, self.call.key
        expiring = self.run.mints.by_value
        label = ""
        for item in self.call.items:
            if key is not None:
                label = self._label(key, item)
            parts = [encode(item), *rest]
            if expiring:
                parts[0] = self.run.mints.veil(parts[0])
            yield item, label, parts, following(fingerprint(prefix, parts))

    def _label(self, key: Callable[[Any], str], item: Any) -> str:
        label = str(key(item))
        if label in self.keys:
            raise MisuseError(
                f"step '{self.step.name}': two items of one map have the key {label!r}",
                "Keys name items in the ledger, so they must differ.",
            )
        self.keys.add(label)
        return label

    def announce(self) -> int | None:
        """Tell progress how many items there are, where that is known."""
        try:
            total = len(self.call.items)  # type: ignore[arg-type]
        except TypeError:
            return None
        progress = self.run.progress.of(self.step.name)
        progress.total = (progress.total or 0) + total
        quotas = [one.name for one in self.step.quotas]
        told = {"step": self.step.name, "total": total, **({"quotas": quotas} if quotas else {})}
        self.run.note("map", told)
        return total

    async def collect(self) -> list[Any]:
        """All results, in the order of the items."""
        total = self.announce()
        results: list[Any] = []
        failures: list[tuple[int, StepFailed]] = []
        source = self.items()
        width = self.width if total is None else min(self.width, total)
        workers = [
            asyncio.ensure_future(self._work(source, results, failures)) for _ in range(width)
        ]
        try:
            await asyncio.gather(*workers)
        except BaseException:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            raise
        if failures:
            raise min(failures, key=lambda pair: pair[0])[1]
        return results

    async def _work(
        self,
        source: Iterator[tuple[Any, str, list[bytes], bytes]],
        results: list[Any],
        failures: list[tuple[int, StepFailed]],
    ) -> None:
        run, step, common = self.run, self.step, self.call.common
        recorded, decode = run.ledger.recorded, step.result.decode
        execute = run.steps.execute
        progress = run.progress.of(step.name)
        collecting = self.call.on_error == "collect"
        replays = 0
        # The next item begins while the last one's commit is on its way; no result
        # leaves the map before every commit is acknowledged.
        acks: list[Committed] = []
        for item, label, parts, fp in source:
            at = len(results)
            results.append(None)
            found = recorded.pop(fp, None) if recorded else None
            if (
                found is not None
                and found.output is not None
                and found.blob is None
                and found.kind == Kind.RESULT
                and step.simple
            ):
                try:
                    results[at] = decode(found.output)
                except CodecError:
                    pass  # _replayed() tells of it
                else:
                    progress.replayed += 1
                    replays += 1
                    if replays % REPLAYS_PER_TURN == 0:
                        await clock.turn()
                    continue
            try:
                if found is not None:
                    results[at] = await self._replayed(found, fp, item, label, parts)
                else:
                    results[at] = await execute(step, (item,), common, parts, fp, label, acks)
                    if len(acks) > 1:
                        await acks.pop(0)
            except StepFailed as failure:
                if collecting:
                    results[at] = failure
                else:
                    failures.append((at, failure))
            if failures:
                break
        for ack in acks:
            await ack

    async def _replayed(
        self, found: Any, fp: bytes, item: Any, label: str, parts: list[bytes]
    ) -> Any:
        run, step = self.run, self.step
        if found.kind == Kind.FAILURE:
            data = await run.ledger.whole(found)
            if data is not None:
                run.progress.of(step.name).failed += 1
                raise recorded_failure(step, data, label)
        value = await run.steps.replay(step, found, fp, (item,), self.call.common)
        if value is MISSING:
            return await run.steps.execute(step, (item,), self.call.common, parts, fp, label)
        return value

    async def stream(self) -> AsyncIterator[Any]:
        """The results one by one, in order, a bounded number ahead of the consumer."""
        self.announce()
        source = self.items()
        ahead: deque[asyncio.Task[Any]] = deque()
        try:
            exhausted = False
            while True:
                while not exhausted and len(ahead) < self.width:
                    entry = next(source, None)
                    if entry is None:
                        exhausted = True
                    else:
                        ahead.append(asyncio.create_task(self._one(*entry)))
                if not ahead:
                    return
                yield await ahead.popleft()
        finally:
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    def _one(
        self, item: Any, label: str, parts: list[bytes], fp: bytes
    ) -> Coroutine[Any, Any, Any]:
        found = self.run.ledger.recorded.pop(fp, None)
        if found is not None:
            return self._replayed(found, fp, item, label, parts)
        return self.run.steps.execute(self.step, (item,), self.call.common, parts, fp, label)
