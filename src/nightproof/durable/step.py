"""Steps: work that may be repeated until its result is in the journal."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from datetime import timedelta
from functools import cached_property, update_wrapper
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    TypeVar,
    cast,
    overload,
)

from nightproof.durable.context import MapCall, OnError, Scope, current
from nightproof.errors import MisuseError, StepFailed
from nightproof.model.arguments import AmbientMark, Arguments, resolve_hints
from nightproof.model.code import code_digest
from nightproof.model.codec import Codec
from nightproof.model.retry import Retry

if TYPE_CHECKING:
    from nightproof.limits import Quota

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T")

Ambient = Annotated[T, AmbientMark()]
"""Marks a parameter (a client, a connection) that is neither stored nor fingerprinted."""


def ambient(factory: Callable[[], Any]) -> Any:
    """Say how another process makes an Ambient parameter.

    ::

        def fetch(name: str, client: Annotated[Client, ambient(make_client)]) -> str: ...

    `factory` takes no arguments. Where steps run in the process of the job's body, it is not
    called: the call passes the value. On Temporal each worker process calls it once, for
    all calls.
    """
    return AmbientMark(factory)


DEFAULT_RETRY = Retry()
NO_RETRY = Retry(attempts=1)


def seconds(value: float | timedelta | None, what: str) -> float | None:
    """A duration as seconds; raises MisuseError for one that is not positive."""
    if value is None:
        return None
    number = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if not number > 0:
        raise MisuseError(f"{what}: expected a positive duration, got {value!r}")
    return number


class Routine(Generic[P, R]):
    """What steps and effects share: a function, its name and its codecs."""

    noun = "step"

    def __init__(self, fn: Callable[P, Any], name: str | None) -> None:
        self.fn = fn
        self.name = name or fn.__qualname__.replace("<locals>.", "")
        self.quotas: tuple[Quota, ...] = ()
        self.is_async = inspect.iscoroutinefunction(fn)
        self.prefix = self.name.encode()
        update_wrapper(cast(Any, self), fn, updated=())

    @cached_property
    def where(self) -> str:
        """How errors name it."""
        return f"{self.noun} '{self.name}'"

    @cached_property
    def arguments(self) -> Arguments:
        """The encoder of its arguments."""
        return Arguments(self.fn, self.where)

    @cached_property
    def result(self) -> Codec[R]:
        """The codec of its result."""
        hints = resolve_hints(self.fn, self.where)
        annotation = hints.get("return", inspect.Parameter.empty)
        return Codec(annotation, f"the result of {self.where}")

    @cached_property
    def code(self) -> str:
        """The digest of its code."""
        return code_digest(self.fn)

    async def plain(self, args: Any, kwargs: Any) -> R:
        """An ordinary call, as outside a run."""
        value = self.fn(*args, **kwargs)
        if inspect.isawaitable(value):
            value = await value
        return cast(R, value)


class Step(Routine[P, R]):
    """A function whose results are kept; made by :func:`step`.

    Calling it in a job's body returns the recorded result where there is one, and
    runs the function otherwise. Outside a run, and inside another step, it is an
    ordinary call. ``.fn`` is the undecorated function.
    """

    def __init__(
        self,
        fn: Callable[P, Any],
        *,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: float | timedelta | None = None,
        pure: bool = False,
        expires: timedelta | float | None = None,
        secret: bool = False,
        undo: Callable[..., Any] | None = None,
        quota: Quota | Iterable[Quota] | None = None,
    ) -> None:
        super().__init__(fn, name)
        self.quotas = _several(quota)
        self.pure = pure
        self.retry = retry if retry is not None else (NO_RETRY if pure else DEFAULT_RETRY)
        self.timeout = seconds(timeout, f"@step(timeout=...) of '{self.name}'")
        self.expires = seconds(expires, f"@step(expires=...) of '{self.name}'")
        self.secret = secret
        self.undo = undo
        self.mints = secret or self.expires is not None
        if undo is not None and pure:
            raise MisuseError(
                f"step '{self.name}' is pure and has an undo; a pure step has nothing to undo"
            )

    @cached_property
    def simple(self) -> bool:
        """Whether a recorded result can be handed on without further ado."""
        return self.undo is None and not self.result.has_refs

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Awaitable result of the step."""
        found = current.get()
        if found is None:
            return self.plain(args, kwargs)
        if isinstance(found, Scope):
            if self.mints:
                return found.runtime.call(cast("Step[..., Any]", self), args, kwargs)
            return self.plain(args, kwargs)
        return found.call(cast("Step[..., Any]", self), args, kwargs)

    @overload
    def map(
        self: Step[Concatenate[T, Q], R],
        items: Iterable[T],
        *,
        key: Callable[[T], str] | None = None,
        concurrency: int | None = None,
        on_error: Literal["raise"] = "raise",
        **common: Any,
    ) -> Coroutine[Any, Any, list[R]]: ...

    @overload
    def map(
        self: Step[Concatenate[T, Q], R],
        items: Iterable[T],
        *,
        key: Callable[[T], str] | None = None,
        concurrency: int | None = None,
        on_error: Literal["collect"],
        **common: Any,
    ) -> Coroutine[Any, Any, list[R | StepFailed]]: ...

    def map(
        self,
        items: Iterable[Any],
        *,
        key: Callable[[Any], str] | None = None,
        concurrency: int | None = None,
        on_error: OnError = "raise",
        **common: Any,
    ) -> Coroutine[Any, Any, Any]:
        """Run the step for every item; the results in the order of the items.

        Each item is checkpointed on its own, so a resume runs only what is missing.
        `key` names items (for people and for the ledger; keys must differ),
        `concurrency` bounds how many run at once (default 16; not part of the
        identity), `common` are further arguments, the same for all. With
        ``on_error="raise"`` the first failure ends the map once the items in flight
        are done; ``"collect"`` puts the :class:`StepFailed` in the item's place.
        """
        call = MapCall(items, common, key, _positive(concurrency), on_error)
        found = current.get()
        if found is None or isinstance(found, Scope):
            return self._plain_map(call)
        return found.map(cast("Step[..., Any]", self), call)

    def stream(
        self: Step[Concatenate[T, Q], R],
        items: Iterable[T],
        *,
        key: Callable[[T], str] | None = None,
        concurrency: int | None = None,
        **common: Any,
    ) -> AsyncIterator[R]:
        """As :meth:`map`, but the results come one by one, in order, as they are ready.

        At most a few times `concurrency` results are held in memory.
        """
        call = MapCall(items, common, key, _positive(concurrency), "raise")
        found = current.get()
        if found is None or isinstance(found, Scope):
            return self._plain_stream(call)
        return cast("AsyncIterator[R]", found.stream(cast("Step[..., Any]", self), call))

    async def _plain_map(self, call: MapCall) -> list[Any]:
        return [result async for result in self._plain_stream(call)]

    async def _plain_stream(self, call: MapCall) -> AsyncIterator[Any]:
        for item in call.items:
            yield await self.plain((item,), call.common)


