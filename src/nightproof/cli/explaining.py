"""``nightproof explain``: experiments about the drift between two runs."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from typing import Any, NamedTuple

from nightproof import app
from nightproof.blobs.protocol import Blobs
from nightproof.cli import other_packages
from nightproof.cli.drift_text import told
from nightproof.cli.drifting import DRIFT, declared
from nightproof.cli.reading import opened
from nightproof.cli.session import Session, emit, note, terminal
from nightproof.cli.table import out
from nightproof.cli.table import rows as table
from nightproof.config import Settings
from nightproof.drift.factors import Facts, facts, goal_needs_effects
from nightproof.drift.swap import Experiment, Explanation, Swaps, most
from nightproof.drift.verdict import EXCLUDED, PROVED
from nightproof.errors import UsageError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow, UseBlob
from nightproof.views import open_run
from nightproof.views.comparison import DriftView, name
from nightproof.views.documents import plain
from nightproof.views.drift import drift


class Options(NamedTuple):
    """How experiments are to be made."""

    yes: bool = False
    runs: int = 4
    packages: bool = False


class _Declined(Exception):
    """A person did not want the experiments."""


def explain(session: Session, a: str, b: str, options: Options) -> int:
    """Compare, make experiments and judge; exit 3 on drift."""
    settings = session.settings()
    blobs = app.open_blobs(settings)

    async def look() -> tuple[DriftView, Explanation]:
        reader = opened(session)
        one, other = await open_run(reader, a), await open_run(reader, b)
        rules = await declared(reader, max(one, other, key=lambda row: row.id))
        view = await drift(reader, blobs, one, other, rules)
        found = Explanation(view.judgement)
        if view.comparison.drift:
            try:
                found = await _experiments(settings, reader, blobs, view, options)
            except _Declined:
                found.remarks.append("no experiment was made")
        return replace(view, judgement=found.judgement), found

    view, found = asyncio.run(look())
    document = {
        **plain(view.document()),
        "experiments": [one.document() for one in found.experiments],
        "remarks": found.remarks,
    }
    if found.experiments:
        asyncio.run(_keep(settings, blobs, view, document))
    if session.json:
        emit(document)
    else:
        lines = told(view.comparison, view.judgement, explained=bool(found.experiments))
        out("\n".join([*lines, *_told(found)]))
    return DRIFT if view.comparison.drift else 0


async def _experiments(
    settings: Settings, reader: Reader, blobs: Blobs, view: DriftView, options: Options
) -> Explanation:
    from nightproof.cli.experimenting import Laboratory  # subprocesses and threads

    found = view.comparison
    inner = found.innermost
    first = inner.first
    near = view.judgement.around
    assert first is not None
    assert near is not None
    if goal_needs_effects(first):
        remark = f"{name(first)} acts on the world: experiments do not perform effects"
        return Explanation(view.judgement, remarks=[remark])
    _ready(inner.b.run)
    laboratory = Laboratory(settings, found)
    remark = ""
    try:
        known = await facts(reader, blobs, found, near, laboratory.environ)
        if options.packages:
            known, remark = await asyncio.to_thread(
                other_packages.with_packages,
                known, near.environment, laboratory.folder("packages"), laboratory.environ,
            )  # fmt: skip
        elif other_packages.restorable(near.environment.strict):
            remark = "--packages also tries A's versions of the packages that differ"
        laboratory.expect(known.took, known.idle)
        _announce(known, name(first), options)
        swaps = Swaps(known, view.judgement, laboratory.run, options.runs, _row, laboratory.used)
        told = await swaps.explain()
    finally:
        laboratory.close()
    if remark and told.judgement.verdicts["environment"] not in (PROVED, EXCLUDED):
        told.remarks.append(remark)
    if laboratory.level not in ("", "L1"):
        told.remarks.append(f"{inner.b.run.name} ran at {laboratory.level}, its experiments at L1")
    return told


def _ready(row: RunRow) -> None:
    if not row.target:
        raise UsageError(
            f"run {row.name} does not say where its job is, so that it cannot be run again",
            "It was started from Python; `nightproof diff` says what the record tells.",
        )


def _announce(known: Facts, step: str, options: Options) -> None:
    """Say what it will take, and ask where somebody else's service is asked."""
    least, at_most = most(known, options.runs)
    took = f"about {known.took:.1f} s each" if known.took >= 0.1 else "quick ones"
    note(f"explain runs '{step}' {least} to {at_most} times ({took}), performs no effects")
    outside = [*known.asked, *known.hosts]
    if not outside or options.yes:
        return
    names = ", ".join(outside)
    if not terminal(sys.stdin):
        raise UsageError(
            f"each of up to {at_most} runs of '{step}' asks {names}, which may cost money",
            "Give --yes to make them, or --runs N for fewer.",
        )
    print(f"each asks {names}, which may cost money. Go on? [y/N] ", end="", file=sys.stderr)
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise _Declined


def _row(arm: Experiment) -> None:
    counts = ", ".join(f"{arm.count(like)} {like}" for like in ("A", "B", "other"))
    note(f"  {arm.factor}: {len(arm.outcomes)} runs: {counts}")


def _told(found: Explanation) -> list[str]:
    if not found.experiments:
        return ["", *found.remarks] if found.remarks else []
    body = [
        [
            arm.factor,
            arm.cause or "-",
            *(str(number) for number in (len(arm.outcomes), *map(arm.count, ("A", "B", "other")))),
            "-" if arm.p is None else "<0.001" if arm.p < 0.001 else f"{arm.p:.3f}",
        ]
        for arm in found.experiments
    ]
    head = ["PUT BACK", "CAUSE", "RUNS", "LIKE A", "LIKE B", "OTHER", "P"]
    return ["", *table(head, body), *(["", *found.remarks] if found.remarks else [])]


async def _keep(
    settings: Settings, blobs: Blobs, view: DriftView, document: dict[str, Any]
) -> None:
    """Keep the result with run B."""
    data = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    stored = await asyncio.to_thread(blobs.put, data)
    cause, other = view.judgement.cause, view.comparison.a.run.name
    verdict = f"{cause}: {view.judgement.verdicts[cause]}" if cause else "no cause is proved"
    event = {
        "kind": "explained",
        "with": other,
        "blob": stored.digest,
        "cause": cause,
        "verdicts": view.judgement.verdicts,
        "message": f"the difference from {other}: {verdict}",
    }
    journal = app.open_journal(settings)
    try:
        run = view.comparison.b.run
        use = UseBlob(stored.digest, stored.size)
        if not await journal.annotate(run.id, json.dumps(event).encode(), [use]):
            note(f"a process works on {run.name}: the result is not kept with it")
    finally:
        await journal.close()
