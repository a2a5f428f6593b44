"""Digests of code, so that an edit between two attempts is visible.

A function's digest covers its byte code, constants and names, and those of the
plain functions of the same module that it uses. Line numbers, comments,
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


def code_digest(fn: Callable[..., Any]) -> str:
    """``3.11:`` and 16 hex digits over the code that `fn` runs."""
    hasher = sha256()
    seen: set[int] = set()
    _feed_function(_unwrap(fn), hasher.update, seen)
    return f"{VERSION}:{hasher.hexdigest()[:16]}"


def comparable(a: str, b: str) -> bool:
    """Whether two digests were made by the same Python minor version."""
    return a.partition(":")[0] == b.partition(":")[0]


def _unwrap(fn: Any) -> Any:
    while hasattr(fn, "__wrapped__"):
        fn = fn.__wrapped__
    return getattr(fn, "__func__", fn)


def _feed_function(fn: Any, update: Callable[[bytes], object], seen: set[int]) -> None:
    if not isinstance(fn, FunctionType) or id(fn) in seen:
        return
    seen.add(id(fn))
    _feed_code(fn.__code__, update, fn.__doc__)
    for default in (*(fn.__defaults__ or ()), *(fn.__kwdefaults__ or {}).values()):
        if isinstance(default, (str, int, float, bool, bytes, type(None))):
            update(repr(default).encode())
    for name in _names(fn.__code__):
        used = fn.__globals__.get(name)
        if isinstance(used, FunctionType) and used.__module__ == fn.__module__:
            _feed_function(used, update, seen)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _names(const)


def _feed_code(code: CodeType, update: Callable[[bytes], object], doc: str | None) -> None:
    update(code.co_code)
    update(repr((code.co_names, code.co_varnames, code.co_freevars)).encode())
    for const in code.co_consts:
        if isinstance(const, CodeType):
            _feed_code(const, update, None)
        elif isinstance(const, frozenset):
            update(repr(sorted(map(repr, const))).encode())
        elif doc is None or const != doc:
            update(repr(const).encode())
