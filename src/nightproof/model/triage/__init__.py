"""Reading an exception: is another try worth while, when, and did the act happen?

Third-party exceptions are known by the names and attributes of their classes;
nothing is imported to recognise them. Choices that are not obvious:

- A ValueError is a data or programming error, so permanent, like TypeError. The
  exception is ``JSONDecodeError``, which is transient: what could not be parsed
  is nearly always an answer from outside, cut short or replaced by an error page.
- An exception that says nothing by itself is read by what caused it. An implicit
  context (``__context__``) can add a wait or a quota but never makes an error
  permanent: a KeyError or a 404 that was being handled is not the cause.
- "no" (the act was not processed) passes from a cause to what was raised from
  it, but not through a client that retries by itself: its earlier tries are not known.
"""

from __future__ import annotations

from dataclasses import replace

from nightproof import errors
from nightproof.model.triage.kinds import (
    Happened,
    Kind,
    Triage,
    permanent,
    transient,
    unauthenticated,
)

__all__ = ["Happened", "Kind", "Triage", "triage"]

_LEVELS = 4  # how far causes are followed: requests wraps urllib3, which wraps twice

_PROGRAMMING: tuple[type[BaseException], ...] = (
    TypeError,
    AttributeError,
    LookupError,
    NameError,
    ArithmeticError,
    AssertionError,
    ImportError,
    SyntaxError,
    NotImplementedError,
    RecursionError,
    ValueError,
)


def triage(exc: BaseException) -> Triage:
    """What can be done about `exc`. Never raises, never imports a third-party package."""
    try:
        found = _read(exc, _LEVELS)
    except Exception as bug:  # noqa: BLE001 - foreign attributes can do anything when touched
        return transient(f"not known ({type(bug).__name__} while reading it)")
    return found or transient(f"{type(exc).__name__} is not known, so worth another try")


def _read(exc: BaseException, levels: int) -> Triage | None:
    if isinstance(exc, errors.NightproofError):
        return _ours(exc)
    if isinstance(exc, BaseExceptionGroup):
        return _group(exc, levels)
    if not isinstance(exc, Exception):
        return permanent(f"asked to stop: {type(exc).__name__}")
    if type(exc).__module__ == "builtins":
        found = _builtin(exc)
        if found is not None:
            return found
    return _foreign(exc) or (_caused(exc, levels - 1) if levels > 0 else None) or _builtin(exc)


def _foreign(exc: BaseException) -> Triage | None:
    # Loaded when something has failed, not at start-up.
    from nightproof.model.triage import foreign

    return foreign.read(exc)


def _caused(exc: BaseException, levels: int) -> Triage | None:
    from nightproof.model.triage import foreign

    cause = foreign.wrapped(exc) or exc.__cause__
    if cause is not None:
        found = _read(cause, levels)
        if found is not None and foreign.retries_itself(exc):
            return replace(found, happened="unknown")
        return found
    if exc.__context__ is None or exc.__suppress_context__:
        return None
    found = foreign.read(exc.__context__)
    if found is None or found.kind is Kind.PERMANENT:
        return None
    return replace(found, happened="unknown")


def _builtin(exc: BaseException) -> Triage | None:
    if isinstance(exc, _PROGRAMMING):
        return permanent(f"programming or data error: {type(exc).__name__}")
    if isinstance(exc, MemoryError):
        return permanent("out of memory: another try would need as much again")
    return None


def _group(exc: BaseExceptionGroup[BaseException], levels: int) -> Triage | None:
    """The worst of the members decides; "no" only if none of them can have acted."""
    found = [_read(member, levels) or transient("not known") for member in exc.exceptions]
    for kind in (Kind.PERMANENT, Kind.UNAUTHENTICATED, Kind.EXHAUSTED, Kind.TRANSIENT):
        worst = [each for each in found if each.kind is kind]
        if worst:
            break
    waits = [each.retry_after for each in worst if each.retry_after is not None]
    resets = [each.resets_at for each in worst if each.resets_at is not None]
    return Triage(
        kind,
        max(waits, default=None),
        max(resets, default=None),
        "no" if all(each.happened == "no" for each in found) else "unknown",
        f"{worst[0].reason} ({len(found)} failures together)",
    )


def _ours(exc: errors.NightproofError) -> Triage:
    name = type(exc).__name__
    if isinstance(exc, errors.Transient):
        return transient(f"raised as {name}", retry_after=exc.retry_after)
    if isinstance(exc, errors.Exhausted):
        return Triage(Kind.EXHAUSTED, None, exc.resets_at, "no", f"raised as {name}")
    if isinstance(exc, errors.Unauthenticated):
        return unauthenticated(f"raised as {name}", "no")
    if isinstance(exc, errors.NotDone):
        return permanent("raised as NotDone", "no")
    if isinstance(exc, errors.StoreBusy) or type(exc) is errors.StoreError:
        return transient("the journal could not be used for a moment")
    return permanent(f"raised as {name}")
