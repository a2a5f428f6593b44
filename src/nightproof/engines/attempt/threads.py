"""Plain functions in threads, and short pure ones where they stand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any

from nightproof.durable.step import Routine
from nightproof.model import clock

WORKERS = 256
"""Threads are made as needed; this many plain steps can run at once."""
SHORT_SECONDS = 100e-6
"""A pure plain step that took no longer than a hop to a thread runs on the loop."""


class Threads:
    """Runs plain functions without holding up the event loop."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._took: dict[int, float] = {}

    async def call(
        self,
        step: Routine[..., Any],
        args: Any,
        kwargs: Any,
        guard: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None,
    ) -> Any:
        """The result of the step's plain function, in the caller's context.

        `guard` wraps the function where it matters that it may outlive its caller's patience.
        """
        pure = getattr(step, "pure", False)
        if pure and self._took.get(id(step), 1.0) <= SHORT_SECONDS:
            return self._timed(step, args, kwargs)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="nightproof-step")
        context = copy_context()
        if guard is not None:
            work = partial(context.run, partial(guard(step.fn), *args, **kwargs))
        else:
            work = partial(context.run, self._timed if pure else _plainly, step, args, kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _timed(self, step: Routine[..., Any], args: Any, kwargs: Any) -> Any:
        started = clock.perf()
        try:
            return step.fn(*args, **kwargs)
        finally:
            self._took[id(step)] = clock.perf() - started

    def close(self) -> None:
        """Let idle threads go; those still at work end with the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _plainly(step: Routine[..., Any], args: Any, kwargs: Any) -> Any:
    return step.fn(*args, **kwargs)
