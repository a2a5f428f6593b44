"""What a run says that it waits for, where that is a signal: how it is written, and read again.

A run's `waiting` is one line for people. What is said of a signal in it has a form that can be
taken apart: ``signal 'approved' (true or false): what came last did not fit: …``.
"""

from __future__ import annotations

import re
from inspect import Parameter
from typing import Any, NamedTuple

from nightproof.errors import CodecError
from nightproof.model.codec import Codec, describe

_MOST = 160
_SAID = ": what came last did not fit: "
_WORDS: dict[Any, str] = {
    str: "text", int: "a whole number", float: "a number", bool: "true or false", None: "null",
    type(None): "null", list: "a list", dict: "an object",
}  # fmt: skip
_FORM = re.compile(
    rf"signal '(.*?)'(?: \(((?:(?!; signal ').)*?)\))?(?:{_SAID}([^;]*))?(?=; |$)", re.DOTALL
)


MISFIT = "signal-misfit"
"""The kind of the event that says it in a run's log."""


class Awaited(NamedTuple):
    """A signal that a run waits for.

    `expects` says what its payload has to be, "" where anything will do or it is not known;
    `misfit` why the last one that came was put aside.
    """

    name: str
    expects: str = ""
    misfit: str = ""

    def put_aside(self, wrong: str) -> Awaited:
        """The same after a payload that was `wrong`; what it was is left out: the log has it."""
        return self._replace(misfit=wrong.partition(" (got ")[0])

    def __str__(self) -> str:
        """As it stands in a run's `waiting`."""
        told = f"signal '{self.name}'" + (f" ({_plain(self.expects)})" if self.expects else "")
        return told + (_SAID + _plain(self.misfit) if self.misfit else "")


def awaited(waiting: str) -> list[Awaited]:
    """The signals in what a run says that it waits for."""
    return [Awaited(*(part or "" for part in found.groups())) for found in _FORM.finditer(waiting)]


def expected(annotation: Any) -> str:
    """What a payload has to be, in a few words; "" where anything will do."""
    if annotation is Any or annotation is Parameter.empty:
        return ""
    told = _word(annotation)
    inside = ", ".join(f"{name}: {_word(one)}" for name, one in _fields(annotation).items())
    return _plain(f"{told} {{{inside}}}" if inside else told)


def unfit(codec: Codec[Any], error: Exception) -> str:
    """What is wrong with a payload that `codec` refused, without the name of the codec."""
    text = error.message if isinstance(error, CodecError) else str(error)
    return text.removeprefix(f"{codec.where} does not match its annotation ").removeprefix(
        f"{describe(codec.annotation)}: "
    )


def misfit_note(name: str, annotation: Any, wrong: str) -> dict[str, Any]:
    """What the log says of a payload that was put aside."""
    wanted = expected(annotation) or "JSON"
    message = f"what came for signal '{name}' is not {wanted} and was put aside: {wrong}"
    return {"signal": name, "expects": wanted, "message": message}


def _word(annotation: Any) -> str:
    try:
        known = _WORDS.get(annotation)
    except TypeError:  # it has no hash
        known = None
    return known or describe(annotation).replace("typing.", "")


def _fields(annotation: Any) -> dict[str, Any]:
    from typing import get_type_hints, is_typeddict

    if not (isinstance(annotation, type) or is_typeddict(annotation)):
        return {}
    models = getattr(annotation, "model_fields", None)
    if isinstance(models, dict):
        return {name: one.annotation for name, one in models.items()}
    if is_typeddict(annotation) or hasattr(annotation, "__dataclass_fields__"):
        try:
            return get_type_hints(annotation)
        except (NameError, TypeError):  # it refers to what is not there any more
            return {}
    return {}


def _plain(text: str) -> str:
    """On one line, and without the marks that the form is told by."""
    text = " ".join(text.replace("'", '"').replace(";", ",").split())
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"
