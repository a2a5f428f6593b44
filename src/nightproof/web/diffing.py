"""Two values as a reader sees them: what differs is marked by words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

_WORD = re.compile(r"\d+|[^\W\d]+|\s+|[^\w\s]")
_ALIKE = 0.3
"""Lines that have less in common are not compared by words."""


_MOST = 30_000
"""So many characters are compared by words for one page."""
_HEAD = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


class Piece(NamedTuple):
    """A part of a text, and whether the other side has another one there."""

    text: str
    changed: bool


class Line(NamedTuple):
    """A line of either side, cut into pieces; None where a side has none there.

    `kind` is "same", "changed", or "gap" where lines are left out (`a` says which).
    """

    kind: str
    a: list[Piece] | None
    b: list[Piece] | None


class Words:
    """Cuts pairs of texts into pieces, by words as long as that does not become much work."""

    def __init__(self) -> None:
        self._left = _MOST

    def __call__(self, a: str, b: str) -> tuple[list[Piece], list[Piece]]:
        """Two texts cut into pieces where they differ."""
        self._left -= len(a) + len(b)
        return words(a, b) if self._left >= 0 else ([Piece(a, True)], [Piece(b, True)])


def words(a: str, b: str) -> tuple[list[Piece], list[Piece]]:
    """Two texts cut into pieces where their words differ."""
    one, other = _WORD.findall(a), _WORD.findall(b)
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    if matcher.ratio() < _ALIKE:
        return [Piece(a, True)], [Piece(b, True)]
    left: list[Piece] = []
    right: list[Piece] = []
    for tag, low, high, from_, to in matcher.get_opcodes():
        changed = tag != "equal"
        if low < high:
            left.append(Piece("".join(one[low:high]), changed))
        if from_ < to:
            right.append(Piece("".join(other[from_:to]), changed))
    return left, right


def side_by_side(unified: Sequence[str], cut: Words) -> list[Line]:
    """The lines of a unified diff, each beside its counterpart."""
    found: list[Line] = []
    gone: list[str] = []
    come: list[str] = []

    def flush() -> None:
        for index in range(max(len(gone), len(come))):
            a = gone[index] if index < len(gone) else None
            b = come[index] if index < len(come) else None
            if a is not None and b is not None:
                found.append(Line("changed", *cut(a, b)))
            else:
                found.append(
                    Line(
                        "changed",
                        None if a is None else [Piece(a, True)],
                        None if b is None else [Piece(b, True)],
                    )
                )
        gone.clear()
        come.clear()

    for number, line in enumerate(unified):
        if number < 2 and line.startswith(("---", "+++")):
            continue
        if line.startswith("-"):
            if come:
                flush()
            gone.append(line[1:])
        elif line.startswith("+"):
            come.append(line[1:])
        else:
            flush()
            if line.startswith("@@"):
                head = _HEAD.match(line)
                told = f"from line {head[1]}, in B {head[2]}" if head else line
                found.append(Line("gap", [Piece(told, False)], None))
            else:
                found.append(Line("same", [Piece(line[1:], False)], [Piece(line[1:], False)]))
    flush()
    return found
