"""Counting the history of a run without reading it again each time somebody looks.

A history only grows, at its end. So what is counted of it is kept, and a run of a million
items costs a look what has been recorded since the one before. Where the last line that was
counted is another one (a database was restored from a copy), all is counted again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from nightproof.journal.listing import SpanRow
from nightproof.journal.tables import Row, Tables
from nightproof.model import clock
from nightproof.model.states import Kind

WINDOW: Final = 10_000
"""So many sequence numbers are counted at a time; only whole windows are kept."""
SETTLED_MS: Final = 3_600_000
"""What is missing among what was recorded this long ago does not come any more."""
_KEPT = 32
_RESULT, _FAILURE = int(Kind.RESULT), int(Kind.FAILURE)
_SUMS = "count(*), min(at * 1000 - took) / 1000, max(at), CAST(sum(took) AS bigint), max(took)"
_PLACE = "run = ? AND seq > CAST(? AS bigint) AND seq <= CAST(? AS bigint)"


@dataclass(slots=True)
class _Letters:
    """The outcomes of some codes up to sequence number `after`."""

    after: int = -1
    text: str = ""


@dataclass(slots=True)
class _Counted:
    """What is counted of one run: whole windows up to sequence number `after`."""

    bounds: tuple[int, ...] = ()
    after: int = -1
    mark: Row | None = None
    """The last line up to there."""
    rows: dict[tuple[int, int, int], SpanRow] = field(default_factory=dict)
    letters: dict[tuple[int, ...], _Letters] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Counts:
    """What one reader has counted of the runs that it was asked for last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, _Counted] = OrderedDict()

    async def spans(self, tables: Tables, run: int, bounds: Sequence[int]) -> list[SpanRow]:
        """See :class:`nightproof.journal.protocol.Reader`."""
        one = self._of(run)
        async with one.lock:
            if bounds and one.bounds != tuple(bounds):
                one.bounds, one.after, one.mark, one.rows = tuple(bounds), -1, None, {}
            found = dict(await self._spans(tables, run, one))
        if not bounds:  # counted by parts all the same, if anybody asked for these
            whole: dict[tuple[int, int, int], SpanRow] = {}
            _add(whole, [row._replace(part=0) for row in found.values()])
            found = whole
        return [found[key] for key in sorted(found)]

    async def states(self, tables: Tables, run: int, codes: Sequence[int], reopened: int) -> str:
        """See :class:`nightproof.journal.protocol.Reader`."""
        wanted = tuple(sorted(set(codes)))
        if not wanted:
            return ""
        one = self._of(run)
        async with one.lock:
            # Up to here nothing is missing: what follows may be filled in yet.
            await self._spans(tables, run, one)
            kept = one.letters.setdefault(wanted, _Letters())
            if kept.after < one.after:
                kept.text += await _letters(tables, run, wanted, kept.after, one.after)
                kept.after = one.after
            text = kept.text + await _letters(tables, run, wanted, kept.after, 1 << 40)
        return text.replace("f", "", await _forgotten(tables, run, wanted, reopened))

    def _of(self, run: int) -> _Counted:
        one = self._kept.setdefault(run, _Counted())
        self._kept.move_to_end(run)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return one

    async def _spans(
        self, tables: Tables, run: int, one: _Counted
    ) -> dict[tuple[int, int, int], SpanRow]:
        """Count what is new; returns all there is."""
        rows = await tables.rows("SELECT max(seq) FROM entry WHERE run = ?", run)
        last = -1 if rows[0][0] is None else int(rows[0][0])
        if one.mark != await _mark(tables, run, one.after):
            one.after, one.mark, one.rows, one.letters = -1, None, {}, {}
        before = one.after
        while one.after + WINDOW <= last:
            to = one.after + WINDOW
            found = await _window(tables, run, one.after, to, one.bounds)
            if sum(row.count for row in found) < WINDOW and not _settled(found):
                break
            _add(one.rows, found)
            one.after = to
            await clock.turn()
        if one.after > before:
            one.mark = await _mark(tables, run, one.after)
        whole = dict(one.rows)
        for after in range(one.after, last, WINDOW):
            _add(whole, await _window(tables, run, after, min(last, after + WINDOW), one.bounds))
        return whole


