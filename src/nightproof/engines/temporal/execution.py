"""What the parts of a run's workflow share, and what each expects of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from nightproof.blobs.protocol import Blobs
from nightproof.config import Settings
from nightproof.durable.job import Job
from nightproof.durable.step import Routine, Step
from nightproof.engines.attempt.progress import Progress
from nightproof.engines.attempt.state import Ending
from nightproof.engines.temporal.codec import read_keys
from nightproof.engines.temporal.messages import RunFacts, StepAnswer
from nightproof.engines.temporal.parts import MintRecord, Pending
from nightproof.engines.temporal.starting import Request
from nightproof.journal.records import Recorded
from nightproof.model.fingerprint import Occurrences


class Host(NamedTuple):
    """What a worker lends to the workflows of its task queue."""

    task_queue: str
    jobs: Mapping[str, Job[Any, Any]]
    blobs: Blobs
    park_after: float
    """Seconds; a longer wait shows the run as parked."""
    concurrency: Mapping[str, int]
    """The settings' bounds of maps by step name."""
    encrypts: bool = False
    """Whether what Temporal is given is encrypted."""
    heartbeat: float = 10.0
    """Seconds after which a worker that was not heard of is dead to its activities."""
    events: int | None = None
    """So long a history becomes before it is continued in a new one; None: as Temporal says."""


def host_of(
    settings: Settings, task_queue: str, jobs: Mapping[str, Job[Any, Any]], blobs: Blobs
) -> Host:
    """What a worker with these settings lends."""
    return Host(
        task_queue, jobs, blobs, settings.park_after, settings.concurrency,
        bool(read_keys(settings.temporal_key)), settings.lease / 3,
    )  # fmt: skip


class Calls(Occurrences):
    """Counts equal calls, and says which of them a call is."""

    __slots__ = ()

    def counted(self, first: bytes) -> tuple[bytes, int]:
        """The fingerprint of the next call that is equal to `first`, and how many came before."""
        before = self._seen.get(first, 0)
        return self.next(first), before


class AskingPart(Protocol):
    """Carries out activities."""

    flying: int

    def later(self, entry: Pending) -> None: ...

    def event(self, output: str, fp: bytes | None = None) -> None: ...

    async def ask(
        self,
        activity: str,
        message: Mapping[str, Any],
        ident: str,
        *,
        mints: list[MintRecord] | None = None,
        local: bool = False,
        works: bool = True,
        last: bool = False,
    ) -> Any: ...

    async def flush(self) -> None: ...


class RecordPart(Protocol):
    """Knows what is on record."""

    changed: dict[str, tuple[str, str]]
    undone: set[bytes]

    def take(self, fp: bytes) -> Recorded | None: ...

    def heard(self, what: str, code: str | None, now: str) -> None: ...

    async def recall(self, found: Recorded) -> StepAnswer | None: ...

    def know(self, step: Routine[..., Any]) -> int: ...

    def lost(self, found: Recorded, why: str) -> None: ...


class MintsPart(Protocol):
    """Knows expiring values."""

    by_value: dict[Any, Any]

    def learn(self, told: Iterable[MintRecord]) -> None: ...

    def records(self, known: Iterable[bytes], parts: Iterable[bytes]) -> list[MintRecord]: ...

    def veil(self, part: bytes) -> bytes: ...


class WaitsPart(Protocol):
    """Waits."""

    pokes: int
    awaited: set[str]

    async def rest(
        self, end: float | None, reason: str, seen: int | None = None, look: float = ...
    ) -> None: ...

    async def go_on(self) -> None: ...

    def consider(self) -> None: ...

    def child(self, run: str, parked: bool, wake: float | None) -> None: ...


class Execution(Protocol):
    """One execution of a run's workflow, as its parts see it."""

    host: Host
    job: Job[Any, Any]
    ask: Request
    facts: RunFacts
    park_after: float
    seen: Calls
    progress: Progress
    active: int
    """Activities at work, those that wait not counted."""
    flights: int
    """Child runs that are waited for."""
    cancelling: list[str]
    """The workflows of children to cancel with this run."""
    halting: bool
    """No further activity may begin."""
    news: int
    """What this execution has added to the record."""
    retries: int
    divergences: list[dict[str, Any]]
    ending: Ending | None

    @property
    def asking(self) -> AskingPart: ...

    @property
    def record(self) -> RecordPart: ...

    @property
    def mints(self) -> MintsPart: ...

    @property
    def waits(self) -> WaitsPart: ...

    def note(self, kind: str, data: dict[str, Any]) -> None: ...

    def stop(self, ending: Ending) -> None: ...

    async def turn(self) -> None: ...

    def worked(self) -> None: ...

    def never(self) -> asyncio.Future[Any]: ...

    def check(self, fp: bytes, answer: Mapping[str, Any]) -> None: ...

    def undo_later(self, step: Step[..., Any], parts: list[bytes], fp: bytes) -> None: ...

    def value_of(self, routine: Routine[..., Any], answer: StepAnswer, key: str = "") -> Any: ...

    async def step(
        self,
        routine: Routine[..., Any],
        op: str,
        parts: list[bytes],
        fp: bytes,
        before: int,
        label: str,
        known: list[bytes] | None = None,
    ) -> StepAnswer: ...
