"""The ledger of effects over all runs, or of one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from nightproof.errors import NotFound
from nightproof.journal.listing import EffectFilter, EffectPlace
from nightproof.journal.protocol import Reader
from nightproof.journal.records import EffectRow
from nightproof.model import clock
from nightproof.model.states import EffectState
from nightproof.views.effects import EffectView, effect_view
from nightproof.views.runs import Standing, view, word
from nightproof.views.values import Place, Time, iso, whole

DOUBT = (EffectState.INTENDED, EffectState.FAILED)
"""The states in which it is not known whether an effect happened."""

DOUBTS = 100
Gone = Standing | Literal["gone"]
SECONDS = 0.15
"""So long a search looks back at a time."""
_WINDOW = 10_000
"""So many effects are looked at before the time is looked at; more, as long as that is quick."""
LONGEST = 2000
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
    standings = await _standings(reader, [row.run for row in found.rows if row.state in DOUBT])
    # All of them are not counted: that takes as long as there are effects.
    doubts = len(await reader.ledger(EffectFilter(states=DOUBT, limit=DOUBTS)))
    lines = [_line(row, standings.get(row.run, "")) for row in found.rows]
    return LedgerPage(lines, doubts, cursor(found.next), iso(found.back_to))


async def look(reader: Reader, want: EffectFilter, seconds: float = SECONDS) -> Found:
    """A page of effects, found in a time that does not grow with the ledger."""
    doubt = bool(want.states) and set(DOUBT).issuperset(want.states)
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


async def _standings(reader: Reader, runs: Sequence[int]) -> dict[int, Gone]:
    found: dict[int, Gone] = {}
    for run in set(runs):
        try:
            found[run] = word(view(await reader.run(run)))
        except NotFound:
            found[run] = "gone"
    return found


def _line(row: EffectRow, standing: Gone | Literal[""]) -> LedgerLine:
    # While a process works on its run it is still being tried; nobody decides what is gone.
    shown = effect_view(row, tried=standing in ("running", "gone"))
    known = {one.name: getattr(shown, one.name) for one in fields(EffectView)}
    return LedgerLine(**known, standing=standing if row.state in DOUBT else "")
