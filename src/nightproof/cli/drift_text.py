"""A comparison of two runs, and the verdicts on it, as text."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from nightproof.cli.session import terminal
from nightproof.cli.table import local
from nightproof.drift.compare import Comparison, Divergence
from nightproof.drift.showing import SideBySide, brief
from nightproof.drift.verdict import CONSISTENT, NOT_TESTABLE, Evidence, Judgement
from nightproof.journal.records import RunRow
from nightproof.views.comparison import name
from nightproof.views.values import iso

DIGEST = 23
"""So many characters of a digest are shown."""
WIDEST = 120
_INDENT = 2
_SEEN_BY_ITSELF = ("input", "code")
"""Causes of which no experiment could show more."""
_WHAT = {
    "inputs": "it was given something else",
    "only in A": "it ran in A only",
    "only in B": "it ran in B only",
}


def told(found: Comparison, judged: Judgement, explained: bool = False) -> list[str]:
    """A comparison for people; `explained` where experiments have had their say."""
    a, b = found.a.run, found.b.run
    lines = [f"A  {_run(a)}", f"B  {_run(b)}", "", headline(found)]
    inner = found.innermost
    first = inner.first or inner.first_raw
    if first is not None:
        lines += ["", *_divergence(found, inner, first), *values(first.values)]
    if found.drift:
        nobody = "neither record nor experiments tell" if explained else "the record does not tell"
        lines += ["", *verdicts(judged), "", f"cause: {judged.cause or nobody}"]
        lines += beside([(_item(one), _short(one.a), _short(one.b)) for one in judged.evidence])
        unknown = judged.cause not in _SEEN_BY_ITSELF and NOT_TESTABLE in judged.verdicts.values()
        if unknown and not explained:
            lines += ["", f"next: nightproof explain {a.name} {b.name}"]
    return lines


def headline(found: Comparison) -> str:
    """Whether two runs differ, and how far."""
    rules = f" after normalising {', '.join(found.rules)}" if found.rules else ""
    if not found.raw:
        return f"no drift: {found.compared} results are the same, byte for byte"
    if not found.drift:
        return f"no drift{rules}; before it, {found.raw} of {found.compared} results differ"
    before = f" ({found.raw} before it)" if rules else ""
    return f"drift: {found.real} of {found.compared} results differ{rules}{before}"


def verdicts(judged: Judgement) -> list[str]:
    """One line for each cause, with the reason where the record cannot tell."""
    lines = []
    for cause, verdict in judged.verdicts.items():
        reason = judged.reasons.get(cause) if verdict in (NOT_TESTABLE, CONSISTENT) else None
        lines.append(f"{cause:12} {verdict}" + (f": {reason}" if reason else ""))
    return lines


def values(found: SideBySide) -> list[str]:
    """Two values side by side: their places, then the lines of a text's diff."""
    found = brief(found)
    lines = []
    waiting: list[tuple[str, str | None, str | None]] = []
    for place in found.places:
        path = place.path or "(whole)"
        if place.a is None and place.b is None:
            lines.append(f"  {path}")
        else:
            waiting.append((path, _or_absent(place.a), _or_absent(place.b)))
    lines = [*beside(waiting), *lines, *(f"  {line}" for line in found.text)]
    if found.more:
        lines.append(f"  … and {found.more} more")
    if found.remark:
        lines.append(f"  ({found.remark})")
    return lines


def beside(rows: Sequence[tuple[str, str | None, str | None]]) -> list[str]:
    """Items with what A and B have: in columns where all of them fit, else below each other.

    What neither has, like a sentence, stands alone at the end.
    """
    alone = [f"  {item}" for item, a, b in rows if a is None and b is None]
    rows = [row for row in rows if row[1] is not None or row[2] is not None]
    if not rows:
        return alone
    table = [("", "A", "B"), *((item, a or "-", b or "-") for item, a, b in rows)]
    widths = [max(len(row[at]) for row in table) for at in range(3)]
    if _INDENT + sum(widths) + 4 <= _edge():
        pad = " " * _INDENT
        lines = [f"{pad}{item:{widths[0]}}  {a:{widths[1]}}  {b}".rstrip() for item, a, b in table]
        return lines + alone
    lines = []
    for item, a, b in table[1:]:
        lines += [f"  {item}", f"    A  {a}", f"    B  {b}"]
    return lines + alone


def _edge() -> int:
    return min(WIDEST, shutil.get_terminal_size().columns) if terminal(sys.stdout) else WIDEST


def _run(row: RunRow) -> str:
    return f"{row.name}  {row.status}  {local(iso(row.finished or row.updated))}"


def _divergence(found: Comparison, inner: Comparison, first: Divergence) -> list[str]:
    key = f" [{first.key}]" if first.key else ""
    what = _WHAT.get(first.what, "same inputs, another output")
    if first.kind in ("artifact", "result") and first.what == "output":
        what = "another content"
    if first.hidden:
        what += ", the same after normalising"
    lines = [f"first difference: {name(first)}{key}: {what}"]
    if inner is not found:
        lines.append(f"  in child run {inner.a.run.name} and {inner.b.run.name}")
    a, b = first.a, first.b
    raw = "raw", a.raw[:DIGEST] if a else None, b.raw[:DIGEST] if b else None
    real = "normalised", a.normalised[:DIGEST] if a else None, b.normalised[:DIGEST] if b else None
    return [*lines, *beside([raw, real])]


def _item(one: Evidence) -> str:
    return f"{one.cause}: {one.item}"


def _short(text: str | None) -> str | None:
    """A digest cut to what is enough to see that it differs."""
    if text is None:
        return None
    head, mark, digits = text.partition("sha256:")
    whole = len(digits) == 64 and " " not in digits
    return f"{head}{mark}{digits[:16]}" if mark and whole else text


def _or_absent(text: str | None) -> str:
    return "(absent)" if text is None else text
