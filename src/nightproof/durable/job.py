"""Jobs: an async function over a contract, whose body only decides."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from functools import cached_property, update_wrapper
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast, overload

from nightproof.durable.context import Scope, current
from nightproof.durable.step import seconds
from nightproof.errors import MisuseError
from nightproof.model.arguments import resolve_hints
from nightproof.model.code import code_digest
from nightproof.model.codec import Codec

if TYPE_CHECKING:
    from nightproof.durable.schedule import Schedule

C = TypeVar("C")
R = TypeVar("R")
Maker = Callable[[datetime], C]
"""Makes the contract of the time that a night was due at."""


class Launcher(Protocol):
    """Starts runs from outside; the composition root installs one."""

    def __call__(
        self, job: Job[Any, Any], contract: Any, options: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]: ...

    def sync(self, job: Job[Any, Any], contract: Any, options: dict[str, Any]) -> Any: ...


_launcher: Launcher | None = None


def install(launcher: Launcher) -> None:
    """Called once by the composition root."""
    global _launcher
    _launcher = launcher


class Job(Generic[C, R]):
    """A durable function over a contract; made by :func:`job`.

    ``await job(contract)`` inside another job is a child run.
    """

    def __init__(
        self,
        fn: Callable[[C], Awaitable[R]],
        *,
        name: str | None = None,
        deadline: float | timedelta | None = None,
        stall: float | timedelta | None = None,
        normalise: Sequence[str | Callable[[Any], Any]] = (),
    ) -> None:
        if not inspect.iscoroutinefunction(fn):
            raise MisuseError(
                f"@job needs an async function; '{fn.__qualname__}' is not",
                "Write `async def`; plain functions can be steps.",
            )
        if len(inspect.signature(fn).parameters) != 1:
            raise MisuseError(
                f"@job '{fn.__qualname__}' must take exactly one parameter, its contract"
            )
        self.fn = fn
        self.name = name or fn.__qualname__.replace("<locals>.", "")
        self.deadline = seconds(deadline, f"@job(deadline=...) of '{self.name}'")
        self.stall = seconds(stall, f"@job(stall=...) of '{self.name}'")
        self.normalise = _checked(normalise) if normalise else ()
        self.schedules: list[Schedule[C]] = []
        update_wrapper(self, fn, updated=())

    @cached_property
    def contract_type(self) -> type[C]:
        """The annotation of the job's parameter."""
        where = f"job '{self.name}'"
        (parameter,) = inspect.signature(self.fn).parameters.values()
        found = resolve_hints(self.fn, where).get(parameter.name)
        if not isinstance(found, type):
            raise MisuseError(
                f"{where} must annotate its parameter with a Contract class",
                f"Write `async def {self.fn.__name__}({parameter.name}: MyContract)`.",
            )
        return cast("type[C]", found)

    @cached_property
    def result(self) -> Codec[R]:
        """The codec of its result."""
        where = f"job '{self.name}'"
        annotation = resolve_hints(self.fn, where).get("return", inspect.Parameter.empty)
        return Codec(annotation, f"the result of {where}")

    @cached_property
    def code(self) -> str:
        """The digest of its body."""
        return code_digest(self.fn, steps=False)

    @property
    def target(self) -> str:
        """``file:name``, by which the command finds it again."""
        code = inspect.unwrap(self.fn).__code__
        return f"{code.co_filename}:{self.fn.__name__}"

    def __call__(self, contract: C) -> Coroutine[Any, Any, R]:
        """The job as a child run (inside a job), else an ordinary call."""
        found = current.get()
        if found is None:
            return self.fn(contract)
        if isinstance(found, Scope):
            raise MisuseError(
                f"job '{self.name}' was called inside step '{found.name}'",
                "Call it in the body of the @job: there it is a child run.",
            )
        return found.child(cast("Job[Any, Any]", self), contract)

    def nightly(
        self, at: str, *, tz: str, contract: Callable[[datetime], C] | None = None,
        missed: str = "catch up", catch_up: int = 7, name: str | None = None,
    ) -> Callable[[Maker[C]], Maker[C]]:  # fmt: skip
        """Have the job run every night at `at` (``"04:30"``) on the clocks of zone `tz`.

        Decorates a function (or takes it as `contract`) that gets the time the night was
        due at, aware, and returns the night's contract; it stays an ordinary function.
        `missed` says what becomes of nights in which nothing served: "catch up" runs the
        newest `catch_up` of them, "skip" none that is more than an hour late. `name`
        (default: the function's) tells several schedules of a job apart. A time that the
        clocks skip is due at the next one that exists, a doubled one once. Raises
        MisuseError for what cannot be meant; ``nightproof schedule show`` checks the rest.
        """
        return self._scheduled(at, "", tz, contract, (missed, catch_up, name))

    def cron(
        self, expression: str, *, tz: str, contract: Callable[[datetime], C] | None = None,
        missed: str = "catch up", catch_up: int = 7, name: str | None = None,
    ) -> Callable[[Maker[C]], Maker[C]]:  # fmt: skip
        """As :meth:`nightly`, by a cron expression of five fields (extra ``serve``)."""
        return self._scheduled("", expression, tz, contract, (missed, catch_up, name))

    def _scheduled(
        self, at: str, expression: str, tz: str, contract: Maker[C] | None, how: tuple[Any, ...]
    ) -> Callable[[Maker[C]], Maker[C]]:
        from nightproof.durable import schedule  # few jobs have one
        from nightproof.model.timetable import Timetable

        def add(make: Maker[C]) -> Maker[C]:
            made = schedule.declared(self.name, Timetable(tz, at, expression), make, *how)
            if any(one.name == made.name for one in self.schedules):
                raise MisuseError(
                    f"job '{self.name}' has two schedules {made.name}", 'Give one a name="...".'
                )
            self.schedules.append(made)
            return make

        if contract is not None:
            add(contract)
        return add

    async def run(
        self,
        contract: C,
        *,
        store: str | None = None,
        replicate: bool = False,
        effects: bool = False,
        strict: bool = False,
        concurrency: dict[str, int] | None = None,
    ) -> R:
        """Run or resume the job in the caller's event loop and return its result.

        The same contract again is the same run. `store` is a URL
        (``sqlite:///path.db``; default: the configuration's), `replicate` starts a
        deliberate fresh run of the contract (which performs no effects unless
        `effects`), `strict` refuses recorded results of other code, `concurrency`
        bounds maps by step name. Raises StepFailed or RunFailed when the run fails,
        RunParked when it has to wait longer than the park limit, AlreadyRunning when
        another live process owns it.
        """
        return cast(
            "R",
            await _installed()(
                cast("Job[Any, Any]", self),
                contract,
                {
                    "store": store,
                    "replicate": replicate,
                    "effects": effects,
                    "strict": strict,
                    "concurrency": concurrency,
                },
            ),
        )

    def run_sync(self, contract: C, **options: Any) -> R:
        """As :meth:`run`, for scripts: in an event loop of its own."""
        return cast("R", _installed().sync(cast("Job[Any, Any]", self), contract, options))