async def _mark(tables: Tables, run: int, to: int) -> Row | None:
    """What tells the last line up to `to` from that of another history."""
    if to < 0:
        return None
    rows = await tables.rows(
        "SELECT seq, kind, code, at, took, crc FROM entry WHERE run = ? "
        "AND seq <= CAST(? AS bigint) ORDER BY seq DESC LIMIT 1",
        run,
        to,
    )
    return rows[0] if rows else None


async def _window(
    tables: Tables, run: int, after: int, to: int, bounds: Sequence[int]
) -> list[SpanRow]:
    """The spans of a part of the history.

    Nearly always its results are all of one step and attempt, which takes no sorting.
    """
    told = tables.hint("entry_told")
    found = await tables.rows(
        f"SELECT min(kind), min(code), max(code), min(at), {_SUMS} FROM entry "
        f"WHERE {_PLACE} AND kind = {_RESULT}",
        run, after, to,
    )  # fmt: skip
    kind, code, other, at, *sums = found[0]
    part, values = _part(bounds)
    spans = []
    where = f"{told}WHERE {_PLACE} AND kind <> {_RESULT}"
    if sums[0]:
        place = sum(bound <= at for bound in bounds)
        if code == other and place == sum(bound <= sums[2] for bound in bounds):
            spans.append(SpanRow(kind, code, place, *sums))
        else:
            where = f"WHERE {_PLACE}"
    rows: list[Row] = await tables.rows(
        f"SELECT kind, code, {part} AS part, {_SUMS} FROM entry {where} GROUP BY kind, code, 3",
        *values, run, after, to,
    )  # fmt: skip
    return [*spans, *(SpanRow(*row) for row in rows)]


async def _letters(tables: Tables, run: int, codes: tuple[int, ...], after: int, to: int) -> str:
    clause, values = tables.among("code", codes)
    rows = await tables.rows(
        f"SELECT string_agg(letter, '') FROM (SELECT CASE kind WHEN {_RESULT} THEN 'd' "
        f"ELSE 'f' END AS letter FROM entry WHERE {_PLACE} "
        f"AND kind IN ({_RESULT}, {_FAILURE}) AND {clause} ORDER BY seq) AS outcomes",
        run, after, to, *values,
    )  # fmt: skip
    return str(rows[0][0] or "")


async def _forgotten(tables: Tables, run: int, codes: tuple[int, ...], reopened: int) -> int:
    """How many failures of these codes were recorded up to `reopened`."""
    if reopened < 0:
        return 0
    clause, values = tables.among("code", codes)
    rows = await tables.rows(
        f"SELECT count(*) FROM entry {tables.hint('entry_told')}WHERE {_PLACE} "
        f"AND kind <> {_RESULT} AND kind = {_FAILURE} AND {clause}",
        run, -1, reopened, *values,
    )  # fmt: skip
    return int(rows[0][0])


def _settled(found: Sequence[SpanRow]) -> bool:
    """Whether what is missing among these will not come any more."""
    return bool(found) and max(row.last for row in found) < clock.now_ms() - SETTLED_MS


def _add(rows: dict[tuple[int, int, int], SpanRow], more: Sequence[SpanRow]) -> None:
    """Add up spans of the same kind, code and part."""
    for row in more:
        key = row.kind, row.code, row.part
        known = rows.get(key)
        rows[key] = (
            row
            if known is None
            else SpanRow(
                *key,
                known.count + row.count,
                min(known.first, row.first),
                max(known.last, row.last),
                known.took + row.took,
                max(known.longest, row.longest),
            )
        )


def _part(bounds: Sequence[int]) -> tuple[str, list[int]]:
    """How many of the ordered bounds are not after `at`, as SQL with the values of its marks.

    A search by halves: attempts may be many.
    """
    return _between(bounds, 0, len(bounds))


def _between(bounds: Sequence[int], low: int, high: int) -> tuple[str, list[int]]:
    if low == high:
        return str(low), []
    middle = (low + high) // 2
    below, first = _between(bounds, low, middle)
    above, second = _between(bounds, middle + 1, high)
    sql = f"CASE WHEN at < ? THEN {below} ELSE {above} END"
    return sql, [bounds[middle], *first, *second]
