"""Expiring and secret steps: tokens that are made on demand and never fingerprinted.

A token differs each time it is made, so a step that takes one is identified by
where the token came from, not by its text; and when the token is refused or
stale, the call gets a new one in its place.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nightproof.durable.context import Scope, current
from nightproof.durable.step import Step
from nightproof.engines.attempt.ledger import hide
from nightproof.engines.attempt.state import Attempt
from nightproof.model import clock
from nightproof.model.arguments import Arguments
from nightproof.model.fingerprint import fingerprint
from nightproof.model.states import Kind

SHORTEST_TEXT = 8
"""Characters; shorter parts of an expiring value are not looked for inside others."""


@dataclass(slots=True)
class Mint:
    """One expiring value, and how to make it again."""

    fp: bytes
    step: Step[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    parts: list[bytes]
    value: Any = None
    made: float | None = None
    serial: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def fresh(self) -> bool:
        """Whether the value is there and not past its time."""
        if self.made is None:
            return False
        lifetime = self.step.expires
        return lifetime is None or clock.now().timestamp() - self.made < lifetime


class Mints:
    """The expiring values of one run."""

    def __init__(self, run: Attempt) -> None:
        self._run = run
        self._by_fp: dict[bytes, Mint] = {}
        self.by_value: dict[Any, Mint] = {}
        self._texts: dict[bytes, bytes] = {}

    async def call(self, step: Step[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
        """The current value of an expiring step: recorded, remembered or made now."""
        arguments = step.arguments
        parts = arguments.parts(arguments.bind(args, kwargs))
        fp = fingerprint(step.prefix, parts)
        mint = self._by_fp.get(fp)
        if mint is None:
            mint = self._by_fp[fp] = Mint(fp, step, args, kwargs, parts)
            await self._recall(mint)
        found = current.get()
        if isinstance(found, Scope):
            value = await self._current(mint)
            found.depends = [*(found.depends or ()), (fp, mint.serial)]
            return value
        return await self._current(mint)

    async def _recall(self, mint: Mint) -> None:
        found = self._run.ledger.recorded.pop(mint.fp, None)
        if found is None or found.kind != Kind.RESULT or mint.step.secret:
            return
        entries = await self._run.ledger.journal.outputs(self._run.row.id, [found.seq])
        data = await self._run.ledger.whole(found)
        if data is None or found.seq not in entries:
            return
        mint.value = mint.step.result.decode(data)
        mint.made = entries[found.seq].at / 1000
        if mint.fresh:
            self._run.ledger.know(mint.step)
            self._run.progress.of(mint.step.name).replayed += 1
            self._remember(mint)
        else:
            mint.made = None

    async def _current(self, mint: Mint) -> Any:
        async with mint.lock:
            if not mint.fresh:
                await self._make(mint)
        return mint.value

    async def _make(self, mint: Mint) -> None:
        run, step = self._run, mint.step
        made = clock.now().timestamp()
        code = run.ledger.know(step)
        try:
            value = await run.steps.once(step, mint.args, mint.kwargs, mint.fp)
        except Exception as error:
            value = await run.steps.again(
                step, mint.args, mint.kwargs, mint.fp, error, (mint.parts, "", code)
            )
        data = await run.steps.encoded(step, value)
        stored = None if step.secret else data
        run.progress.of(step.name).executed += 1
        await run.ledger.append(run.ledger.entry(Kind.RESULT, mint.fp, stored, None, None, code))
        mint.value, mint.made = step.result.decode(data), made
        mint.serial += 1
        self._remember(mint)

    def _remember(self, mint: Mint) -> None:
        mark = b"$from:" + mint.fp.hex().encode()
        for text in _texts(json.loads(mint.step.result.encode(mint.value))):
            self._texts[_inside(text)] = mark
            if mint.step.secret:
                hide(text)
        try:
            self.by_value[mint.value] = mint
        except TypeError:
            # Values that cannot be hashed cannot be recognised among arguments.
            return

    def _of(self, value: Any) -> Mint | None:
        try:
            return self.by_value.get(value)
        except TypeError:
            return None

    def substitute(
        self, arguments: Arguments, values: tuple[Any, ...], parts: list[bytes]
    ) -> list[bytes]:
        """`parts` with each expiring value replaced by where it came from."""
        out = list(parts)
        for index, at in enumerate(arguments.positions):
            mint = self._of(values[at])
            if mint is not None:
                out[index] = b'{"$from":"%s"}' % mint.fp.hex().encode()
        return [self.veil(part) for part in out]

    def veil(self, part: bytes) -> bytes:
        """`part` without the expiring texts inside it, like a token in a header."""
        for text, mark in self._texts.items():
            if text in part:
                part = part.replace(text, mark)
        return part

    def freshen(self, args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
        """The arguments with the newest form of each expiring value."""
        if not self.by_value:
            return args, kwargs
        return (
            tuple(self._newest(value) for value in args),
            {name: self._newest(value) for name, value in kwargs.items()},
        )

    def _newest(self, value: Any) -> Any:
        mint = self._of(value)
        return value if mint is None else mint.value

    async def ready(self, args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
        """As :meth:`freshen`, but values past their time are made again first."""
        for value in (*args, *kwargs.values()):
            mint = self._of(value)
            if mint is not None and not mint.fresh:
                await self._current(mint)
        return self.freshen(args, kwargs)

    async def refresh(
        self, error: Exception, args: Any, kwargs: Mapping[str, Any]
    ) -> tuple[Any, Mapping[str, Any], bool]:
        """After a refused credential: make again what the failed call depended on.

        Returns the arguments for one more try, and whether anything was refreshed.
        """
        refused: dict[bytes, Mint] = {}
        for value in (*args, *kwargs.values()):
            mint = self._of(value)
            if mint is not None:
                refused[mint.fp] = mint
        stale = {
            mint.fp
            for value in (*args, *kwargs.values())
            if (mint := self._of(value)) is not None and mint.value != value
        }
        for fp, serial in getattr(error, "_nightproof_depends", ()):
            refused[fp] = self._by_fp[fp]
            if serial != refused[fp].serial:
                stale.add(fp)
        serials = {fp: mint.serial for fp, mint in refused.items()}
        for fp, mint in refused.items():
            async with mint.lock:
                # Another call may have refreshed it, before this one was refused or since.
                if fp not in stale and mint.serial == serials[fp]:
                    mint.made = None
                    await self._make(mint)
        args, kwargs = self.freshen(args, kwargs)
        return args, kwargs, bool(refused)


def needles(value: str) -> list[bytes]:
    """What says that JSON data hold an expiring value, which is JSON text: it, or a part of it."""
    return [value.encode(), *(_inside(text) for text in _texts(json.loads(value)))]


def _inside(text: str) -> bytes:
    """A text as it stands inside of JSON data."""
    return json.dumps(text, ensure_ascii=False)[1:-1].encode()


def _texts(value: Any) -> Iterator[str]:
    """The texts inside JSON data that are long enough to be a token."""
    if isinstance(value, str):
        if len(value) >= SHORTEST_TEXT:
            yield value
    elif isinstance(value, (list, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
