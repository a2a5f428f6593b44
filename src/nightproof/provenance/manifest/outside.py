"""What a run took from outside, out of its journal: reads, models, prompts, times, signals.

Child runs count as part of their parent. The lists are sorted, so that they do not
depend on what ran beside what.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nightproof.errors import BlobError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import Entry, RunRow
from nightproof.model import clock
from nightproof.model.canonical import digest, sha256_hex
from nightproof.model.states import Kind
from nightproof.provenance import prompted, served, witness
from nightproof.provenance.manifest.steps import parsed
from nightproof.provenance.witness import BLIND, Read
from nightproof.provenance.witness.levels import LEVELS

MANIFEST = "manifest"
"""The kind of the log line that says that a run's manifests were written."""
LISTED = 1000
"""So many reads, times or signals are listed one by one; of more there is count and digest."""
CHILDREN = 500
"""The journals of so many child runs are read."""
_PAGE = 500
_TAKEN = {Kind.VALUE: "value", Kind.WAIT: "wait", Kind.SIGNAL: "signal"}
_KINDS = (Kind.EVENT, Kind.CHILD, *_TAKEN)
ISOLATION = "isolation"
_MARKS = tuple(
    f'"{kind}"'.encode() for kind in ("witness", served.KIND, prompted.KIND, ISOLATION, MANIFEST)
)
_HOME = re.compile(r"^(?:/home/[^/]+|/Users/[^/]+|/root)(?=/|$)")
_SAID = ("contract", "setting", "prompt")
"""How `declared` begins where somebody has written it down."""


@dataclass(slots=True)
class Outside:
    """What came from outside, as the manifest has it."""

    witness: dict[str, Any] | None
    isolation: dict[str, Any] | None
    models: list[dict[str, Any]]
    prompts: list[dict[str, Any]]
    taken: dict[str, Any] | None

    def sections(self) -> dict[str, Any]:
        """By the names that they have in ``runDetails.metadata``; only what there is."""
        found = {
            "witness": self.witness,
            "isolation": self.isolation,
            "models": self.models,
            "prompts": self.prompts,
            "taken": self.taken,
        }
        return {name: value for name, value in found.items() if value}


@dataclass(slots=True)
class _Gathered:
    levels: dict[tuple[int, int], str] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    isolation: dict[str, Any] | None = None
    lost: int = 0
    cut: bool = False
    served: list[served.Served] = field(default_factory=list)
    prompts: list[prompted.Prompted] = field(default_factory=list)
    taken: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)


async def outside(reader: Reader, blobs: witness.reads.Source, row: RunRow) -> Outside:
    """What is on record of a run and of its child runs.

    Of a run whose manifests were written, what was on record then.
    """
    found = _Gathered()
    waiting, known = [row.name], {row.name}
    unread = 0
    while waiting:
        one = row if len(known) == 1 else await reader.find(waiting[0])
        del waiting[0]
        if one is None:
            continue
        found.children = []
        await _gather(reader, blobs, one, found)
        for name in found.children:
            if name in known:
                continue
            if len(known) > CHILDREN:
                unread += 1
                continue
            known.add(name)
            waiting.append(name)
    return Outside(
        _witness(found, unread),
        found.isolation,
        _models(found.served),
        _prompts(found),
        _taken(found),
    )


async def _gather(
    reader: Reader, blobs: witness.reads.Source, row: RunRow, found: _Gathered
) -> None:
    entries: list[Entry] = []
    after, end = -1, 0
    while page := await reader.entries(row.id, _KINDS, after, _PAGE):
        after = page[-1].seq
        for entry in page:
            if entry.kind != Kind.EVENT:
                entries.append(entry)
            elif entry.output and any(mark in entry.output for mark in _MARKS):
                entries.append(entry)
                if _note(entry).get("kind") == MANIFEST:
                    end = len(entries)
        await clock.turn()
    attempt = 1
    for entry in entries[:end] if end else entries:
        if entry.kind == Kind.EVENT:
            note = _note(entry)
            attempt = int(note.get("attempt", attempt))
            await _event(note, (row.id, attempt), blobs, found)
        elif entry.kind == Kind.CHILD:
            found.children.append(str((parsed(entry.inputs) or [""])[0]))
        else:
            found.taken[row.name.encode() + entry.fp] = _took(entry)


def _note(entry: Entry) -> dict[str, Any]:
    found = parsed(entry.output)
    return found if isinstance(found, dict) else {}


