"""How often a failed step is tried again, and how long to wait in between."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from nightproof import errors
from nightproof.model import clock
from nightproof.model.triage import Kind, Triage, triage

Verdict = type[errors.NightproofError] | Kind | Triage | None
"""What a classify function may return; None leaves the exception to the built-in triage."""

_KINDS: dict[type, Kind] = {
    errors.Transient: Kind.TRANSIENT,
    errors.Exhausted: Kind.EXHAUSTED,
    errors.Unauthenticated: Kind.UNAUTHENTICATED,
    errors.Permanent: Kind.PERMANENT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A retry policy.

    `attempts` counts all tries, the first included. The wait after try n
    (counted from 0) is drawn evenly from 0 to ``min(cap, base * 2**n)``
    seconds; a wait that the server asked for is a minimum, and may exceed
    `cap`. `within` (seconds or a timedelta) bounds the time from the start of
    the first try to the start of the last. `classify` is asked before the
    built-in triage: it returns ``Transient``, ``Exhausted``,
    ``Unauthenticated`` or ``Permanent``, or None where it has no opinion.

    Raises MisuseError where a value makes no sense.
    """

    attempts: int = 4
    base: float = 1.0
    cap: float = 60.0
    within: float | timedelta | None = None
    classify: Callable[[BaseException], Verdict] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int):
            raise _misuse("attempts", self.attempts, "a positive integer")
        if self.attempts < 1:
            raise _misuse("attempts", self.attempts, "a positive integer")
        for name in ("base", "cap"):
            value = getattr(self, name)
            if not _is_number(value) or value < 0:
                raise _misuse(name, value, "a number of seconds, 0 or more")
        if self.within is not None:
            limit = _seconds(self.within)
            if limit is None or limit <= 0:
                raise _misuse("within", self.within, "a positive number of seconds or a timedelta")
        if self.classify is not None and not callable(self.classify):
            raise _misuse("classify", self.classify, "a function of the exception")

    def triage(self, exc: BaseException) -> Triage:
        """The triage of `exc`: what `classify` says, else the built-in rules.

        A classify function that fails or returns something else makes the
        exception permanent, and the reason says so: its bug should be seen, and
        retrying would hide it.
        """
        found = triage(exc)
        if self.classify is None:
            return found
        try:
            said = self.classify(exc)
        except Exception as bug:  # noqa: BLE001 - the user's code; its failure is reported as the reason
            return replace(
                found, kind=Kind.PERMANENT, reason=f"classify raised {type(bug).__name__}: {bug}"
            )
        if said is None or isinstance(said, Triage):
            return said or found
        kind = _kind(said)
        if kind is None:
            expected = "Transient, Exhausted, Unauthenticated, Permanent or None"
            reason = f"classify returned {said!r}, expected {expected}"
            return replace(found, kind=Kind.PERMANENT, reason=reason)
        return replace(found, kind=kind, reason=f"classify: {kind.value}")

    def delay(self, n: int, triage: Triage, elapsed: float) -> float | None:
        """Seconds to wait after try `n` (counted from 0) failed; None to give up.

        `elapsed` is the time in seconds since the first try began. None for a
        permanent failure, after the last attempt, and where the wait would end
        after `within`.
        """
        if triage.kind is Kind.PERMANENT or n + 1 >= self.attempts:
            return None
        # Past 2**64 any cap is reached; the bound keeps the power a finite float.
        wait = clock.random() * min(self.cap, self.base * 2.0 ** min(n, 64))
        wait = max(wait, triage.retry_after or 0.0)
        if triage.resets_at is not None:
            wait = max(wait, (triage.resets_at - clock.now()).total_seconds())
        if self.within is not None and elapsed + wait > (_seconds(self.within) or 0.0):
            return None
        return wait


def _kind(said: object) -> Kind | None:
    if isinstance(said, Kind):
        return said
    if isinstance(said, type):
        return next((kind for error, kind in _KINDS.items() if issubclass(said, error)), None)
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _seconds(value: object) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return float(value) if _is_number(value) else None  # type: ignore[arg-type]


def _misuse(name: str, value: object, expected: str) -> errors.MisuseError:
    return errors.MisuseError(f"Retry({name}={value!r}): expected {expected}")
