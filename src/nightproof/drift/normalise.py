"""Normalisers: what a job declares to be no difference, like the time in a text.

A declared normaliser is applied to every output before it is compared. What
differs before normalising is always told too, so that none of them hides drift.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from nightproof.errors import MisuseError
from nightproof.model.canonical import sha256_hex

FLOAT_DIGITS = 9
"""Significant digits that "float" keeps."""

_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?"
)
_ID = re.compile(
    r"\b(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"  # UUID
    r"|[0-9A-HJKMNP-TV-Z]{26}"  # ULID
    r"|(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{16,32}"  # hex digits; longer ones are digests of content
    r"|[a-z]{2,12}[-_](?=[A-Za-z0-9]*\d)[A-Za-z0-9]{16,})\b"  # chatcmpl-…, msg_…
)
_SPACE = re.compile(r"\s+")


class Normaliser(NamedTuple):
    """One declared normaliser: its name, and what it makes of a value (JSON data)."""

    name: str
    apply: Callable[[Any], Any]


class Declared(NamedTuple):
    """What `@job(normalise=...)` takes: a name, or a function of a value."""

    name: str
    function: Callable[[Any], Any] | None


FUNCTION = "function "
"""Begins the recorded name of a normaliser that is the job's own function."""


def declared(item: object) -> Declared:
    """Check one item of ``@job(normalise=[...])``. Raises MisuseError."""
    if isinstance(item, str):
        _named(item)
        return Declared(item, None)
    if callable(item):
        name = getattr(item, "__qualname__", type(item).__qualname__)
        return Declared(f"{FUNCTION}{name}", item)
    raise MisuseError(f"normalise: {item!r} is neither a name nor a function", _KNOWN)


def normalisers(items: Iterable[object]) -> tuple[Normaliser, ...]:
    """The normalisers that names and functions stand for. Raises MisuseError."""
    found = []
    for item in items:
        name, function = declared(item)
        found.append(Normaliser(name, function if function is not None else _named(name)))
    return tuple(found)


def normalised(value: Any, rules: Sequence[Normaliser]) -> Any:
    """`value` as the rules leave it.

    Raises MisuseError where a job's own function fails.
    """
    for rule in rules:
        try:
            value = rule.apply(value)
        except Exception as error:
            raise MisuseError(
                f"normaliser '{rule.name}' failed: {type(error).__name__}: {error}",
                "It is given every output of the job as JSON data and has to return JSON data.",
            ) from error
    return value


def digest(value: Any) -> str:
    """``sha256:<hex>`` of a normalised value.

    Keys count in their order: only "key-order" makes that no difference. Raises
    MisuseError for what is not JSON data.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise MisuseError(f"a normaliser returned what is not JSON data: {error}") from error
    return "sha256:" + sha256_hex(text.encode("utf-8", "surrogatepass"))


def _each_text(change: Callable[[str], str]) -> Callable[[Any], Any]:
    def apply(value: Any) -> Any:
        if isinstance(value, str):
            return change(value)
        if isinstance(value, list):
            return [apply(item) for item in value]
        if isinstance(value, dict):
            return {key: apply(item) for key, item in value.items()}
        return value

    return apply


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _rounded(digits: int) -> Callable[[Any], Any]:
    def apply(value: Any) -> Any:
        if isinstance(value, float):
            # Rounding can part two neighbours but never joins what differs by more.
            return float(f"{value:.{digits}g}") + 0.0
        if isinstance(value, list):
            return [apply(item) for item in value]
        if isinstance(value, dict):
            return {key: apply(item) for key, item in value.items()}
        return value

    return apply


_NAMED: dict[str, Callable[[Any], Any]] = {
    "times": _each_text(lambda text: _TIME.sub("<time>", text)),
    "ids": _each_text(lambda text: _ID.sub("<id>", text)),
    "key-order": _sorted,
    "float": _rounded(FLOAT_DIGITS),
    "whitespace": _each_text(lambda text: _SPACE.sub(" ", text).strip()),
}
_KNOWN = (
    f"Known: {', '.join(_NAMED)}; float:6 keeps six significant digits; or give a function "
    "that takes a value and returns it normalised."
)


def _named(name: str) -> Callable[[Any], Any]:
    head, colon, digits = name.partition(":")
    if head == "float" and colon and digits.isascii() and digits.isdigit():
        if 1 <= int(digits) <= 17:
            return _rounded(int(digits))
        raise MisuseError(f"normalise: '{name}' keeps {digits} digits", "Write 1 to 17.")
    if name not in _NAMED:
        raise MisuseError(f"normalise: there is no normaliser '{name}'", _KNOWN)
    return _NAMED[name]
