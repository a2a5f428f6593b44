"""What strace saw of an attempt (L3), placed in its steps by thread and time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from threading import get_native_id
from typing import Any

from nightproof.durable.context import Scope, current
from nightproof.durable.step import Routine
from nightproof.engines.attempt.state import Attempt
from nightproof.model import clock
from nightproof.provenance.hearing import Sound
from nightproof.provenance.witness import strace
from nightproof.provenance.witness.strace import Span


class Tracing:
    """Notes in which thread and when each step of an attempt works."""

    def __init__(self, run: Attempt) -> None:
        self._run = run
        self._spans = strace.trace.spans if strace.trace is not None else []
        self._begun = _now()
        self._watched: dict[int, _Watched] = {}
        self._threads = run.threads
        self._once = run.steps.once
        # No hook in the engine: attempts without a trace pay nothing for this.
        run.steps.once = self._timed_once  # type: ignore[method-assign]
        run.threads = self  # type: ignore[assignment]

    async def sounds(self) -> list[Sound]:
        """What strace saw since the attempt began; the outermost run also has what came before."""
        trace, run = strace.trace, self._run
        if trace is None:
            return []
        trace.own(_ours(run), _our_hosts(run))
        outermost = run.row.parent is None
        since = trace.began if outermost else self._begun
        found = await asyncio.to_thread(trace.sounds, since, self._begun, run.row.id)
        if outermost:
            trace.began = _now()
        return found

    async def call(self, step: Routine[..., Any], args: Any, kwargs: Any) -> Any:
        """As `Threads.call`."""
        watched = self._watched.get(id(step))
        if watched is None:
            watched = self._watched[id(step)] = _Watched(step, self._spans, self._run.row.id)
        return await self._threads.call(watched, args, kwargs)  # type: ignore[arg-type]

    async def _timed_once(
        self, step: Routine[..., Any], args: Any, kwargs: Mapping[str, Any], fp: bytes
    ) -> Any:
        if not step.is_async:
            return await self._once(step, args, kwargs, fp)
        begin = _now()
        try:
            return await self._once(step, args, kwargs, fp)
        finally:
            self._spans.append(
                Span(begin, _now(), step.name, fp, get_native_id(), self._run.row.id)
            )


class _Watched:
    """A plain step whose function notes where and when it works."""

    def __init__(self, step: Routine[..., Any], spans: list[Span], run: int) -> None:
        self.step = step
        self.pure = getattr(step, "pure", False)
        self.fn = _timed(step.fn, spans, run)


def _timed(fn: Callable[..., Any], spans: list[Span], run: int) -> Callable[..., Any]:
    @wraps(fn)
    def timed(*args: Any, **kwargs: Any) -> Any:
        scope, begin = current.get(), _now()
        try:
            return fn(*args, **kwargs)
        finally:
            if isinstance(scope, Scope):
                spans.append(Span(begin, _now(), scope.name, scope.fp, get_native_id(), run))

    return timed


def _now() -> float:
    return clock.now().timestamp()


def _ours(run: Attempt) -> list[str]:
    """Where nightproof keeps what is its own."""
    store = run.settings.store.removeprefix("sqlite:///")
    journal = [store + end for end in ("", "-wal", "-shm", "-journal")] if store[:1] == "/" else []
    root = str(getattr(run.ledger.blobs, "root", ""))
    return [*journal, root, str(Path(run.engine.artifacts_root))]


def _our_hosts(run: Attempt) -> list[tuple[str, int]]:
    """The servers of journal and blobs, each with its port."""
    found: list[tuple[str, int]] = list(getattr(run.ledger.blobs, "hosts", ()))
    scheme, _, rest = run.settings.store.partition("://")
    if scheme in ("postgresql", "postgres"):
        servers = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
        for server in filter(None, servers.split(",")):
            host, _, port = server.rpartition(":") if server[-1:] != "]" else (server, "", "")
            name = host or server.rstrip(":")
            found.append((name.strip("[]"), int(port) if host and port.isdigit() else 5432))
    return found
