"""What a comparison says of each possible cause, by rules over what is recorded.

Nothing here guesses: a cause is *consistent with* the drift where the record has a
difference of that kind which can have reached the first divergent step, *excluded*
where the record shows that there is none, and *not testable* where the record does
not say. Only an experiment makes it *proved by swap*. In detail:

input        the contracts are equal: excluded. They differ, and the job's body, which
             alone sees the contract, gave a step other inputs or came to another
             result: consistent with. They differ, but the step was given the same
             inputs: not testable.
code         the digest of the divergent step differs, or that of the body where the
             body parted, or the snapshots name other source files: consistent with.
             All of these recorded and equal: excluded. Else not testable: a step's
             digest does not cover the modules that it imports.
environment  the snapshots differ in interpreter, packages, zone, locale, hash seed or
             numerics: consistent with. Both recorded and equal: excluded, but not
             where the hash seed was a random one. Else not testable.
context      a variable in the snapshots differs, or the body parted and the times or
             signals that it was given differ: consistent with. Else not testable: what
             the processes read is not recorded.
model        no contract pins a model: excluded. Else not testable: which model served
             is not recorded.
sampling     none of the others is consistent with the drift: it is. Else not testable.

Without drift every cause is excluded. The cause is named where exactly one of the
first five is consistent with the drift, or where all but sampling are excluded.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from nightproof.blobs.protocol import Blobs
from nightproof.drift.compare import Comparison, Divergence
from nightproof.drift.record import MISSING, Point, Record, output
from nightproof.drift.showing import side_by_side
from nightproof.errors import BlobError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.model.code import comparable
from nightproof.provenance.snapshot import Difference, Snapshot, differences, read

CAUSES = ("input", "code", "environment", "context", "model", "sampling")
PROVED = "proved by swap"
CONSISTENT = "consistent with"
EXCLUDED = "excluded"
NOT_TESTABLE = "not testable"
SHOWN = 20
"""So many differing items of one kind are evidence; more add nothing."""


class Evidence(NamedTuple):
    """One recorded item that bears on a cause; None where a side does not have it."""

    cause: str
    item: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict for each of CAUSES, the one that is named, and what they rest on."""

    verdicts: dict[str, str]
    cause: str | None
    evidence: list[Evidence]


class _Environment(NamedTuple):
    """The snapshots of the attempts that recorded the first divergent point."""

    recorded: bool
    differences: list[Difference]
    hash_seed: str | None
    """"random" where one of them was; None where it is not known."""


async def judge(reader: Reader, blobs: Blobs, found: Comparison) -> Judgement:
    """The verdicts on a comparison."""
    first = found.first
    if first is None:
        return Judgement(dict.fromkeys(CAUSES, EXCLUDED), None, [])
    body = not first.same_inputs
    environment = await _environment(blobs, found, first)
    evidence: list[Evidence] = []
    verdicts = {
        "input": _input(found, body, evidence),
        "code": _code(found, first, body, environment, evidence),
        "environment": _surroundings(environment, evidence),
        "context": await _context(reader, blobs, found, body, environment, evidence),
        "model": _model(found),
    }
    suspects = [cause for cause, verdict in verdicts.items() if verdict == CONSISTENT]
    verdicts["sampling"] = NOT_TESTABLE if suspects else CONSISTENT
    if not suspects:
        evidence.append(_itself(first))
    cause = suspects[0] if len(suspects) == 1 else None
    if not suspects and all(verdicts[one] == EXCLUDED for one in CAUSES[:-1]):
        cause = "sampling"
    return Judgement(verdicts, cause, evidence)


def _itself(first: Divergence) -> Evidence:
    what = f"{first.kind} '{first.step}'" + (f" [{first.key}]" if first.key else "")
    a, b = first.a, first.b
    same = "output with the same inputs" if first.same_inputs else first.what
    return Evidence("sampling", f"{what}: {same}", a.raw if a else None, b.raw if b else None)


def _input(found: Comparison, body: bool, evidence: list[Evidence]) -> str:
    a, b = found.a.run, found.b.run
    if a.digest == b.digest:
        return EXCLUDED
    evidence.append(Evidence("input", "contract", a.digest, b.digest))
    told = side_by_side(_contract(a), _contract(b))
    evidence += [Evidence("input", place.path, place.a, place.b) for place in told.places]
    return CONSISTENT if body else NOT_TESTABLE


