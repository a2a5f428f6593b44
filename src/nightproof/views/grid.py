"""One step's items, however many: their states at a glance, found by key, one of them whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

from nightproof.blobs.protocol import Blobs
from nightproof.errors import BlobError, NotFound, StoreError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import Entry, RunRow, intact
from nightproof.model import clock
from nightproof.model.codec import RAW_FORMS
from nightproof.model.states import Kind
from nightproof.views.course import events_of
from nightproof.views.notes import TryView, tries_of
from nightproof.views.steps import (
    DONE,
    ItemView,
    item_view,
    later,
    learn,
    map_totals,
    name_of,
    tally,
)
from nightproof.views.values import Json, iso, parsed

STATES = ("done", "failed", "retried")
SHOWN = 256 * 1024
"""So many bytes of an output are shown; more is for a download."""
TIMES = 20
"""So many earlier tries of an item are listed, and this many events looked through for them."""
SECONDS = 0.15
"""So long a text is looked for at a time."""
WINDOW = 50_000
"""So much of a history is looked through before the time is looked at."""
VERIFIED = 16 << 20
"""Of a larger output only the beginning is read, which cannot be verified."""
LARGEST = 256 << 20
"""Bytes of an output that is downloaded: it is in memory as a whole."""
_LOOKED_AT = 1000
_KEPT = 16


@dataclass(frozen=True, slots=True)
class GridView:
    """A letter for each item in the order of their ends: ``d`` done, ``f`` failed.

    `total` where a map announced how many there are: those that are missing have not ended.
    `reopened` is the sequence number up to which failures were forgotten, -1 for none.
    """

    step: str
    codes: tuple[int, ...]
    states: str
    total: int | None
    reopened: int
    acts: int = 0
    """How often it was done, where it is an effect; these have no letter."""
    undone: frozenset[bytes] = frozenset()
    """The fingerprints of what was undone."""

    @property
    def done(self) -> int:
        """How many items are done."""
        return self.states.count("d") + self.acts

    @property
    def failed(self) -> int:
        """How many items have failed and are not tried again yet."""
        return self.states.count("f")

    @property
    def pending(self) -> int:
        """How many items have no outcome."""
        return max(0, (self.total or 0) - len(self.states))


@dataclass(frozen=True, slots=True)
class Found:
    """A page of items; `before` and `after` are what to give for the pages beside it."""

    items: list[ItemView]
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class ItemWhole:
    """An item with all that is known of it.

    `value` is the output as JSON where that is what it is, `text` its beginning as text;
    `size` in bytes (None where it is gone), `digest` of its bytes. `missing` says why there
    is no output. What is shown of a very large one is not `verified` against the digest.
    """

    item: ItemView
    fingerprint: str
    code: str
    value: Json
    text: str
    size: int | None
    digest: str | None
    cut: bool
    missing: str
    verified: bool
    tries: list[TryView]
    intact: bool


async def grid(reader: Reader, run: RunRow, step: str) -> GridView:
    """The states of a step's items. Raises NotFound where the run has no such step."""
    whole = await tally(reader, run)
    there = {kind for kind, _, _ in whole}
    coded = [row for row in whole if row[1]]
    known = await reader.codes({code for kind, code, _ in coded if kind in (*DONE, Kind.FAILURE)})
    codes = tuple(code for code, row in known.items() if row.name == step)
    told = sum(count for kind, _, count in whole if kind == Kind.EVENT)
    events = await events_of(reader, run.id, told)
    total = map_totals(events.entries, await reader.attempts(run.id)).get(step)
    if not codes and total is None:
        raise NotFound(
            f"run {run.name} has no step '{step}'", "Its overview lists the steps it has."
        )
    again = Kind.REOPENED in there or Kind.UNDONE in there
    undone, reopened = await later(reader, run.id) if again else (set[bytes](), -1)
    states = await reader.states(run.id, codes, reopened) if codes else ""
    acts = sum(count for kind, code, count in coded if kind == Kind.EFFECT and code in codes)
    return GridView(step, codes, states, total, reopened, acts, frozenset(undone))


async def cell(reader: Reader, run: RunRow, seen: GridView, index: int) -> int | None:
    """The sequence number behind cell `index` of a grid; None where it has no outcome."""
    if not 0 <= index < len(seen.states):
        return None
    place = index
    if seen.reopened >= 0:
        every = await reader.states(run.id, seen.codes, -1)
        place = _place(every, len(every) - len(seen.states), index)
    kinds = (Kind.RESULT, Kind.FAILURE)
    found = await reader.entries(run.id, kinds, codes=seen.codes, skip=place, limit=1)
    return found[0].seq if found else None


