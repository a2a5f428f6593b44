"""Hears what Python code reads: an audit hook, a patched ``os.environ``, patched look-ups.

A hook cannot be removed: it is installed once in a process, and is deaf to code
outside a run unless the process belongs to one (:func:`own`). What was heard is looked
at later, in :mod:`nightproof.provenance.witness`.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from collections.abc import Callable, Iterator
from typing import Any

from nightproof.provenance.acts import ACTS, names, opened, variable
from nightproof.provenance.hearing import BACKLOG, EXACT, MOST, Heard
from nightproof.provenance.readers import reader

_process: Heard | None = None
_installed = False
_walks: dict[int, _Walk] = {}
"""By thread, the last walk through all variables."""


class _Walk:
    """A walk through all variables: a copy reads each at its turn, or all in order behind it."""

    __slots__ = ("at", "rest")

    def __init__(self, names: list[Any]) -> None:
        self.at: Any = None
        self.rest = iter(names)

    def reads(self, name: Any) -> bool:
        """Whether the variable that is read now is the walk's next."""
        if self.at is not None:
            return bool(name == self.at)
        return bool(name == next(self.rest, None))


def install(where: Callable[[], Any]) -> None:
    """Hear from now on; `where` gives the run or the step that the calling code belongs to."""
    global _installed
    if _installed:
        return
    _installed = True
    _patch_environment(where)
    if (socket := sys.modules.get("socket")) is not None:  # asyncio has loaded it
        _patch_look_ups(socket)
    sys.addaudithook(_hook(where))


def own() -> Heard:
    """Hear code outside of runs too: this process works for nothing but runs."""
    global _process
    if _process is None:
        _process = Heard()
    return _process


def process() -> Heard | None:
    """What is heard outside of runs, where this process belongs to them."""
    return _process


def _hears(where: Any) -> list[Heard]:
    """Who hears code at `where`; the first of them notes it."""
    if where is None:
        return [] if _process is None else [_process]
    heard = getattr(getattr(where, "runtime", None), "heard", None)
    if heard is None:
        return []
    return [heard] if _process is None else [heard, _process]


def _hook(where: Callable[[], Any]) -> Callable[[str, tuple[Any, ...]], None]:
    writing = os.O_WRONLY | os.O_RDWR

    frame = sys._getframe  # noqa: SLF001 - there is no other way to the caller

    # A microsecond here is one on every file that user code opens.
    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            at = where()
            if at is None:
                heard = _process
            else:
                try:
                    heard = at.runtime.heard
                except AttributeError:
                    return
            if heard is None:
                return
            if args[2] & writing:
                opened(_hears(at), at, args)
                return
            log = heard.log
            count = len(log)
            if count < EXACT:
                by = reader(frame(1))
                if by is not None:
                    log.append((args[0], at, by))
                    if heard.judge is not None:
                        heard.sort()
                return
            log.append((args[0], at, None))
            if count > BACKLOG:
                heard.sort()
        elif (act := ACTS.get(event)) is not None:
            at = where()
            if hears := _hears(at):
                act(hears, at, args)

    return hook


def _copied(name: Any) -> bool:
    """Whether a variable is read because all are."""
    thread = get_ident()
    going = _walks.get(thread)
    if going is None:
        return False
    if going.reads(name):
        return True
    del _walks[thread]
    return False


def _patch_environment(where: Callable[[], Any]) -> None:
    cls = os._Environ  # noqa: SLF001 - all access by name and by copy goes through it
    get, walk = cls.__getitem__, cls.__iter__

    def getitem(self: Any, key: Any) -> Any:
        at = where()
        hears = _hears(at)
        if not hears:
            return get(self, key)
        copied = bool(_walks) and _copied(key)
        try:
            value = get(self, key)
        except KeyError:
            variable(hears, at, key, None, copied)
            raise
        variable(hears, at, key, value, copied)
        return value

    def iterate(self: Any) -> Iterator[Any]:
        if not _hears(where()):
            yield from walk(self)
            return
        found = list(walk(self))
        going = _walks[get_ident()] = _Walk(found)
        for key in found:
            going.at = key
            yield key
        going.at = None

    cls.__getitem__ = getitem  # type: ignore[method-assign]
    cls.__iter__ = iterate  # type: ignore[method-assign]


def _patch_look_ups(socket: Any) -> None:
    find = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        found = find(host, *args, **options)
        if isinstance(host, (str, bytes)):
            if len(names) > MOST:
                names.clear()
            name = host if isinstance(host, str) else host.decode("ascii", "replace")
            for *_, address in found:
                names[address[0]] = name
        return found

    getaddrinfo.__wrapped__ = find  # type: ignore[attr-defined]
    getaddrinfo.__doc__ = find.__doc__
    socket.getaddrinfo = getaddrinfo
