"""The ledger of effects over all runs, or of one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Literal

from nightproof.errors import NotFound
from nightproof.journal.listing import EffectFilter, EffectPlace
from nightproof.journal.protocol import Reader
from nightproof.journal.records import EffectRow, RunRow
from nightproof.model import clock
from nightproof.views.effects import EffectView, effect_view
from nightproof.views.runs import Standing, view, word
from nightproof.views.trying import UNDECIDED
from nightproof.views.values import Place, Time, iso, whole

DOUBTS = 100
Gone = Standing | Literal["gone"]
SECONDS = 0.15
"""So long a search looks back at a time."""
_WINDOW = 10_000
"""So many effects are looked at before the time is looked at; more, as long as that is quick."""
LONGEST = 300
"""So many characters of a key are in a place."""
_NUL = "\0"
_PLACE = re.compile(r"([0-9]{1,15})\.(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LedgerLine(EffectView):
    """One effect of the ledger.

    `standing` is the state of its run where the effect is in doubt, "gone" where the run was
    collected, else "".
    """

    standing: Gone | Literal[""]


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """A part of the ledger, newest first.

    A search looks back for a short time: where that was not enough, `back_to` is the time of
    the oldest effect that it came to, and `next` goes on from there.
    """

    effects: list[LedgerLine]
    doubts: int
    """How many of the whole ledger are in doubt; counted up to 100."""
    next: Place | None
    """What to give as `before` for those behind them; null at the end."""
    back_to: Time | None


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of a page, where the next one begins, and how far a search came that is not over."""

    rows: list[EffectRow]
    next: EffectPlace | None
    back_to: int | None


def place(text: str) -> EffectPlace | None:
    """What :func:`cursor` has made; None for anything else."""
    told = _PLACE.fullmatch(text)
    return None if told is None else EffectPlace(int(told[1]), whole(told[2]))


def cursor(one: EffectPlace | None) -> str | None:
    """A place in the ledger as addresses have it."""
    # The beginning of a key is enough: nothing is shown twice then, and a tie is a rare thing.
    return None if one is None else f"{one.at}.{one.key.partition(_NUL)[0][:LONGEST]}"


async def ledger(reader: Reader, want: EffectFilter, seconds: float = SECONDS) -> LedgerPage:
    """The effects that `want` asks for."""
    found = await look(reader, want, seconds)
    runs = await _runs(reader, [row.run for row in found.rows if row.state in UNDECIDED])
    # All of them are not counted: that takes as long as there are effects.
    doubts = len(await reader.ledger(EffectFilter(states=UNDECIDED, limit=DOUBTS)))
    lines = [_line(row, runs.get(row.run)) for row in found.rows]
    return LedgerPage(lines, doubts, cursor(found.next), iso(found.back_to))


async def look(reader: Reader, want: EffectFilter, seconds: float = SECONDS) -> Found:
    """A page of effects, found in a time that does not grow with the ledger."""
    doubt = bool(want.states) and set(UNDECIDED).issuperset(want.states)
    if not want.text and (doubt or not want.states):
        rows = await reader.ledger(want._replace(limit=want.limit + 1))
        return _page(rows, want.limit)
    begun, window, rows = clock.perf(), _WINDOW, list[EffectRow]()
    while True:
        end = await reader.reach(want, window)
        more = want._replace(limit=want.limit + 1 - len(rows), down_to=end)
        rows += await reader.ledger(more)
        if len(rows) > want.limit or end is None:
            return _page(rows, want.limit)
        took = clock.perf() - begun
        if took > seconds:
            return Found(rows, end, end.at)
        window *= 2 if took < seconds / 4 else 1
        want = want._replace(before=end)
        await clock.turn()  # others may be waiting for an answer


def _page(rows: list[EffectRow], limit: int) -> Found:
    shown = rows[:limit]
    more = len(rows) > limit
    return Found(shown, EffectPlace(shown[-1].at, shown[-1].key) if more else None, None)


async def _runs(reader: Reader, runs: Sequence[int]) -> dict[int, RunRow]:
    found: dict[int, RunRow] = {}
    for run in set(runs):
        with suppress(NotFound):  # it was collected
            found[run] = await reader.run(run)
    return found


def _line(row: EffectRow, run: RunRow | None) -> LedgerLine:
    shown = effect_view(row, run)
    known = {one.name: getattr(shown, one.name) for one in fields(EffectView)}
    if row.state not in UNDECIDED:
        return LedgerLine(**known, standing="")
    if run is None:  # nobody can decide for it
        return LedgerLine(**{**known, "undecided": False}, standing="gone")
    return LedgerLine(**known, standing=word(view(run)))
