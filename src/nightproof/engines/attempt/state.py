"""What the parts of an attempt share, and what each expects of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from nightproof.config import Settings
from nightproof.durable.context import Runtime
from nightproof.durable.job import Job
from nightproof.durable.step import Routine, Step
from nightproof.engines.attempt.ledger import Ledger
from nightproof.engines.attempt.progress import Progress
from nightproof.engines.attempt.threads import Threads
from nightproof.errors import NightproofError
from nightproof.journal.commit import Committed
from nightproof.journal.records import Recorded, RunRow
from nightproof.model.arguments import Arguments
from nightproof.model.fingerprint import Occurrences
from nightproof.model.states import RunStatus
from nightproof.model.triage import Triage
from nightproof.provenance.hearing import Heard


class Options(NamedTuple):
    """How a run was asked for."""

    effects: bool = False
    """A replicate performs the effects whose keys are new."""
    strict: bool = False
    """Results recorded by other code are refused."""
    concurrency: Mapping[str, int] = MappingProxyType({})
    """Bounds of maps by step name; they win over everything else."""
    answers: Mapping[str, Any] = MappingProxyType({})
    """What effects give, by name, where a replicate withholds them and none is on record."""


class Ending(NamedTuple):
    """Why the body is being stopped from outside."""

    reason: str
    error: NightproofError | None = None
    wake: float | None = None
    waiting: str = ""


@dataclass(slots=True)
class Outcome:
    """How an attempt ended. `error` is what to raise, None for a completed run."""

    name: str
    job: str
    status: RunStatus
    value: Any = None
    result: bytes | None = None
    result_blob: str | None = None
    error: BaseException | None = None
    executed: int = 0
    replayed: int = 0
    failed: int = 0
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    divergences: list[dict[str, Any]] = field(default_factory=list)
    code_changed: dict[str, tuple[str, str]] = field(default_factory=dict)
    from_record: bool = False
    """The run was complete before: nothing was executed."""


class Host(Protocol):
    """What an attempt needs of its engine."""

    loop: asyncio.AbstractEventLoop
    settings: Settings
    threads: Threads
    artifacts_root: Path

    @property
    def alone(self) -> bool:
        """Whether only one run is live, so that commits need not be shared."""
        ...

    @property
    def purses(self) -> Any:
        """The permits of quotas that the engine holds, for all its runs."""
        ...

    def encode_contract(self, job: Job[Any, Any], contract: Any) -> bytes: ...

    def numeric_libraries_loaded(self) -> bool: ...

    @property
    def vouching(self) -> Any:
        """What it performs of effects; see engines/attempt/vouching.py."""
        ...

    async def child(self, parent: Attempt, job: Job[Any, Any], contract: Any) -> Outcome: ...

    async def lives(self, run_name: str) -> bool: ...


class StepPart(Protocol):
    """Executes steps."""

    async def replay(
        self, step: Step[..., Any], found: Recorded, fp: bytes, args: Any, kwargs: Any
    ) -> Any: ...

    async def execute(
        self,
        step: Step[..., Any],
        args: Any,
        kwargs: Mapping[str, Any],
        parts: list[bytes],
        fp: bytes,
        label: str,
        acks: list[Committed] | None = None,
    ) -> Any: ...

    async def once(
        self, step: Routine[..., Any], args: Any, kwargs: Mapping[str, Any], fp: bytes
    ) -> Any: ...

    async def again(
        self,
        step: Step[..., Any],
        args: Any,
        kwargs: Mapping[str, Any],
        fp: bytes,
        error: Exception,
        identity: tuple[list[bytes], str, int],
    ) -> Any: ...

    async def encoded(self, step: Routine[..., Any], value: Any) -> bytes: ...

    def judge(self, step: Any, error: BaseException) -> Triage: ...


class MintPart(Protocol):
    """Keeps expiring values."""

    by_value: dict[Any, Any]

    async def call(self, step: Step[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any: ...

    def substitute(
        self, arguments: Arguments, values: tuple[Any, ...], parts: list[bytes]
    ) -> list[bytes]: ...

    def veil(self, part: bytes) -> bytes: ...

    def freshen(self, args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]: ...

    async def ready(
        self, args: Any, kwargs: Mapping[str, Any]
    ) -> tuple[Any, Mapping[str, Any]]: ...

    async def refresh(
        self, error: Exception, args: Any, kwargs: Mapping[str, Any]
    ) -> tuple[Any, Mapping[str, Any], bool]: ...


class QuotaPart(Protocol):
    """Takes permits of shared quotas."""

    async def permit(self, step: Routine[..., Any]) -> None: ...

    async def park(self, step: Routine[..., Any], verdict: Triage) -> Triage: ...

    def spend(self, amounts: dict[str, float]) -> None: ...


class WaitPart(Protocol):
    """Waits, and parks the run where it is long."""

    def rest(
        self,
        end: float | None,
        reason: str,
        event: asyncio.Event | None = None,
        longest: float | None = None,
    ) -> Awaitable[None]: ...

    async def backoff(self, delay: float, verdict: Triage, reason: str) -> None: ...


class Attempt(Runtime, Protocol):
    """One attempt at one run, as its parts see it."""

    engine: Host
    job: Job[Any, Any]
    row: RunRow
    ledger: Ledger
    options: Options
    loop: asyncio.AbstractEventLoop
    settings: Settings
    threads: Threads
    concurrency: dict[str, int]
    seed: bytes
    seen: Occurrences
    progress: Progress
    steps: StepPart
    mints: MintPart
    waits: WaitPart
    active: int
    """Steps and effects at work, those that wait not counted."""
    halting: bool
    """No further step may begin."""
    resumed: bool
    acting: set[str]
    executed_inputs: dict[str, list[bytes]]
    undoable: list[tuple[Step[..., Any], Any, Any, Any, bytes]]
    divergences: list[dict[str, Any]]
    ending: Ending | None
    heard: Heard | None
    """What is heard of its reads; None where nobody listens."""

    @property
    def quotas(self) -> QuotaPart:
        """Its permits of shared quotas."""
        ...

    def diverged(self, found: dict[str, Any]) -> None: ...

    def never(self) -> asyncio.Future[Any]: ...

    def stop(self, ending: Ending) -> None: ...

    def park(self, until: float | None, reason: str) -> None: ...

    def hold(self, effect: str, key: str, why: str) -> asyncio.Future[Any]: ...

    def seeds_libraries(self) -> bool: ...

    async def lives(self, run_name: str) -> bool: ...