def _place(every: str, forgotten: int, index: int) -> int:
    """Where item `index` is among all, of whose failures the first ones are forgotten."""
    at = -1
    for _ in range(forgotten):
        following = every.find("f", at + 1)
        if index < following - at - 1:
            break
        index -= following - at - 1
        at = following
    return at + 1 + index


async def listed(
    reader: Reader,
    run: RunRow,
    seen: GridView,
    *,
    state: str = "",
    text: str = "",
    after: int = -1,
    before: int | None = None,
    limit: int = 50,
) -> Found:
    """Items of a step in the order of their ends: in one of STATES, with `text` in key or inputs.

    Behind sequence number `after`, or the last ones up to `before`. A text is looked for during
    about SECONDS: a page of a very long run may be short, or empty, and have more beside it.
    """
    if not seen.codes:
        return Found([], None, None)
    kinds: tuple[Kind, ...] = (*DONE, Kind.FAILURE)
    low, high = after, before
    if state == "done":
        kinds = DONE
    elif state == "failed":
        kinds, low = (Kind.FAILURE,), max(after, seen.reopened)
    elif state == "retried":
        kinds, high = (Kind.FAILURE,), min(seen.reopened + 1, before or seen.reopened + 1)
    backwards = before is not None
    place = _Place(low, high, backwards)
    ordered = await _sought(reader, run, seen, kinds, text, place, limit + 1)
    more = len(ordered) > limit
    ordered = ordered[-limit:] if backwards else ordered[:limit]
    shown = [item_view(one, seen.step, seen.undone, seen.reopened) for one in ordered]
    first = ordered[0].seq if ordered else None
    last = ordered[-1].seq if ordered else None
    if place.left is not None and not more:  # there was no time to look further
        ahead = first if after >= 0 else None
        return Found(shown, *((place.left, last) if backwards else (ahead, place.left)))
    earlier = more if backwards else after >= 0
    return Found(shown, first if earlier else None, last if more or backwards else None)


@dataclass(slots=True)
class _Place:
    """Where to look: behind `low`, ahead of `high`, from the end where `backwards`.

    `left` is where looking stopped for want of time, None where it came to the end.
    """

    low: int
    high: int | None
    backwards: bool
    left: int | None = None

    def next(self, end: int) -> tuple[int, int] | None:
        """The part to look through next, of a history that ends ahead of `end`."""
        high = end if self.high is None else min(self.high, end)
        if self.low + 1 >= high:
            return None
        if self.backwards:
            self.high = max(self.low + 1, high - WINDOW)
            return self.high - 1, high
        low, self.low = self.low, min(self.low + WINDOW, high - 1)
        return low, self.low + 1


async def _sought(
    reader: Reader, run: RunRow, seen: GridView, kinds: Sequence[int], text: str, place: _Place,
    most: int,
) -> list[Entry]:  # fmt: skip
    """Up to `most` entries with the text, in order; a part of the history at a time."""
    if not text:
        return await reader.entries(
            run.id, kinds, place.low, most, codes=seen.codes, before=place.high,
            newest=place.backwards,
        )  # fmt: skip
    newest = await reader.entries(run.id, limit=1, newest=True)
    end = newest[0].seq + 1 if newest else 0
    until = clock.perf() + SECONDS
    found: dict[int, Entry] = {}
    while len(found) < most and (part := place.next(end)) is not None:
        for form in _forms(text):
            for entry in await reader.entries(
                run.id, kinds, part[0], most, codes=seen.codes, text=form, before=part[1],
                newest=place.backwards,
            ):  # fmt: skip
                found[entry.seq] = entry
        if clock.perf() > until:
            left = place.high if place.backwards else place.low
            place.left = left if place.next(end) is not None else None
            break
        await clock.turn()
    ordered = [found[seq] for seq in sorted(found)]
    return ordered[-most:] if place.backwards else ordered[:most]


def _forms(text: str) -> list[bytes]:
    """A text as it may stand in recorded inputs: as it is, and as JSON escapes it."""
    quoted = json.dumps(text, ensure_ascii=False)[1:-1]
    return list(dict.fromkeys([quoted.encode("utf-8", "replace"), json.dumps(text)[1:-1].encode()]))


