"""``nightproof env reads RUN``: what a run read, and what nothing declares of it."""

from __future__ import annotations

import asyncio

from nightproof import app
from nightproof.cli.reading import opened
from nightproof.cli.session import Session, emit, note
from nightproof.cli.table import out, rows
from nightproof.views import documents, open_run
from nightproof.views.documents import plain
from nightproof.views.witness import ReadView, WitnessView

ROWS = 200
DATASETS = 5


def reads(session: Session, run: str, every: bool) -> int:
    """Print what a run read: what nothing declares, or with `every` everything."""

    async def look() -> WitnessView:
        reader = opened(session)
        row = await open_run(reader, run)
        return await documents.reads(reader, app.open_blobs(session.settings()), row, every=every)

    found = asyncio.run(look())
    if session.json:
        emit(plain(found))
        return 0
    shown = found.reads
    if shown:
        body = _body(shown[:ROWS])
        out("\n".join(rows(["WHAT", "NAME", "FOR", "CONTENT", "DECLARED BY"], body)))
        if len(shown) > ROWS:
            note(f"{len(shown) - ROWS} more: --json lists them all")
        _ways(found, shown)
    levels = ", ".join(dict.fromkeys(found.levels.values()))
    count = found.undeclared
    things = f"{count} thing{'s' if count > 1 else ''} that nothing declares" if count else ""
    out(f"{found.run} read {things or 'nothing undeclared'}, as far as level {levels} sees")
    if every:
        for sentence in found.blind:
            note(f"level {levels}: {sentence}")
    return 0


def _body(shown: list[ReadView]) -> list[list[str]]:
    return [
        [
            one.what,
            one.name,
            one.reader + (f", {one.calls} calls" if one.calls > 1 else ""),
            _content(one),
            one.declared or ("nothing" if one.undeclared else f"- (asked for by {one.by})"),
        ]
        for one in shown
    ]


def _content(one: ReadView) -> str:
    if one.what == "host":
        return ""
    if one.digest is None:
        return "not there" if one.size is None else f"{one.size} bytes, not hashed"
    return one.digest[:19] if one.digest.startswith("sha256:") else "set, looks like a secret"


def _ways(found: WitnessView, shown: list[ReadView]) -> None:
    """What to write."""
    datasets = [one.dataset for one in shown if one.dataset]
    if datasets and len(datasets) <= DATASETS:
        out("\nto declare files in the contract, as a Dataset:")
        out("\n".join(f"  {dataset}" for dataset in dict.fromkeys(datasets)))
    if found.settings:
        out("\nto declare all of it in nightproof.toml:")
        out("\n".join(f"  {line}" for line in found.settings))
    print()
