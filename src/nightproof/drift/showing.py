"""Two values side by side: paths for structured ones, a unified diff for text, never much."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nightproof.contract.secrets import HIDDEN, hidden, redact, secret_field

PATHS = 100
"""So many differing places of a structured value are kept."""
LINES = 200
"""So many lines of a text's diff are kept."""
WIDTH = 2000
"""So many characters of one value or line are kept."""
FEW_PATHS, FEW_LINES, NARROW = 20, 40, 160
"""What is shown of these where there is little room."""
_BEFORE = 40
"""So much of two long values is shown before they part."""
_COMPARED = 400
_FROM = re.compile(r"([-+])(\d+)")


@dataclass(frozen=True, slots=True)
class Place:
    """One differing place of a structured value: its JSON Pointer (RFC 6901), and both sides.

    A side is JSON text, or None where the place is absent. Of a long one, WIDTH characters
    around where the sides begin to differ.
    """

    path: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class SideBySide:
    """How two values differ; `more` counts the places or lines that are not shown."""

    places: list[Place] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    more: int = 0
    remark: str = ""


def brief(found: SideBySide) -> SideBySide:
    """What a terminal has room for."""
    places = [Place(one.path, *together(one.a, one.b, NARROW)) for one in found.places[:FEW_PATHS]]
    text = [_cut(line, NARROW) for line in found.text[:FEW_LINES]]
    left = len(found.places) + len(found.text) - len(places) - len(text)
    return SideBySide(places, text, found.more + left, found.remark)


def together(a: str | None, b: str | None, width: int) -> tuple[str | None, str | None]:
    """Two texts, cut to `width` characters around where they begin to differ."""
    if a is None or b is None:
        return a and _cut(a, width), b and _cut(b, width)
    if max(len(a), len(b)) <= width:
        return a, b
    parts = (at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    same = next(parts, min(len(a), len(b)))
    start = same - _BEFORE if same > width - _BEFORE else 0
    return _cut(a, width, start), _cut(b, width, start)


class _Absent:
    pass


_ABSENT = _Absent()


def side_by_side(a: Any, b: Any) -> SideBySide:
    """What differs between two values that are JSON data or text."""
    if isinstance(a, str) and isinstance(b, str) and "\n" in a + b:
        return _texts(a, b)
    places: list[Place] = []
    count = 0
    for path, one, other in _walk(a, b, ""):
        count += 1
        if count == 1 and isinstance(one, str) and isinstance(other, str) and "\n" in one + other:
            lines = _texts(one, other)
            return SideBySide([Place(path, None, None)], lines.text, lines.more, lines.remark)
        if len(places) < PATHS:
            sides = together(_shown(one, path), _shown(other, path), WIDTH)
            places.append(Place(redact(path), *sides))
        if count > 100_000:
            break
    remark = "" if places else "the same values, written in another order or another way"
    return SideBySide(places, more=count - len(places), remark=remark)


def _walk(a: Any, b: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(key for key in b if key not in a)]:
            step = f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"
            yield from _walk(a.get(key, _ABSENT), b.get(key, _ABSENT), step)
    elif isinstance(a, list) and isinstance(b, list):
        for index in range(max(len(a), len(b))):
            one = a[index] if index < len(a) else _ABSENT
            other = b[index] if index < len(b) else _ABSENT
            yield from _walk(one, other, f"{path}/{index}")
    elif type(a) is not type(b) or a != b:
        yield path, a, b


def _shown(value: Any, path: str) -> str | None:
    if value is _ABSENT:
        return None
    if isinstance(value, str) and secret_field(path.rpartition("/")[2], value):
        return HIDDEN
    return json.dumps(hidden(value), ensure_ascii=False)


def _cut(text: str, width: int, start: int = 0) -> str:
    text = "…" + text[start + 1 :] if start else text
    return text if len(text) <= width else text[: width - 1] + "…"


def _texts(a: str, b: str) -> SideBySide:
    from difflib import unified_diff  # only where there is a difference

    one, other = redact(a).splitlines(), redact(b).splitlines()
    if one == other and a.splitlines() != b.splitlines():
        return SideBySide(remark="the lines differ in what is hidden here")
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    start = max(0, start - 3)
    # The diff of long texts is slow: what follows the first difference is enough to read.
    left, right = one[start : start + _COMPARED], other[start : start + _COMPARED]
    lines = list(unified_diff(left, right, "A", "B", lineterm=""))
    remark = "" if lines else "the lines are the same; their endings differ"
    shown = [_cut(_counted(line, start), WIDTH) for line in lines[:LINES]]
    return SideBySide(text=shown, more=len(lines) - len(shown), remark=remark)


def _counted(line: str, start: int) -> str:
    """A line of a diff; a head has its numbers counted from the beginning of the texts."""
    if not line.startswith("@@ "):
        return line
    return _FROM.sub(lambda found: f"{found[1]}{int(found[2]) + start}", line, count=2)