def _checked(
    given: Sequence[str | Callable[[Any], Any]],
) -> tuple[tuple[str, str | Callable[[Any], Any]], ...]:
    """What is declared, each under the name by which runs record it."""
    from nightproof.drift.normalise import declared  # few jobs declare any

    items = [given] if isinstance(given, str) else given
    return tuple((declared(item).name, item) for item in items)


def _installed() -> Launcher:
    if _launcher is None:
        raise MisuseError("nightproof was imported in pieces", "Write `import nightproof`.")
    return _launcher


class _JobDecorator:
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    def __call__(self, fn: Callable[[C], Awaitable[R]], /) -> Job[C, R]:
        return Job(fn, **self._options)


@overload
def job(fn: Callable[[C], Awaitable[R]], /) -> Job[C, R]: ...


@overload
def job(
    *,
    name: str | None = None,
    deadline: float | timedelta | None = None,
    stall: float | timedelta | None = None,
    normalise: Sequence[str | Callable[[Any], Any]] = (),
) -> _JobDecorator: ...


def job(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a job of an async function that takes one contract.

    `deadline` is how long a run may take from its first start, waits and
    interruptions included; after it the run fails with DeadlineExceeded. `stall` is how
    long it may go without a checkpoint before that is an alert (default: the setting
    ``stall``, 15 minutes). `normalise`
    declares what is no difference between two runs: "times", "ids", "key-order",
    "float" (nine significant digits; "float:6" six), "whitespace", or a function that
    takes an output as JSON data and returns what counts of it. Raises MisuseError for
    a name that is not known.
    """
    return Job(fn, **options) if fn is not None else _JobDecorator(options)
