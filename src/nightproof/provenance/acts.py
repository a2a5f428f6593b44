"""What is heard besides files that are opened to read, by the name of the audit event."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nightproof.provenance.hearing import Heard, absolute, place
from nightproof.provenance.readers import reader

SQLITE_LOOK = 16 * 1024 * 1024
"""A database up to this size is hashed before it is opened, since it changes at once."""
FRESH = os.O_TRUNC | os.O_EXCL

names: dict[str, str] = {}
"""The name that an address was found under."""

Act = Callable[[list[Heard], Any, tuple[Any, ...]], None]
"""Told: who hears it (the first of them notes it), where it happens, and the event's arguments."""


def note(
    hears: list[Heard], where: Any, what: str, mark: str, name: str, value: str | None = None
) -> None:
    """A read, unless it is nobody's."""
    by = reader(sys._getframe(1))  # noqa: SLF001 - there is no other way to the caller
    if by is not None:
        hears[0].add(what, mark, name, *place(hears[0], where), by, value)


def changes(hears: list[Heard], path: str) -> None:
    """A file is about to be changed, made or removed."""
    for heard in hears:
        heard.look(path)


def opened(hears: list[Heard], where: Any, args: tuple[Any, ...]) -> None:
    """A file is opened to write, and perhaps to read."""
    path, flags = absolute(args[0]), args[2]
    if not path:
        return
    changes(hears, path)
    if flags & FRESH or not os.path.lexists(path):
        hears[0].written.add(path)
    elif flags & os.O_RDWR:
        note(hears, where, "file", path, path)
        changes(hears, path)


def _listed(hears: list[Heard], where: Any, args: tuple[Any, ...]) -> None:
    path = absolute("." if args[0] is None or args[0] == "" else args[0])
    if path:
        path = os.path.normpath(path)
        note(hears, where, "folder", path.rstrip("/") + "/", path)


def _moved(hears: list[Heard], _where: Any, args: tuple[Any, ...]) -> None:
    old, new = absolute(args[0]), absolute(args[1])
    if not old or not new:
        return
    changes(hears, old)
    changes(hears, new)
    written, made = hears[0].written, hears[0].made
    if old in written:
        written.add(new)
    else:
        written.discard(new)
    if old in made:
        made.add(new)


def _changed(hears: list[Heard], _where: Any, args: tuple[Any, ...]) -> None:
    if path := absolute(args[0]):
        changes(hears, path)


def _folder_made(hears: list[Heard], _where: Any, args: tuple[Any, ...]) -> None:
    path = absolute(args[0])
    if path and not os.path.lexists(path):
        changes(hears, path)
        hears[0].made.add(os.path.normpath(path))


def _database(hears: list[Heard], where: Any, args: tuple[Any, ...]) -> None:
    path = args[0]
    if isinstance(path, str) and path.startswith("file:"):
        path = path[5:].partition("?")[0]
    if not path or path == ":memory:" or not (path := absolute(path)):
        return
    try:
        size = Path(path).stat().st_size
    except OSError:
        hears[0].written.add(path)
        return
    note(hears, where, "file", path, path)
    if size <= SQLITE_LOOK:
        changes(hears, path)


def _library(hears: list[Heard], where: Any, args: tuple[Any, ...]) -> None:
    if isinstance(args[0], str) and "/" in args[0] and (path := absolute(args[0])):
        note(hears, where, "file", path, path)


def _asked(hears: list[Heard], where: Any, args: tuple[Any, ...]) -> None:
    address = args[1]
    if isinstance(address, tuple) and len(address) > 1 and isinstance(address[0], str):
        host = names.get(address[0], address[0])
        name = f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"
    elif isinstance(address, (str, bytes)):
        name = "unix:" + os.fsdecode(address)
    else:
        return
    note(hears, where, "host", "@" + name, name)


def _started(hears: list[Heard], where: Any, args: tuple[Any, ...]) -> None:
    program = args[0]
    if program is None and len(args) > 1 and args[1]:
        program = args[1] if isinstance(args[1], (str, bytes, os.PathLike)) else args[1][0]
    try:
        name = os.fsdecode(program)
    except TypeError:
        return
    note(hears, where, "program", "!" + name, name)


def _shell(hears: list[Heard], where: Any, _args: tuple[Any, ...]) -> None:
    note(hears, where, "program", "!/bin/sh", "/bin/sh")


def _set(hears: list[Heard], _where: Any, args: tuple[Any, ...]) -> None:
    hears[0].written.add("$" + os.fsdecode(args[0]))


def _walked(hears: list[Heard], _where: Any, _args: tuple[Any, ...]) -> None:
    for heard in hears:
        heard.sort()  # its relative paths begin where the process still is


def variable(hears: list[Heard], where: Any, key: Any, value: Any, copied: bool) -> None:
    """A variable was read, by its name or with all others."""
    name = os.fsdecode(key)
    mark = "$" + name
    if mark in hears[0].written:
        return
    told = None if value is None else os.fsdecode(value)
    if copied:
        note(hears, where, "copied", "*" + name, name, told)
    else:
        note(hears, where, "variable", mark, name, told)


ACTS: dict[str, Act] = {
    "os.listdir": _listed,
    "os.scandir": _listed,
    "os.rename": _moved,
    "os.remove": _changed,
    "os.truncate": _changed,
    "os.mkdir": _folder_made,
    "os.chdir": _walked,
    "sqlite3.connect": _database,
    "ctypes.dlopen": _library,
    "socket.connect": _asked,
    "socket.sendto": _asked,
    "subprocess.Popen": _started,
    "os.exec": _started,
    "os.posix_spawn": _started,
    "os.system": _shell,
    "os.putenv": _set,
}
