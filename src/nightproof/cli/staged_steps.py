"""Other texts in what one step is called with: another model in the place of an alias."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from nightproof.engines.attempt.steps import Steps


def stage(texts: Mapping[str, str], name: str) -> Callable[[], bool]:
    """Replace whole words in the arguments of step `name` while it runs.

    Its fingerprint stays that of the recorded call. Constants (in capitals) of the
    step's module are replaced too. Returns what says whether anything was.
    """
    swap = _Swap(texts)
    real = Steps.once

    async def once(self: Steps, step: Any, args: Any, kwargs: Any, fp: bytes) -> Any:
        if step.name == name:
            space = step.fn.__globals__
            for key, value in list(space.items()):
                if key.isupper() and isinstance(value, str):
                    space[key] = swap(value)
            args, kwargs = swap(tuple(args)), {key: swap(one) for key, one in kwargs.items()}
        return await real(self, step, args, kwargs, fp)

    if texts:
        Steps.once = once  # type: ignore[method-assign]
    return lambda: swap.done


class _Swap:
    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = [
            (re.compile(rf"(?<![\w.-]){re.escape(old)}(?![\w.-])"), new)
            for old, new in texts.items()
        ]
        self.done = False

    def __call__(self, value: Any) -> Any:
        if isinstance(value, str):
            for pattern, new in self._texts:
                value, count = pattern.subn(new.replace("\\", r"\\"), value)
                self.done |= count > 0
            return value
        if isinstance(value, dict):
            return {key: self(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
            return type(value)(self(one) for one in value)
        if isinstance(value, BaseModel):
            return value.model_copy(update={key: self(one) for key, one in value})
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            changed = {
                one.name: self(getattr(value, one.name)) for one in dataclasses.fields(value)
            }
            return dataclasses.replace(value, **changed)
        return value
