"""Where two runs of a test part, as the message of its failure."""

from __future__ import annotations

from nightproof.drift.compare import Comparison, Divergence
from nightproof.drift.showing import SideBySide, brief
from nightproof.views.comparison import DriftView, name

_WHAT = {
    "inputs": "it was given something else",
    "only in A": "it ran in the first run only",
    "only in B": "it did not run in the first run",
}


def told(view: DriftView, differing: int, of: int, store: str) -> str:
    """The failure's message: how far the runs differ, where first, and what the record says."""
    found = view.comparison
    a, b = found.a.run.name, found.b.run.name
    job = found.a.run.job
    head = f"job '{job}' is not reproducible: {differing} of {of} runs differ from the first"
    lines = [head, _extent(found)]
    first = found.first or found.first_raw
    if first is not None:
        lines += ["", *_place(first), *_values(first.values)]
    if found.drift:
        cause = view.judgement.cause
        lines += ["", f"cause: {cause or 'the record does not tell'}"]
        lines += [
            f"  {one.cause}: {one.item}: {one.a or '-'} -> {one.b or '-'}"
            for one in view.judgement.evidence[:10]
        ]
    lines += ["", f"nightproof diff {a} {b} --store {store}"]
    return "\n".join(lines)


def _extent(found: Comparison) -> str:
    if not found.rules:
        return f"{found.raw} of {found.compared} results differ; no normaliser is declared"
    rules = ", ".join(found.rules)
    as_they_are = f"{found.raw} of {found.compared} results differ as they are"
    return f"{as_they_are}, {found.real} after normalising {rules}"


def _place(first: Divergence) -> list[str]:
    key = f" [{first.key}]" if first.key else ""
    what = _WHAT.get(first.what, "same inputs, another output")
    if first.kind in ("artifact", "result") and first.what == "output":
        what = "another content"
    lines = [f"first difference: {name(first)}{key}: {what}"]
    for label, side in (("A", first.a), ("B", first.b)):
        if side is not None:
            lines.append(f"  {label}  raw {side.raw[:23]}  normalised {side.normalised[:23]}")
    return lines


def _values(whole: SideBySide) -> list[str]:
    found = brief(whole)
    lines = []
    for place in found.places:
        lines.append(f"  {place.path or '(whole)'}")
        if place.a is not None or place.b is not None:
            sides = (("A", place.a), ("B", place.b))
            lines += [
                f"    {label}  {'(absent)' if text is None else text}" for label, text in sides
            ]
    lines += [f"  {line}" for line in found.text]
    if found.more:
        lines.append(f"  … and {found.more} more")
    if found.remark:
        lines.append(f"  ({found.remark})")
    return lines
