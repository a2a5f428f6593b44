"""What is on record around the first divergent point of two runs: environment, reads, models."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nightproof.blobs.protocol import Blobs
from nightproof.drift.compare import Comparison, Divergence
from nightproof.drift.reads import STEP, Pair, differing, near
from nightproof.drift.record import LAST, MISSING, Point, Record, output
from nightproof.errors import BlobError
from nightproof.journal.protocol import Reader
from nightproof.provenance import served
from nightproof.provenance.served import Served
from nightproof.provenance.snapshot import IMPORTED, Difference, Snapshot, differences, read
from nightproof.provenance.witness import reads as witness
from nightproof.provenance.witness.reads import IMPORT, Read

SEEN_WHOLE = ("L2", "L3")
"""Witness levels that see the reads of native code too, or leave it nothing to read."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The snapshots of the attempts that recorded the first divergent point.

    `hash_seed` is "random" where one of them was, and they were of two processes; None
    where it is not known. `idle`
    are differing items of packages that neither had imported before its first step:
    they had no part in the drift, unless a step imported them later.
    """

    recorded: bool
    strict: list[Difference]
    numeric: list[Difference]
    hash_seed: str | None
    idle: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Side:
    """One run around the point: the number of the attempt that recorded it, what was
    read by how near it was, and the models that answered; `level` is "" without a witness.
    """

    attempt: int
    level: str
    reads: dict[str, list[Read]]
    calls: list[Served]

    @property
    def hosts(self) -> list[str]:
        """The hosts that the divergent step contacted."""
        return sorted({one.name for one in self.reads.get(STEP, ()) if one.what == "host"})


@dataclass(frozen=True, slots=True)
class Around:
    """Everything on record that bears on the first divergent point.

    `body` says that the job's body parted, not one step with the same inputs; `world`
    are the times and signals that differ, as JSON text; `prompts` the texts that do.
    """

    body: bool
    environment: Environment
    a: Side
    b: Side
    pairs: list[Pair]
    world: list[Difference]
    prompts: list[Difference]

    @property
    def witnessed(self) -> bool:
        """Whether what was read is on record for both."""
        return bool(self.a.level and self.b.level)

    @property
    def seen_whole(self) -> bool:
        """Whether both were witnessed at a level that sees all files, variables and hosts."""
        return self.a.level in SEEN_WHOLE and self.b.level in SEEN_WHOLE

    @property
    def answered(self) -> bool:
        """Whether models were asked the same, of the same hosts, and answered otherwise.

        What left either process was the same: nothing in it can be what made them differ.
        """
        moved = any((pair.a or pair.b or Read("", "")).what == "host" for pair in self.pairs)
        return self.witnessed and not moved and _answers_part(self.a.calls, self.b.calls)

    @property
    def hosts(self) -> list[str]:
        """The hosts that the divergent step contacted in either run."""
        return sorted({*self.a.hosts, *self.b.hosts})


async def around(reader: Reader, blobs: Blobs, found: Comparison) -> Around | None:
    """What surrounds the innermost first divergence of `found`; None without drift."""
    inner = found.innermost
    first = inner.first
    if first is None:
        return None
    body = not first.same_inputs
    chains = found.chains
    sides = [
        await asyncio.to_thread(_side, blobs, chain, point, first)
        for chain, point in zip(chains, first.points, strict=True)
    ]
    one, other = sides
    environment = await asyncio.to_thread(_environment, blobs, chains, (one, other), first.points)
    pairs: list[Pair] = []
    if one.level and other.level:
        pairs = differing(one.reads, other.reads, body)
        # The deeper level sees what the other one cannot have seen.
        if one.level != other.level and "L3" in (one.level, other.level):
            pairs = [pair for pair in pairs if pair.a is not None and pair.b is not None]
    world = [await _told(reader, blobs, inner, pair) for pair in inner.world] if body else []
    step = "" if body else first.step
    prompts = differences(_prompts(inner.a, one, step), _prompts(inner.b, other, step))
    return Around(body, environment, one, other, pairs, world, prompts)


def _side(blobs: Blobs, chain: Sequence[Record], point: Point | None, first: Divergence) -> Side:
    """One side, from the records of its run and of those that it is a child of."""
    record = chain[-1]
    at = point.at if point is not None else record.run.updated
    attempt = record.attempt(at)
    step, fp = "", ""
    if point is not None and first.same_inputs:
        step, fp = point.name, point.fp.hex()
    seq = point.seq if point is not None else LAST
    later = frozenset(one.fp.hex() for one in record.points if one.seq >= seq)
    level = ""
    reads: list[Read] = []
    for each in chain:
        level, found = _reads(blobs, each, each.attempt(at), level)
        # Of the runs around it only the import of the target is shared.
        reads += found if each is record else [one for one in found if one.step == IMPORT]
    calls = [served.decoded(note) for n, note in record.notes(served.KIND) if n == attempt]
    return Side(
        attempt, level, near(reads, step, fp, later), [call for call in calls if call.fp == fp]
    )


def _reads(blobs: Blobs, record: Record, attempt: int, level: str) -> tuple[str, list[Read]]:
    """At what level an attempt was witnessed (`level` where it does not say), and its reads.

    What cannot be read any more is as if there had been no witness.
    """
    reads: list[Read] = []
    for number, note in record.notes("snapshot"):
        if number == attempt and note.get("witness"):
            level = str(note["witness"])
    for number, note in record.notes(witness.KIND):
        if note.get("attempt", number) == attempt:
            level = str(note.get("level") or level)
            try:
                reads += witness.decoded(note, blobs)
            except BlobError:
                return "", []
    return level, reads


def _answers_part(a: Sequence[Served], b: Sequence[Served]) -> bool:
    """Whether the first difference between two lists of calls is an answer."""
    for one, other in zip(a, b, strict=False):
        if one.request_digest is None or one.request_digest != other.request_digest:
            break
        both = None not in (one.response_digest, other.response_digest)
        if both and one.response_digest != other.response_digest:
            return True
    # Calls that go on at the same time end in any order.
    asked = [Counter(one.request_digest for one in calls) for calls in (a, b)]
    if None in asked[0] or asked[0] != asked[1]:
        return False
    got = [Counter((one.request_digest, one.response_digest) for one in calls) for calls in (a, b)]
    return got[0] != got[1] and not any(None in pair for side in got for pair in side)


def _prompts(record: Record, side: Side, step: str) -> dict[str, str]:
    """The digests of the prompts that a step used, or the body where `step` is ""."""
    notes = (note for n, note in record.notes("prompt") if n == side.attempt)
    return {
        str(note.get("id")): str(note.get("sha256"))
        for note in notes
        if (note.get("step") or "") == step
    }


async def _told(
    reader: Reader, blobs: Blobs, found: Comparison, pair: tuple[Point | None, Point | None]
) -> Difference:
    """A time or signal that differs, as JSON text."""
    told: list[str | None] = []
    for side, point in zip((found.a, found.b), pair, strict=True):
        value = None if point is None else await output(reader, blobs, side.run, point)
        if point is None:
            told.append(None)
        else:
            told.append(
                point.raw if value is MISSING else json.dumps(value, ensure_ascii=False)[:200]
            )
    known = pair[0] or pair[1]
    assert known is not None
    return Difference(known.name or known.what, told[0], told[1])


def _environment(
    blobs: Blobs,
    chains: tuple[list[Record], list[Record]],
    sides: tuple[Side, Side],
    points: tuple[Point | None, Point | None],
) -> Environment:
    found = [
        _snapshots(chain, side, point)
        for chain, side, point in zip(chains, sides, points, strict=True)
    ]
    if not (found[0] and found[1]):
        return Environment(False, [], [], None)
    a, b = _apart(*found)
    ours, theirs = _items(blobs, a), _items(blobs, b)
    known = [items for items in (ours, theirs) if items is not None]
    seeds = [items.strict.get("hashseed") for items in known]
    hash_seed = "random" if "random" in seeds else seeds[0] if len(seeds) == 2 else None
    processes = [chain[-1].process(side.attempt) for chain, side in zip(chains, sides, strict=True)]
    if hash_seed == "random" and processes[0] is not None and processes[0] == processes[1]:
        hash_seed = "that of one process"
    parts: list[list[Difference]] = []
    for part in ("strict", "numeric"):
        if a.get(part) == b.get(part):
            parts.append([])
        elif ours is not None and theirs is not None:
            parts.append(differences(getattr(ours, part), getattr(theirs, part)))
        else:
            parts.append([Difference(f"{part} digest", a.get(part), b.get(part))])
    idle = _idle(parts[0], ours, theirs) if ours is not None and theirs is not None else frozenset()
    return Environment(True, parts[0], parts[1], hash_seed, idle)


def _idle(found: Sequence[Difference], a: Snapshot, b: Snapshot) -> frozenset[str]:
    """The items of packages that are known to have been imported by neither."""
    if IMPORTED not in a.host or IMPORTED not in b.host:
        return frozenset()
    busy = {*a.host[IMPORTED].split(), *b.host[IMPORTED].split()}
    return frozenset(
        item.item
        for item in found
        if item.item.startswith(("package/", "edited/"))
        and item.item.split("/")[1] not in busy
        # What has no RECORD cannot be told by its modules.
        and all(value is None or "sha256:" in value or "edited/" in item.item for value in item[1:])
    )


def _apart(
    ours: list[dict[str, Any]], theirs: list[dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of several workers on a side, those that differ most: nobody knows which had the step."""
    pairs = [(a, b) for a in reversed(ours) for b in reversed(theirs)]
    return max(
        pairs,
        key=lambda pair: [pair[0].get(part) != pair[1].get(part) for part in ("strict", "numeric")],
    )


def _snapshots(chain: Sequence[Record], side: Side, point: Point | None) -> list[dict[str, Any]]:
    """The snapshots of the attempt that recorded the point, or of the run around it.

    One, but where several workers were at it the last of each.
    """
    for record in reversed(chain):
        at = point.at if point is not None else record.run.updated
        number = side.attempt if record is chain[-1] else record.attempt(at)
        notes = [note for n, note in record.notes("snapshot") if n == number]
        if notes:
            return list({str(note.get("worker", "")): note for note in notes}.values())
    return []


def _items(blobs: Blobs, note: dict[str, Any]) -> Snapshot | None:
    """The items behind a snapshot's digests; None where they cannot be read any more."""
    try:
        return read(blobs.get(str(note.get("items"))))
    except BlobError:
        return None