async def _event(
    note: dict[str, Any], attempt: tuple[int, int], blobs: witness.reads.Source, found: _Gathered
) -> None:
    kind = note.get("kind")
    if kind == witness.reads.KIND:
        found.levels[attempt] = str(note.get("level"))
        found.cut = found.cut or bool(note.get("cut"))
        try:
            found.reads += await asyncio.to_thread(witness.decoded, note, blobs)
        except BlobError:
            found.lost += 1
    elif kind == "snapshot" and "witness" in note:
        found.levels.setdefault(attempt, str(note["witness"]))
    elif kind == ISOLATION:
        # Of several attempts the last: that is the one which delivered.
        found.isolation = {
            "level": note.get("level"),
            "environment": sorted(note.get("environment") or ()),
            "declaredVariables": sorted(note.get("declared") or ()),
        }
    elif kind == served.KIND:
        found.served.append(served.decoded(note))
    elif kind == prompted.KIND:
        found.prompts.append(prompted.decoded(note))


def _witness(found: _Gathered, unread: int) -> dict[str, Any] | None:
    if not found.levels:
        return None
    # What all attempts together saw is what the one saw that saw least.
    level = min(found.levels.values(), key=lambda one: LEVELS.index(one) if one in LEVELS else -1)
    blind = list(BLIND.get(level, ()))
    if found.lost:
        blind.append(f"{found.lost} lists of reads are gone from the blob store")
    if found.cut:
        blind.append("there were more reads than are kept")
    if unread:
        blind.append(f"{unread} child runs were not looked at")
    reads = [one for one in found.reads if not one.undeclared]
    said = [one for one in reads if one.what != "host" and one.declared.startswith(_SAID)]
    return {
        "level": level,
        "blindSpots": blind,
        "undeclared": _listed([_read(one) for one in found.reads if one.undeclared]),
        "declared": _listed([_read(one) for one in said]),
        "hosts": sorted({one.name for one in found.reads if one.what == "host"}),
    }


def _read(one: Read) -> dict[str, Any]:
    told = {
        "what": one.what,
        "name": _HOME.sub("~", one.name),
        "by": one.by,
        "step": one.step,
        "digest": one.digest,
        "size": one.size,
        "declared": one.declared or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _listed(items: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A list without doubles, in an order of its own; a long one by its count and digest."""
    once = {json.dumps(item, sort_keys=True): item for item in items}
    rows = [once[key] for key in sorted(once)]
    listed: dict[str, Any] = {"count": len(rows), "digest": digest(rows)}
    if len(rows) <= LISTED:
        listed["items"] = rows
    return listed


def _models(answers: Iterable[served.Served]) -> list[dict[str, Any]]:
    groups: dict[str, dict[str, Any]] = {}
    for one in answers:
        told = {
            "provider": one.provider,
            "requested": one.requested,
            "accepted": one.accepted,
            "reported": one.reported,
            "status": one.status,
            "pin": one.pin,
            # A provider's word is somebody's; an alias that comes back is nobody's.
            "label": "asserted" if one.status in ("matched", "mismatched") else "unverified",
        }
        told = {name: value for name, value in told.items() if value is not None}
        group = groups.setdefault(
            json.dumps(told, sort_keys=True),
            {**told, "answers": 0, "steps": set(), "prints": set()},
        )
        group["answers"] += 1
        group["steps"].add(one.step)
        group["prints"].add(one.fingerprint or "")
    found = []
    for _, group in sorted(groups.items()):
        prints = sorted(group.pop("prints") - {""})
        group["steps"] = sorted(group["steps"])
        found.append({**group, "fingerprints": prints} if prints else group)
    return found


def _prompts(found: _Gathered) -> list[dict[str, Any]]:
    once = {(one.id, one.sha256): one for one in found.prompts}
    return [
        {"id": one.id, "sha256": one.sha256, "locked": one.locked, "label": "witnessed"}
        for _, one in sorted(once.items())
    ]


def _took(entry: Entry) -> dict[str, Any]:
    """A recorded time or value as it is, of a signal only the digest."""
    kind = _TAKEN[Kind(entry.kind)]
    told: dict[str, Any] = {"kind": kind, "fingerprint": entry.fp.hex()}
    if kind == "signal":
        told["output"] = entry.blob or "sha256:" + sha256_hex(entry.output or b"")
        return told
    value = parsed(entry.output)
    if kind == "wait" and isinstance(value, dict) and value.get("until"):
        told["until"] = clock.from_ms(int(float(value["until"]) * 1000)).isoformat()
    elif isinstance(value, (str, float)) and len(str(value)) <= 64:
        told["value"] = value
    else:
        told["output"] = "sha256:" + sha256_hex(entry.output or b"")
    return told


def _taken(found: _Gathered) -> dict[str, Any] | None:
    return _listed(found.taken.values()) if found.taken else None
