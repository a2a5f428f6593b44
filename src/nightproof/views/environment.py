"""The environments that a run was worked on in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nightproof.blobs.protocol import Blobs
from nightproof.errors import BlobError, NotFound, StoreError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.model.states import Kind
from nightproof.provenance.snapshot import Snapshot, differences, read
from nightproof.provenance.snapshot.workers import Workers
from nightproof.views.noted import Noted
from nightproof.views.notes import Part, SnapshotDigests, digests_of
from nightproof.views.values import Time, iso, parsed

_PAGE = 500
Items = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ItemView:
    """One item of an environment; `part` is strict, numeric or host."""

    part: Part
    item: str
    value: str


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """An item in which two environments differ; None where one does not have it."""

    part: Part
    item: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class SnapshotView:
    """The digests of the environment of an attempt; `worker` where several worked on it."""

    attempt: int | None
    worker: str
    at: Time | None
    strict: str
    numeric: str
    host: str


@dataclass(frozen=True, slots=True)
class ChangeView:
    """What had changed when an attempt began; `count` items, the first of which are listed."""

    at: Time | None
    message: str
    items: list[DifferenceView]
    count: int


@dataclass(frozen=True, slots=True)
class EnvironmentView:
    """The environments of a run: all that were recorded, and the items of the last.

    `lost` says why those items cannot be shown, "" where they can.
    """

    run: str
    snapshots: list[SnapshotView]
    items: list[ItemView]
    lost: str
    changes: list[ChangeView]
    failures: list[str]
    """Why an environment was not recorded."""
    counted: Time | None = None
    """Only what was recorded up to then has been looked at; None where that is all."""


async def environment(reader: Reader, blobs: Blobs, row: RunRow) -> Snapshot:
    """The snapshot of the run's last attempt that has one; of several workers the last.

    Raises NotFound where there is none on record, BlobError where its items are gone.
    """
    found = (await _workers(reader, row)).last
    assert found is not None
    return read(await asyncio.to_thread(blobs.get, str(found["items"])))


async def workers(reader: Reader, row: RunRow) -> dict[str, SnapshotDigests]:
    """The digests of the environment of each worker of the last attempt; empty for one process.

    Raises NotFound as :func:`environment` does.
    """
    found = (await _workers(reader, row)).several
    return {name: digests_of(one) for name, one in found.items()}


async def _workers(reader: Reader, row: RunRow) -> Workers:
    found = Workers()
    after = -1
    while entries := await reader.entries(row.id, (Kind.EVENT,), after, _PAGE):
        notes = (parsed(entry.output) for entry in entries)
        for note in notes:
            if isinstance(note, dict) and note.get("kind") == "snapshot":
                found.add(note)
        after = entries[-1].seq
    if found.last is None:
        raise NotFound(
            f"run {row.name} has no environment on record",
            "Its attempts ended before it could be looked at, or an older nightproof made them.",
        )
    return found


async def surroundings(
    reader: Reader,
    blobs: Blobs,
    row: RunRow,
    noted: Noted | None = None,
    seconds: float | None = None,
) -> EnvironmentView:
    """The environments of a run, whatever is on record of them.

    `noted` and `seconds` are as in :func:`~nightproof.views.costs.costs`.
    """
    noted = noted or Noted()
    await noted.advance(reader, row, seconds)
    items, lost = [], ""
    if noted.snapshots:
        try:
            found = read(await asyncio.to_thread(blobs.get, str(noted.snapshots[-1][1]["items"])))
            items = _items(found)
        except (BlobError, StoreError) as error:
            lost = error.message
        except KeyError:
            lost = "its items were not kept"
    return EnvironmentView(
        run=row.name,
        snapshots=[_snapshot(at, note) for at, note in noted.snapshots],
        items=items,
        lost=lost,
        changes=[_change(at, note) for at, note in noted.changes],
        failures=noted.failures,
        counted=None if noted.complete else iso(noted.at),
    )


def compared(a: Snapshot, b: Snapshot) -> list[DifferenceView]:
    """The items in which two environments differ."""
    pairs: tuple[tuple[Part, Items, Items], ...] = (
        ("strict", a.strict, b.strict),
        ("numeric", a.numeric, b.numeric),
        ("host", a.host, b.host),
    )
    return [
        DifferenceView(part, one.item, one.a, one.b)
        for part, mine, other in pairs
        for one in differences(mine, other)
    ]


def _items(found: Snapshot) -> list[ItemView]:
    parts: tuple[tuple[Part, Items], ...] = (
        ("strict", found.strict),
        ("numeric", found.numeric),
        ("host", found.host),
    )
    return [
        ItemView(part, name, str(value))
        for part, its in parts
        for name, value in sorted(its.items())
    ]


def _snapshot(at: int, note: dict[str, Any]) -> SnapshotView:
    attempt = note.get("attempt")
    return SnapshotView(
        attempt if isinstance(attempt, int) else None,
        str(note.get("worker") or ""),
        iso(at),
        *(str(note.get(name) or "") for name in ("strict", "numeric", "host")),
    )


def _change(at: int, note: dict[str, Any]) -> ChangeView:
    listed = [
        DifferenceView("", str(one.get("item")), one.get("a"), one.get("b"))
        for one in note.get("items") or ()
        if isinstance(one, dict)
    ]
    return ChangeView(iso(at), str(note.get("message", "")), listed, int(note.get("count") or 0))
