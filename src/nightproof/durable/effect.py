"""Effects: acts on the world that must happen once per key."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from functools import cached_property
from string import Formatter
from typing import Any, Literal, ParamSpec, TypeVar, cast, overload

from nightproof.durable.context import Scope, current
from nightproof.durable.step import DEFAULT_RETRY, Routine, seconds
from nightproof.errors import MisuseError
from nightproof.model.retry import Retry

P = ParamSpec("P")
R = TypeVar("R")

Unknown = Literal["retry", "skip", "hold"]
Probe = Callable[..., Any]


class Effect(Routine[P, R]):
    """A function that acts on the world; made by :func:`effect`.

    Outside a run it is an ordinary call. Inside a step it still goes through the
    ledger.
    """

    noun = "effect"

    def __init__(
        self,
        fn: Callable[P, Any],
        *,
        key: str | Callable[..., str],
        unknown: Unknown | Probe = "hold",
        name: str | None = None,
        retry: Retry | None = None,
        timeout: float | timedelta | None = None,
    ) -> None:
        super().__init__(fn, name)
        if not callable(unknown) and unknown not in ("retry", "skip", "hold"):
            raise MisuseError(
                f"@effect(unknown=...) of '{self.name}': expected 'retry', 'skip', 'hold' or a "
                f"probe function, got {unknown!r}"
            )
        self.template = key
        self.unknown = unknown
        self.retry = retry if retry is not None else DEFAULT_RETRY
        self.timeout = seconds(timeout, f"@effect(timeout=...) of '{self.name}'")
        self._check_template()

    def _check_template(self) -> None:
        if callable(self.template):
            return
        known = inspect.signature(self.fn).parameters
        for _, field, _, _ in Formatter().parse(self.template):
            if field is None:
                continue
            name = field.partition(".")[0].partition("[")[0]
            if name not in known:
                raise MisuseError(
                    f"@effect(key=...) of '{self.name}': '{{{field}}}' is not one of its "
                    f"parameters ({', '.join(known)})"
                )

    @cached_property
    def parameter_names(self) -> list[str]:
        """The names of all parameters, in order."""
        return list(self.arguments.parameters)

    def key_of(self, values: tuple[Any, ...]) -> str:
        """The ledger's key for these arguments (as ``arguments.bind`` gives them)."""
        named = dict(zip(self.parameter_names, values, strict=True))
        try:
            if callable(self.template):
                wanted = inspect.signature(self.template).parameters
                key: Any = self.template(**{n: v for n, v in named.items() if n in wanted})
            else:
                key = self.template.format_map(named)
        except (KeyError, AttributeError, IndexError, ValueError, TypeError) as error:
            raise MisuseError(
                f"the key of {self.where} cannot be made: {type(error).__name__}: {error}"
            ) from None
        if not (isinstance(key, str) and key):
            raise MisuseError(f"the key of {self.where} must be a non-empty text, got {key!r}")
        return key

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Awaitable result of the effect; performs it only where the ledger allows it."""
        found = current.get()
        if found is None:
            return self.plain(args, kwargs)
        runtime = found.runtime if isinstance(found, Scope) else found
        return runtime.effect(cast("Effect[..., Any]", self), args, kwargs)


class _EffectDecorator:
    """``@effect(...)``; keeps the types of plain and async functions apart."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    @overload
    def __call__(self, fn: Callable[P, Awaitable[R]], /) -> Effect[P, R]: ...

    @overload
    def __call__(self, fn: Callable[P, R], /) -> Effect[P, R]: ...

    def __call__(self, fn: Callable[..., Any], /) -> Any:
        return Effect(fn, **self._options)


def effect(
    *,
    key: str | Callable[..., str],
    unknown: Unknown | Probe = "hold",
    name: str | None = None,
    retry: Retry | None = None,
    timeout: float | timedelta | None = None,
) -> _EffectDecorator:
    """Make an effect of an async or plain function.

    `key` names the act, by a template over the parameters
    (``"daily-revenue/{window.date}"``) or a function of them; it is global, over all
    runs. The same key with other arguments is an :class:`EffectConflict`.
    `unknown` says what to do when it cannot be known whether the act happened:
    ``"retry"`` (the provider deduplicates by ``idempotency_key()``), ``"skip"``,
    ``"hold"`` (a person decides, ``nightproof resolve``), or a probe: a function of
    the same arguments that asks the provider and returns the result, or None where
    the act has not happened.

    It is known of an act whose process still lives, or whose machine is still heard of: then
    nobody else decides, and its outcome is waited for. A machine that was silent for a whole
    `lease` and wakes up in the middle of an act goes on with it; against that only the
    provider can help, by ``idempotency_key()``.

    `timeout` (seconds) ends an async function. A plain one cannot be stopped: where there is a
    probe, which would not see yet what it still does, its end is waited for, and what it
    returns or raises counts; without one the policy decides at the timeout.
    """
    return _EffectDecorator(
        {"key": key, "unknown": unknown, "name": name, "retry": retry, "timeout": timeout}
    )
