"""Documents of the parts of a run that pages show and no command prints."""

from __future__ import annotations

from dataclasses import dataclass

from nightproof.blobs.protocol import Blobs
from nightproof.journal.listing import EffectFilter, EffectPlace
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.views import EffectView, ItemView
from nightproof.views import grid as grids
from nightproof.views.course import Course
from nightproof.views.course import course as course_of
from nightproof.views.effects import effect_view
from nightproof.views.grid import ItemWhole
from nightproof.views.ledger import cursor, look
from nightproof.views.steps import learn, name_of
from nightproof.views.values import Place


@dataclass(frozen=True, slots=True)
class RunEffects:
    """What a run announced to do to the world, the newest first."""

    run: str
    effects: list[EffectView]
    next: Place | None
    """What to give as `before` for those behind them; null at the end."""


async def effects(
    reader: Reader, row: RunRow, before: EffectPlace | None, limit: int
) -> RunEffects:
    """The effects of a run."""
    found = await look(reader, EffectFilter(run=row.id, limit=limit, before=before))
    shown = [effect_view(one, row) for one in found.rows]
    return RunEffects(row.name, shown, cursor(found.next))


@dataclass(frozen=True, slots=True)
class Timeline:
    """When what of a run worked, waited, was tried again, and where it crashed."""

    run: str
    course: Course


async def timeline(reader: Reader, row: RunRow) -> Timeline:
    """The course of a run."""
    return Timeline(row.name, await course_of(reader, row))


@dataclass(frozen=True, slots=True)
class Grid:
    """The items of one step at a glance, in the order of their ends."""

    run: str
    step: str
    states: str
    """A letter for each: `d` done, `f` failed."""
    total: int | None
    """How many a map announced; those that are missing have not ended. Null where none did."""
    done: int
    failed: int
    pending: int


async def grid(reader: Reader, row: RunRow, step: str) -> Grid:
    """The items of a step at a glance. Raises NotFound."""
    found = await grids.grid(reader, row, step)
    return Grid(row.name, step, found.states, found.total, found.done, found.failed, found.pending)


@dataclass(frozen=True, slots=True)
class Items:
    """Some items of a step in the order of their ends."""

    run: str
    step: str
    items: list[ItemView]
    before: int | None
    """What to give as `before` for the items ahead of these; null where there are none."""
    after: int | None
    """What to give as `after` for those behind them; null where there are none."""


async def items(
    reader: Reader,
    row: RunRow,
    step: str,
    *,
    state: str,
    text: str,
    after: int,
    before: int | None,
    limit: int,
) -> Items:
    """Items of a step by state, and by what their key and inputs hold. Raises NotFound."""
    seen = await grids.grid(reader, row, step)
    found = await grids.listed(
        reader, row, seen, state=state, text=text, after=after, before=before, limit=limit
    )
    return Items(row.name, step, found.items, found.before, found.after)


@dataclass(frozen=True, slots=True)
class Item:
    """One item with all that is known of it."""

    run: str
    item: ItemWhole


async def item(reader: Reader, blobs: Blobs, row: RunRow, seq: int) -> Item:
    """The item with a sequence number. Raises NotFound."""
    entry = await grids.entry_of(reader, row, seq)
    names: dict[int, str] = {}
    await learn(reader, names, [entry])
    return Item(row.name, await grids.item(reader, blobs, row, seq, name_of(entry, names)))
