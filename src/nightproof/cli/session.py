"""What all commands share: the common options, and where output goes."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from nightproof import config
from nightproof.config import Settings
from nightproof.errors import NightproofError


@dataclass(slots=True)
class Session:
    """The common options of one invocation."""

    store: str | None = None
    json: bool = False

    def settings(self) -> Settings:
        """The settings in force, flags included."""
        return config.load(store=self.store)


_debug = False
_actor = ""


def set_debug(on: bool) -> None:
    """Show tracebacks from now on."""
    global _debug
    _debug = _debug or on


def debugging() -> bool:
    """Whether tracebacks are wanted (``--debug``, ``NIGHTPROOF_DEBUG=1``)."""
    return _debug or os.environ.get("NIGHTPROOF_DEBUG", "") not in ("", "0")


def take_actor() -> None:
    """Note who has this command done, where somebody wrote it down already.

    Out of the environment: what a job starts is not done by them.
    """
    global _actor
    _actor = os.environ.pop(config.ACTOR, "")


def actor() -> str:
    """Who has this command done, and has written it down; "" for whoever gave it."""
    return _actor


def isolated() -> ModuleType | None:
    """The module that knows about this isolated attempt; None where it is not isolated."""
    if not os.environ.get("NIGHTPROOF_ISOLATION"):
        return None
    from nightproof.cli import isolated as inside  # of no use to other attempts

    return inside


def origin() -> Path:
    """The folder in which the command was given: where relative paths start."""
    inside = isolated()
    found: Path | None = inside.origin() if inside is not None else None
    return found or Path.cwd()


def complain(error: NightproofError) -> None:
    """One error as a message on stderr."""
    note(f"nightproof: {error.message}")
    for line in error.hint.splitlines():
        note(f"  {line}")


def note(text: str) -> None:
    """A remark that is not the answer: on stderr; it may be about what somebody wrote."""
    from nightproof.views.legible import legible  # a run that goes well has nothing to remark

    print(legible(text), file=sys.stderr)


def emit(document: Any, to: TextIO | None = None) -> None:
    """The one JSON document of a ``--json`` command."""
    to = to or sys.stdout
    print(json.dumps(document, ensure_ascii=False, indent=2), file=to)


def terminal(stream: TextIO) -> bool:
    """Whether people look at `stream` through a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


def colours(stream: TextIO) -> bool:
    """Whether `stream` shows colours."""
    return terminal(stream) and not os.environ.get("NO_COLOR")
