"""Digests of code, so that an edit between two attempts is visible.

A function's digest covers its byte code, constants and names, and those of the
functions of the same module that it uses, and the module's constants (in capitals)
that they use. Line numbers, comments,
docstrings and formatting do not count. Digests of different Python minor
versions are not comparable, so the version is part of the digest.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from types import CodeType, FunctionType
from typing import Any

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def code_digest(fn: Callable[..., Any], steps: bool = True) -> str:
    """``3.11:`` and 16 hex digits over the code that `fn` runs.

    Without `steps`, the steps that it calls are left out: in a job they have
    digests of their own.
    """
    hasher = sha256()
    seen: set[int] = set()
    _feed_function(_unwrap(fn), hasher.update, seen, steps)
    return f"{VERSION}:{hasher.hexdigest()[:16]}"


def comparable(a: str, b: str) -> bool:
    """Whether two digests were made by the same Python minor version."""
    return a.partition(":")[0] == b.partition(":")[0]


def _unwrap(fn: Any) -> Any:
    while hasattr(fn, "__wrapped__"):
        fn = fn.__wrapped__
    return getattr(fn, "__func__", fn)


def _feed_function(fn: Any, update: Callable[[bytes], object], seen: set[int], steps: bool) -> None:
    if not isinstance(fn, FunctionType) or id(fn) in seen:
        return
    seen.add(id(fn))
    _feed_code(fn.__code__, update, fn.__doc__)
    for default in (*(fn.__defaults__ or ()), *(fn.__kwdefaults__ or {}).values()):
        if isinstance(default, (str, int, float, bool, bytes, type(None))):
            update(repr(default).encode())
    for name in _names(fn.__code__):
        used = fn.__globals__.get(name)
        if name.isupper() and _is_constant(used):
            update(f"{name}={used!r}".encode())
        elif steps or not type(used).__module__.startswith("nightproof."):
            inner = _unwrap(used)
            if isinstance(inner, FunctionType) and inner.__module__ == fn.__module__:
                _feed_function(inner, update, seen, steps)


def _is_constant(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_constant, value))
    return isinstance(value, (str, int, float, bool, bytes, type(None)))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _names(const)


def _feed_code(code: CodeType, update: Callable[[bytes], object], doc: str | None) -> None:
    update(code.co_code)
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    update(repr((code.co_names, code.co_varnames, code.co_freevars, counts)).encode())
    # The docstring, or the None in its place, comes first and is not used by the code.
    bare = code.co_consts[1:] if code.co_consts[:1] == (doc,) else code.co_consts
    for const in bare:
        if isinstance(const, CodeType):
            _feed_code(const, update, None)
        elif isinstance(const, frozenset):
            update(repr(sorted(map(repr, const))).encode())
        else:
            update(repr(const).encode())