def _code(
    found: Comparison,
    first: Divergence,
    body: bool,
    environment: _Environment,
    evidence: list[Evidence],
) -> str:
    pairs = []
    one, other = first.points
    if one is not None and other is not None and one.code and other.code and one.what != "result":
        pairs.append((f"{first.kind} '{first.step}'", one.code, other.code))
    a, b = found.a.run, found.b.run
    if body and a.code and b.code:
        pairs.append((f"job '{a.job}'", a.code, b.code))
    before = len(evidence)
    evidence += [Evidence("code", *pair) for pair in pairs if pair[1] != pair[2]]
    files = [item for item in environment.differences if _is_code(item)]
    evidence += [Evidence("code", *item) for item in files[:SHOWN]]
    if any(x != y and comparable(x, y) for _, x, y in pairs) or files:
        return CONSISTENT
    return EXCLUDED if environment.recorded and len(evidence) == before else NOT_TESTABLE


def _surroundings(environment: _Environment, evidence: list[Evidence]) -> str:
    found = [item for item in environment.differences if not _is_code(item)]
    found = [item for item in found if not item.item.startswith("variable/")]
    evidence += [Evidence("environment", *item) for item in found[:SHOWN]]
    if found:
        return CONSISTENT
    if environment.hash_seed == "random":
        evidence.append(Evidence("environment", "hashseed", "random", "random"))
    return NOT_TESTABLE if environment.hash_seed in (None, "random") else EXCLUDED


async def _context(
    reader: Reader,
    blobs: Blobs,
    found: Comparison,
    body: bool,
    environment: _Environment,
    evidence: list[Evidence],
) -> str:
    before = len(evidence)
    variables = [item for item in environment.differences if item.item.startswith("variable/")]
    evidence += [Evidence("context", *item) for item in variables[:SHOWN]]
    for one, other in found.world[:SHOWN] if body else ():
        known = one or other
        assert known is not None
        a = await _told(reader, blobs, found.a, one)
        b = await _told(reader, blobs, found.b, other)
        evidence.append(Evidence("context", known.name or known.what, a, b))
    return CONSISTENT if len(evidence) > before else NOT_TESTABLE


async def _told(reader: Reader, blobs: Blobs, side: Record, point: Point | None) -> str | None:
    if point is None:
        return None
    value = await output(reader, blobs, side.run, point)
    return point.raw if value is MISSING else json.dumps(value, ensure_ascii=False)[:200]


def _model(found: Comparison) -> str:
    pinned = any(_pins(_contract(side.run)) for side in (found.a, found.b))
    return NOT_TESTABLE if pinned else EXCLUDED


def _pins(value: Any) -> bool:
    """Whether JSON data holds a model pin."""
    if isinstance(value, dict):
        return "pinnedVersion" in value or any(map(_pins, value.values()))
    return isinstance(value, list) and any(map(_pins, value))


def _contract(run: RunRow) -> Any:
    return json.loads(run.contract)


def _is_code(item: Difference) -> bool:
    """Whether a snapshot's item is source of the user's own, like an editable install."""
    name, a, b = item
    return name.startswith("code/") or all("editable sha256:" in (side or "") for side in (a, b))


async def _environment(blobs: Blobs, found: Comparison, first: Divergence) -> _Environment:
    one, other = first.points
    a, b = _snapshot(found.a, one), _snapshot(found.b, other)
    if a is None or b is None:
        return _Environment(False, [], None)
    ours, theirs = await _items(blobs, a), await _items(blobs, b)
    known = [items for items in (ours, theirs) if items is not None]
    seeds = [items.strict.get("hashseed") for items in known]
    hash_seed = "random" if "random" in seeds else seeds[0] if len(seeds) == 2 else None
    found_in: list[Difference] = []
    for part in ("strict", "numeric"):
        if a.get(part) == b.get(part):
            continue
        if ours is not None and theirs is not None:
            found_in += differences(getattr(ours, part), getattr(theirs, part))
        else:
            found_in.append(Difference(f"{part} digest", a.get(part), b.get(part)))
    return _Environment(True, found_in, hash_seed)


def _snapshot(side: Record, point: Point | None) -> dict[str, Any] | None:
    """The snapshot of the attempt that recorded `point`; of the last one for None."""
    at = point.at if point is not None else side.run.updated
    attempt = sum(start <= at for start in side.starts)
    notes = [
        note
        for when, note in side.events
        if note.get("kind") == "snapshot" and sum(start <= when for start in side.starts) == attempt
    ]
    return notes[-1] if notes else None


async def _items(blobs: Blobs, note: dict[str, Any]) -> Snapshot | None:
    """The items behind a snapshot's digests; None where they cannot be read any more."""
    try:
        return read(await asyncio.to_thread(blobs.get, str(note.get("items"))))
    except BlobError:
        return None
