"""Actions are ``nightproof`` commands, carried out in child processes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from nightproof.serving.children import Children, Ended, How

GRACE_SECONDS = 15.0
_REMEMBERED = 10_000
"""Of so many forms it is known what came of them."""


class Commands:
    """Commands under way."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._waiting: dict[str, asyncio.Future[Ended]] = {}
        self._children = Children(say, self._ended)
        self._following: set[asyncio.Task[None]] = set()
        self._forms: dict[str, asyncio.Task[str]] = {}

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._waiting)

    def start(
        self, key: str, label: str, words: Sequence[str], how: How | None = None
    ) -> asyncio.Future[Ended]:
        """Start ``nightproof WORDS``; with the same `key` it is joined while it runs."""
        if key not in self._waiting:
            self._waiting[key] = asyncio.get_running_loop().create_future()
            self._children.start(key, label, words, how)
        return self._waiting[key]

    def follow(self, concluding: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Carry on with what is to be done when a command ends; :meth:`close` waits for it."""
        task = asyncio.ensure_future(concluding)
        self._following.add(task)
        task.add_done_callback(self._followed)
        return task

    def _followed(self, task: asyncio.Task[None]) -> None:
        self._following.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._say(f"what came of a command could not be written down: {error}")

    def begun(self, form: str) -> asyncio.Task[str] | None:
        """What a form has begun that was sent before: in the end, the address it leads to."""
        return self._forms.get(form)

    def once(self, form: str, acting: Coroutine[Any, Any, str]) -> asyncio.Task[str]:
        """Begin what a form asks for, unless it was sent before: then that is joined."""
        if form in self._forms:
            acting.close()
        else:
            self._forms[form] = asyncio.ensure_future(acting)
            if len(self._forms) > _REMEMBERED:
                del self._forms[next(iter(self._forms))]
        return self._forms[form]

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
        while self._following:
            await asyncio.wait(self._following)
