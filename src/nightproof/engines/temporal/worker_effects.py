"""Effects that are called inside the steps of a worker."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from nightproof.engines.attempt.effects import Act, Effects
from nightproof.model.fingerprint import Occurrences, fingerprint

_nested: ContextVar[Occurrences] = ContextVar("nightproof_nested")
"""Counts the equal effects inside one execution of a step."""


class WorkerEffects(Effects):
    """Effects inside steps: which of several equal ones it is, each execution counts anew."""

    @staticmethod
    def count_anew() -> None:
        """The work that begins now counts the effects inside it from zero."""
        _nested.set(Occurrences())

    async def call(self, effect: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """Perform an effect that a step has called."""
        run = self._run
        arguments = effect.arguments
        values = arguments.bind(args, kwargs)
        parts = arguments.parts(values)
        if run.mints.by_value:
            parts = run.mints.substitute(arguments, values, parts)
        first = fingerprint(b"\0effect" + effect.prefix, parts)
        fp = _nested.get().next(first)
        return await Act(run, effect, args, kwargs, parts, fp, effect.key_of(values)).settle()