def _several(quota: Quota | Iterable[Quota] | None) -> tuple[Quota, ...]:
    if quota is None:
        return ()
    from nightproof.limits import Quota as Kind  # loaded where there is one

    return (quota,) if isinstance(quota, Kind) else tuple(quota)


def _positive(concurrency: int | None) -> int | None:
    if concurrency is not None and concurrency < 1:
        raise MisuseError(f"concurrency: expected a positive integer, got {concurrency!r}")
    return concurrency


class _StepDecorator:
    """``@step(...)``; keeps the types of plain and async functions apart."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    @overload
    def __call__(self, fn: Callable[P, Awaitable[R]], /) -> Step[P, R]: ...

    @overload
    def __call__(self, fn: Callable[P, R], /) -> Step[P, R]: ...

    def __call__(self, fn: Callable[..., Any], /) -> Any:
        return Step(fn, **self._options)


@overload
def step(fn: Callable[P, Awaitable[R]], /) -> Step[P, R]: ...


@overload
def step(fn: Callable[P, R], /) -> Step[P, R]: ...


@overload
def step(
    *,
    name: str | None = None,
    retry: Retry | None = None,
    timeout: float | timedelta | None = None,
    pure: bool = False,
    expires: timedelta | float | None = None,
    secret: bool = False,
    undo: Callable[..., Any] | None = None,
    quota: Quota | Iterable[Quota] | None = None,
) -> _StepDecorator: ...


def step(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a step of an async or plain function (plain ones run in threads).

    `name` is its identity in the journal (default: the function's qualified name);
    `retry` how failures are tried again; `timeout` seconds for one try; `pure` says
    that it has no side effects and is cheap to repeat, so it does not wait for the
    disk; `expires` how long its result is good (a stale one is made again);
    `secret` keeps its result out of the journal; `undo` is called with the step's
    result (or those of its arguments that it names) when the run fails for good;
    `quota` is a shared allowance (or several) of which every try takes one permit.
    """
    return Step(fn, **options) if fn is not None else _StepDecorator(options)
