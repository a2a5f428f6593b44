"""What a run is known to have read, put together for people."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Literal, cast

from nightproof.blobs.protocol import Blobs
from nightproof.errors import NotFound
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.provenance.witness import BLIND, Read, Witnessed, words
from nightproof.provenance.witness import witnessed as read_all
from nightproof.views.notes import Level


@dataclass(frozen=True, slots=True)
class ReadView:
    """One thing that was read by one step (or the body, the import, a thread: `reader`).

    `calls` is how many calls of the step read it, at least; `declare` says what to
    write so that it is declared, `dataset` the Dataset for the contract; ``""`` where there
    is none.
    """

    what: Literal["file", "folder", "variable", "host", "program"]
    name: str
    step: str
    reader: str
    calls: int
    digest: str | None
    size: int | None
    by: str
    declared: str
    undeclared: bool
    declare: str
    dataset: str
    kept: str | None
    attempts: list[int]


@dataclass(frozen=True, slots=True)
class WitnessView:
    """The reads of a run; `levels` by attempt, `blind` what the weakest of them cannot see."""

    run: str
    levels: dict[str, Level]
    undeclared: int
    """How many different things, however many steps read them."""
    reads: list[ReadView]
    settings: list[str]
    """What to write in the configuration so that all of it is declared."""
    blind: list[str]


async def witness(reader: Reader, blobs: Blobs, row: RunRow) -> WitnessView:
    """Everything that the attempts of a run are known to have read, undeclared things first.

    Raises NotFound where no attempt had a witness, BlobError where a list of reads is gone.
    """
    found = await read_all(reader, blobs, row.id)
    if not found.levels:
        raise NotFound(
            f"it is not on record what run {row.name} read",
            "The setting witness was off, an older nightproof made it, or it died at once.",
        )
    # Tens of thousands of reads take a second, in which a page's loop goes on.
    return await asyncio.to_thread(_together, row.name, found)


def _together(run: str, found: Witnessed) -> WitnessView:
    groups: dict[tuple[Any, ...], list[Read]] = {}
    for read in found.reads:
        key = (read.what, read.name, read.step, read.digest, read.size, read.by, read.declared)
        groups.setdefault(key, []).append(read)
    reads = [_view(each) for each in groups.values()]
    reads.sort(key=lambda one: (not one.undeclared, one.what, one.name))
    return WitnessView(
        run=run,
        levels={
            str(number): cast("Level", level) for number, level in sorted(found.levels.items())
        },
        undeclared=len({(read.what, read.name) for read in reads if read.undeclared}),
        reads=reads,
        settings=words.settings([read for read in found.reads if read.undeclared]),
        blind=list(BLIND.get(min(found.levels.values()), ())),
    )


def _view(group: list[Read]) -> ReadView:
    one = group[0]
    dataset = words.dataset_of(one) if one.undeclared else ""
    return ReadView(
        what=cast("Any", one.what),
        name=one.name,
        step=one.step,
        reader=words.who(one),
        calls=len({read.fp for read in group}),
        digest=one.digest,
        size=one.size,
        by=one.by,
        declared=one.declared,
        undeclared=one.undeclared,
        declare=words.remedy(one, dataset) if one.undeclared else "",
        dataset=dataset,
        kept=next((read.kept for read in group if read.kept), None),
        attempts=sorted({read.attempt for read in group}),
    )
