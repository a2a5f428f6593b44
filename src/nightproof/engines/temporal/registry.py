"""Finds the step or effect that a message names among what this worker has loaded."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, cast

from nightproof.durable.effect import Effect
from nightproof.durable.job import Job
from nightproof.durable.step import Routine, Step
from nightproof.errors import MisuseError


class Registry:
    """The steps and effects at the top of modules, by job, module and name."""

    def __init__(self) -> None:
        self._found: dict[tuple[type, str, str, str], Routine[..., Any]] = {}

    def step(self, job: Job[Any, Any], module: str, name: str) -> Step[..., Any] | None:
        """The step, None where this worker has none of that name."""
        found = self._find(Step, job, module, name)
        return found if isinstance(found, Step) else None

    def effect(self, job: Job[Any, Any], module: str, name: str) -> Effect[..., Any] | None:
        """The effect, None where this worker has none of that name."""
        found = self._find(Effect, job, module, name)
        return found if isinstance(found, Effect) else None

    def _find(
        self, kind: type[Routine[..., Any]], job: Job[Any, Any], module: str, name: str
    ) -> Routine[..., Any] | None:
        key = (kind, job.name, module, name)
        known = self._found.get(key)
        if known is None:
            known = _in_job(kind, job, name) if module == job.fn.__module__ else None
            known = known or _in_module(kind, module, name) or _anywhere(kind, module, name)
            if known is not None:
                self._found[key] = known
        return known


def _in_job(
    kind: type[Routine[..., Any]], job: Job[Any, Any], name: str
) -> Routine[..., Any] | None:
    """In the module of the job itself, which may have been loaded under another name."""
    own = job.fn.__globals__
    return next(
        (one for one in _named(kind, own.values(), name) if one.fn.__globals__ is own), None
    )


def _in_module(kind: type[Routine[..., Any]], module: str, name: str) -> Routine[..., Any] | None:
    found = sys.modules.get(module)
    if found is None and module not in ("", "__main__"):
        try:
            # A module that the job imports only in its body.
            found = importlib.import_module(module)
        except ImportError:
            return None
    return None if found is None else next(_named(kind, vars(found).values(), name), None)


def _anywhere(kind: type[Routine[..., Any]], module: str, name: str) -> Routine[..., Any] | None:
    """In any module: the same file may have another name here than where the job's body runs."""
    found = {
        id(one.fn): one
        for other in cast("list[object]", list(sys.modules.values()))
        if isinstance(other, ModuleType)
        for one in _named(kind, list(vars(other).values()), name)
    }
    if len(found) > 1:
        last = module.rpartition(".")[2].removeprefix("nightproof_target_")
        near = [one for one in found.values() if _last(one) == last]
        if len(near) != 1:
            places = ", ".join(sorted(str(one.fn.__module__) for one in found.values()))
            raise MisuseError(
                f"two different functions are {kind.noun}s called '{name}' ({places}), and the "
                f"one asked for lies in module '{module}', which this worker does not have",
                f"Give one of them another name: @{kind.noun}(name=...).",
            )
        return near[0]
    return next(iter(found.values()), None)


def _last(one: Routine[..., Any]) -> str:
    return one.fn.__module__.rpartition(".")[2].removeprefix("nightproof_target_")


def _named(kind: type[Routine[..., Any]], values: Any, name: str) -> Iterator[Routine[..., Any]]:
    # type(), not isinstance(): asking a lazy proxy what it is would load it.
    return (one for one in list(values) if issubclass(type(one), kind) and one.name == name)