async def entry_of(reader: Reader, run: RunRow, seq: int, step: str | None = None) -> Entry:
    """The outcome with this sequence number. Raises NotFound where there is none, of that step."""
    found = await reader.entries(run.id, (*DONE, Kind.FAILURE), seq - 1, 1, before=seq + 1)
    names: dict[int, str] = {}
    await learn(reader, names, found)
    if not found or (step is not None and name_of(found[0], names) != step):
        raise NotFound(
            f"run {run.name} has no item number {seq}" + (f" of step '{step}'" if step else ""),
            "The table of the step's items leads to each of them.",
        )
    return found[0]


async def item(reader: Reader, blobs: Blobs, run: RunRow, seq: int, step: str) -> ItemWhole:
    """One item whole. Raises NotFound."""
    entry = await entry_of(reader, run, seq, step)
    undone, reopened = await later(reader, run.id)
    shown = item_view(entry, step, undone, reopened)
    codes = await reader.codes([entry.code] if entry.code else [])
    size = None if entry.blob is None else await reader.blob_size(entry.blob)
    verified = size is None or size <= VERIFIED
    digest, head, missing = None, b"", ""
    store: Any = blobs
    if entry.blob is not None:
        try:
            size, head = await asyncio.to_thread(_beginning, store, entry.blob, size, verified)
            digest = entry.blob
        except (BlobError, StoreError) as error:
            size, missing = None, error.message
    elif entry.output is None:
        missing = "nothing of its output is kept: the step is secret"
    else:
        size, head = len(entry.output), entry.output[:SHOWN]
        digest = "sha256:" + sha256(entry.output).hexdigest()
    whole = size == len(head)
    value = None
    if whole and entry.kind != Kind.FAILURE and not _raw(entry):
        value = parsed(head)
    return ItemWhole(
        item=shown,
        fingerprint=entry.fp.hex(),
        code=codes[entry.code].digest if entry.code in codes else "",
        value=value,
        text=head.decode("utf-8", "replace"),
        size=size,
        digest=digest,
        cut=not whole,
        missing=missing,
        verified=verified,
        tries=await _tries(reader, run, entry, shown),
        intact=intact(entry),
    )


async def raw(reader: Reader, blobs: Blobs, run: RunRow, seq: int, step: str) -> bytes | None:
    """The bytes of an item's output; None where none are kept. Raises NotFound, BlobError."""
    entry = await entry_of(reader, run, seq, step)
    if entry.blob is None:
        return entry.output
    size = await reader.blob_size(entry.blob) or 0
    if size > LARGEST:
        raise NotFound(
            f"this output has {size:,} bytes, more than the {LARGEST:,} of a download",
            f"It lies in the blob store as {entry.blob}.",
        )
    return await asyncio.to_thread(blobs.get, entry.blob)


def _raw(entry: Entry) -> bool:
    """Whether the output is text or bytes as they are."""
    return entry.blob is not None and entry.output in RAW_FORMS.values()


@lru_cache(_KEPT)
def _beginning(
    blobs: Any, digest: str, size: int | None, verified: bool
) -> tuple[int | None, bytes]:
    data: bytes = blobs.get(digest) if verified else blobs.head(digest, SHOWN)
    return (len(data) if verified else size), data[:SHOWN]


async def _tries(reader: Reader, run: RunRow, entry: Entry, shown: ItemView) -> list[TryView]:
    """What went wrong before the outcome, in any attempt, as far as it is on record."""
    found: list[tuple[int, TryView]] = []
    failures = []
    if entry.kind == Kind.FAILURE:
        failures.append(entry)
    if entry.inputs:
        earlier = await reader.entries(
            run.id, (Kind.FAILURE,), limit=TIMES, codes=[entry.code], text=entry.inputs,
            before=entry.seq, newest=True,
        )  # fmt: skip
        failures += [one for one in earlier if one.fp == entry.fp]
    for failure in failures:
        found += [(failure.seq, one) for one in tries_of(parsed(failure.output))]
    if entry.kind != Kind.FAILURE:
        begun = max((one.seq for one in failures), default=-1)
        events = await reader.entries(
            run.id, (Kind.EVENT,), begun, _LOOKED_AT, before=entry.seq, newest=True
        )
        for event in events:
            told = parsed(event.output)
            if not isinstance(told, dict) or told.get("kind") != "retry":
                continue
            if (told.get("step"), told.get("key", "")) == (shown.step, shown.key):
                message = str(told.get("message", ""))
                found.append((event.seq, TryView(iso(event.at), "", message, "tried again")))
    return [one for _, one in sorted(found, key=lambda pair: pair[0])][-TIMES:]
