"""``nightproof diff``: two runs side by side."""

from __future__ import annotations

import asyncio

from nightproof import app
from nightproof.cli import targets
from nightproof.cli.reading import opened
from nightproof.cli.session import Session, emit
from nightproof.drift.compare import Comparison, Divergence, Side
from nightproof.drift.normalise import FUNCTION, Normaliser, normalisers
from nightproof.drift.showing import SideBySide
from nightproof.drift.verdict import Evidence, Judgement
from nightproof.errors import NightproofError, UsageError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.views import open_run
from nightproof.views.drift import DriftView, drift, name, normalise_names

DRIFT = 3
"""The exit code where runs differ."""
_WHAT = {
    "inputs": "it was given something else",
    "only in A": "it ran in A only",
    "only in B": "it ran in B only",
}


def diff(session: Session, a: str, b: str) -> int:
    """Compare and judge; exit 3 on drift."""
    blobs = app.open_blobs(session.settings())

    async def look() -> DriftView:
        reader = opened(session)
        one, other = await open_run(reader, a), await open_run(reader, b)
        rules = await declared(reader, max(one, other, key=lambda row: row.id))
        return await drift(reader, blobs, one, other, rules)

    found = asyncio.run(look())
    if session.json:
        emit(found.document())
    else:
        print("\n".join(told(found.comparison, found.judgement)))
    return DRIFT if found.comparison.drift else 0


async def declared(reader: Reader, row: RunRow) -> tuple[Normaliser, ...]:
    """The normalisers that the job of a run declared when it began.

    Functions are taken from the job where it lies now. Raises UsageError where
    they are not there any more.
    """
    names = await normalise_names(reader, row)
    if not any(one.startswith(FUNCTION) for one in names):
        return normalisers(names)
    try:
        known = dict(targets.load(row.target).job.normalise)
    except NightproofError as error:
        raise UsageError(
            f"job '{row.job}' normalises with functions of its own, and cannot be loaded: "
            f"{error.message}",
            error.hint,
        ) from error
    gone = [one for one in names if one.startswith(FUNCTION) and one not in known]
    if gone:
        raise UsageError(
            f"job '{row.job}' does not declare the normaliser '{gone[0]}' any more",
            f"Run {row.name} was recorded with it; compare newer runs.",
        )
    return tuple(normalisers([known.get(one, one)])[0]._replace(name=one) for one in names)


def told(found: Comparison, judged: Judgement) -> list[str]:
    """A comparison for people."""
    lines = [f"A  {found.a.run.name}", f"B  {found.b.run.name}", "", _headline(found)]
    first = found.first or found.first_raw
    if first is not None:
        lines += ["", *_divergence(first), *values(first.values)]
    if found.drift:
        lines += ["", *(f"{cause:12} {verdict}" for cause, verdict in judged.verdicts.items())]
        lines += ["", f"cause: {judged.cause or 'the record does not tell'}"]
        lines += [f"  {_evidence(one)}" for one in judged.evidence]
    return lines


def _headline(found: Comparison) -> str:
    rules = f" after normalising {', '.join(found.rules)}" if found.rules else ""
    if not found.raw:
        return f"no drift: {found.compared} results are the same, byte for byte"
    if not found.drift:
        return f"no drift{rules}; before it, {found.raw} of {found.compared} results differ"
    before = f" ({found.raw} before it)" if rules else ""
    return f"drift: {found.real} of {found.compared} results differ{rules}{before}"


def _divergence(first: Divergence) -> list[str]:
    key = f" [{first.key}]" if first.key else ""
    what = _WHAT.get(first.what, "same inputs, another output")
    if first.kind in ("artifact", "result") and first.what == "output":
        what = "another content"
    if first.hidden:
        what += ", the same after normalising"
    lines = [f"first difference: {name(first)}{key}: {what}"]
    for label, side in (("A", first.a), ("B", first.b)):
        lines += _digests(label, side)
    return lines


def _digests(label: str, side: Side | None) -> list[str]:
    if side is None:
        return []
    return [f"  {label}  raw {side.raw[:23]}  normalised {side.normalised[:23]}"]


def values(found: SideBySide) -> list[str]:
    """Two values side by side."""
    lines = []
    for place in found.places:
        path = place.path or "(whole)"
        if place.a is None and place.b is None:
            lines.append(f"  {path}")
            continue
        lines += [f"  {path}", f"    A  {_or_absent(place.a)}", f"    B  {_or_absent(place.b)}"]
    lines += [f"  {line}" for line in found.text]
    if found.more:
        lines.append(f"  … and {found.more} more")
    if found.remark:
        lines.append(f"  ({found.remark})")
    return lines


def _or_absent(text: str | None) -> str:
    return "(absent)" if text is None else text


def _evidence(one: Evidence) -> str:
    return f"{one.cause}: {one.item}: {one.a or '-'} -> {one.b or '-'}"
