"""What an experiment is offered: recorded results, except where the runs part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightproof.drift.goal import Goal
from nightproof.journal.protocol import Reader
from nightproof.journal.records import Entry, Recorded
from nightproof.model.states import Kind

_WORLD = (Kind.VALUE, Kind.WAIT, Kind.SIGNAL)
_RESULTS = (Kind.RESULT, Kind.FAILURE, Kind.CHILD, Kind.EFFECT)
_KINDS = (*_RESULTS, *_WORLD, Kind.UNDONE, Kind.REOPENED)
_PAGE = 2000


class Offer:
    """Entries of runs, numbered anew."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = [one._replace(seq=seq) for seq, one in enumerate(entries)]

    def recorded(self, inline: int) -> list[Recorded]:
        """As a journal's index: outputs only up to `inline` bytes."""
        return [
            Recorded(
                one.seq, one.kind, one.code, one.fp, len(one.output or b""),
                one.output if one.output is not None and len(one.output) <= inline else None,
                one.blob,
            )
            for one in self._entries
        ]  # fmt: skip

    def entries(self, seqs: Sequence[int]) -> dict[int, Entry]:
        """Whole entries by number."""
        return {seq: self._entries[seq] for seq in seqs if 0 <= seq < len(self._entries)}


async def offer(reader: Reader, plan: dict[str, Any], goal: Goal) -> Offer:
    """What the runs in ``plan["runs"]`` recorded, later ones first.

    Times, waits and signals are those of the run ``plan["world"]``, if it has them. The
    point in which the runs part is left out where it has to run again.
    """
    kept: dict[bytes, Entry] = {}
    for run in plan["runs"]:
        kept.update(await _past(reader, run))
    world = await _past(reader, plan["world"])
    kept.update({fp: one for fp, one in world.items() if one.kind in _WORLD})
    if goal.what == "output" and goal.a is not None:
        kept.pop(goal.a, None)
    return Offer(list(kept.values()))


async def _past(reader: Reader, run: int) -> dict[bytes, Entry]:
    found: dict[bytes, Entry] = {}
    after = -1
    while entries := await reader.entries(run, _KINDS, after, _PAGE):
        for entry in entries:
            if entry.kind == Kind.REOPENED:
                found = {fp: one for fp, one in found.items() if one.kind != Kind.FAILURE}
            elif entry.kind == Kind.UNDONE:
                found.pop(entry.fp, None)
            elif entry.output is not None or entry.blob is not None:
                found[entry.fp] = entry
        after = entries[-1].seq
    return found
