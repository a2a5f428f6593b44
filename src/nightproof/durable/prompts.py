"""``prompt("weekly-report@7")``: a versioned template, recorded with the run that used it."""

from __future__ import annotations

import inspect
from os import PathLike
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from nightproof.contract.prompts import FOLDER, Found, PromptTemplate, find
from nightproof.durable.context import Runtime, Scope, current
from nightproof.provenance.prompted import KIND, Prompted

_known: WeakKeyDictionary[Any, dict[tuple[str, str, str], PromptTemplate]] = WeakKeyDictionary()
"""What each attempt has read: a map of 100,000 items reads and records a template once."""


def prompt(prompt_id: str, *, folder: str | PathLike[str] | None = None) -> PromptTemplate:
    """The template `prompt_id` (``name@version``); call it in a job's body, a step, anywhere.

    Its file, ``prompts/name@version.md``, lies beside the module that calls, beside
    the job or beside the contract, or in `folder`. In a run, what was read is
    recorded with its sha256. Raises PromptError where the file is not there, where
    its text is not the one that was locked under this version, and where a lock lies
    beside it that does not have the version.
    """
    found = current.get()
    scope = found if isinstance(found, Scope) else None
    runtime: Runtime | None = scope.runtime if scope else found  # type: ignore[assignment]
    name = scope.name if scope else ""
    caller = _caller()
    key = (prompt_id, name, str(folder or caller))
    known = None if runtime is None else _known.setdefault(runtime, {})
    if known is not None and key in known:
        return known[key]
    template, path, locked = _found(prompt_id, folder, caller, runtime)
    if runtime is not None and known is not None:
        fp = scope.fp.hex() if scope else ""
        read = Prompted(prompt_id, template.sha256, str(path), locked, name, fp)
        runtime.note(KIND, read.note())
        known[key] = template
    return template


def _found(
    prompt_id: str, folder: str | PathLike[str] | None, caller: str, runtime: Runtime | None
) -> Found:
    if folder is not None:
        return find(prompt_id, [Path(folder).absolute()])
    beside = [caller, *(() if runtime is None else runtime.folders)]
    folders = [Path(one).absolute() / FOLDER for one in dict.fromkeys(beside)]
    return find(prompt_id, folders)


def _caller() -> str:
    """The folder of the module that called :func:`prompt`; "" at a prompt of Python."""
    frame = inspect.currentframe()
    for _ in range(2):
        frame = frame.f_back if frame is not None else None
    file = frame.f_globals.get("__file__") if frame is not None else None
    return str(Path(file).parent) if isinstance(file, str) else ""
