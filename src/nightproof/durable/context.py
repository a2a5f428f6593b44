"""Where a piece of user code runs: in no run, in a job's body, or inside a step.

An engine puts a :class:`Runtime` into :data:`current` around a job's body, and a
:class:`Scope` around each step. Nothing here knows an engine.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from nightproof.errors import MisuseError

if TYPE_CHECKING:
    from nightproof.limits import Quota

OnError = Literal["raise", "collect"]


class MapCall(NamedTuple):
    """One call of ``step.map`` or ``step.stream``."""

    items: Iterable[Any]
    common: Mapping[str, Any]
    key: Callable[[Any], str] | None
    concurrency: int | None
    on_error: OnError


class Artifact(NamedTuple):
    """A file that a run delivered: its absolute path, its sha256 (hex) and its size in bytes."""

    path: str
    sha256: str
    size: int


class Runtime(Protocol):
    """What a job's body reaches through the public functions.

    Steps, effects and jobs appear as Any: their classes stand above this module.
    """

    @property
    def contract(self) -> bytes:
        """The run's contract, as JSON."""
        ...

    @property
    def folders(self) -> Sequence[str]:
        """The folders of the job's file and, where it has one, of the contract's."""
        ...

    def call(
        self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]: ...

    def map(self, step: Any, call: MapCall) -> Coroutine[Any, Any, list[Any]]: ...

    def stream(self, step: Any, call: MapCall) -> AsyncIterator[Any]: ...

    def effect(
        self, effect: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]: ...

    def child(self, job: Any, contract: Any) -> Coroutine[Any, Any, Any]: ...

    def artifact(
        self, path: str, content: str | bytes, media_type: str | None
    ) -> Coroutine[Any, Any, Artifact]: ...

    def value(self, name: str, make: Callable[[], Any], annotation: Any) -> Any: ...

    def rng(self) -> Any: ...

    def rng_for(self, fp: bytes) -> Any: ...

    def sleep_until(self, name: str, until: datetime | float) -> Awaitable[None]: ...

    def wait_for(
        self, name: str, annotation: Any, timeout: float | None
    ) -> Coroutine[Any, Any, Any]: ...

    def note(self, kind: str, data: dict[str, Any]) -> None: ...

    def spend(self, amounts: dict[str, float]) -> None: ...

    def put_blob(self, data: bytes) -> tuple[str, int]: ...

    def get_blob(self, digest: str) -> bytes: ...


class Scope:
    """The inside of one execution of a step or effect."""

    __slots__ = ("_rng", "depends", "fp", "idempotency_key", "name", "quotas", "runtime")

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        fp: bytes,
        key: str | None = None,
        quotas: tuple[Quota, ...] = (),
    ) -> None:
        self.runtime = runtime
        self.quotas = quotas
        self.name = name
        self.fp = fp
        self.idempotency_key = key
        self.depends: list[tuple[bytes, int]] | None = None
        self._rng: Any = None

    @property
    def rng(self) -> Any:
        """The generator that the global functions of ``random`` draw from in here."""
        if self._rng is None:
            self._rng = self.runtime.rng_for(self.fp)
        return self._rng


current: ContextVar[Runtime | Scope | None] = ContextVar("nightproof", default=None)


def runtime(what: str) -> Runtime:
    """The runtime of the job whose body calls `what`.

    Raises :class:`MisuseError` inside a step and outside a run.
    """
    found = current.get()
    if found is None:
        raise MisuseError(
            f"{what} was called outside a run",
            "Call it in the body of a @job; start the job with `await job.run(contract)`.",
        )
    if isinstance(found, Scope):
        raise MisuseError(
            f"{what} was called inside step '{found.name}'",
            "Call it in the body of the @job, and hand the value to the step.",
        )
    return found


def any_runtime() -> Runtime | None:
    """The runtime around the caller, inside a step too; None outside a run."""
    found = current.get()
    return found.runtime if isinstance(found, Scope) else found


def idempotency_key() -> str:
    """The key to give a provider that deduplicates: the same for every try of one effect.

    Raises :class:`MisuseError` outside an effect.
    """
    found = current.get()
    if not isinstance(found, Scope) or found.idempotency_key is None:
        raise MisuseError(
            "idempotency_key() was called outside an effect",
            "Call it in the body of a function decorated with @effect.",
        )
    return found.idempotency_key
