"""Actions are ``nightproof`` commands, carried out in child processes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence

from nightproof.serving.children import Children, Ended

GRACE_SECONDS = 15.0


class Commands:
    """Commands under way; `store` is given to those that are not to find it by themselves."""

    def __init__(self, say: Callable[[str], None], store: str | None = None) -> None:
        self._store = ["--store", store] if store else []
        self._waiting: dict[str, asyncio.Future[Ended]] = {}
        self._children = Children(say, self._ended)

    def start(self, key: str, label: str, words: Sequence[str]) -> asyncio.Future[Ended]:
        """Start ``nightproof WORDS``; with the same `key` it is joined while it runs.

        Options go before the first positional word: give positional words behind ``--``.
        """
        if key not in self._waiting:
            self._waiting[key] = asyncio.get_running_loop().create_future()
            at = words.index("--") if "--" in words else len(words)
            given = [*words[:at], *self._store, *words[at:]]
            self._children.start(key, label, given)
        return self._waiting[key]

    def _ended(self, end: Ended) -> None:
        waiting = self._waiting.pop(end.key, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(end)

    def kill(self) -> None:
        """End those that run at once, with what they have started; from any thread."""
        self._children.ask(signal.SIGKILL)

    async def close(self) -> None:
        """Ask those that run to stop: what they work on can be gone on with."""
        await self._children.drain(GRACE_SECONDS)
