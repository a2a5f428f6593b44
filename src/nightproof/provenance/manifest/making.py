"""A run's facts, gathered from its journal for the manifest."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from nightproof.journal.protocol import Reader
from nightproof.journal.records import AttemptRow, RunRow
from nightproof.model import clock
from nightproof.model.states import Kind
from nightproof.provenance.manifest.outside import MANIFEST, Outside, outside
from nightproof.provenance.manifest.statement import Facts, manifest_path, parse
from nightproof.provenance.manifest.steps import read_steps
from nightproof.provenance.seeds import run_seed
from nightproof.provenance.snapshot.workers import Workers
from nightproof.provenance.witness.reads import Source

EVENT = MANIFEST
LISTED = 1000
"""So many files are named in that line; of more, what the journal has of each path counts."""
_PAGE = 500
_SNAPSHOT = ("strict", "numeric", "host", "items")


async def gather(
    reader: Reader, blobs: Source, row: RunRow, code: str, dependencies: list[dict[str, Any]]
) -> Facts:
    """What the manifests of a run that completes now say; `code` is its job's digest."""
    finished = clock.now_ms()
    attempts = [_attempt(one) for one in await reader.attempts(row.id)]
    # The last one is this one, which is about to end.
    attempts[-1] |= {"finishedOn": _time(finished), "outcome": "completed"}
    snapshots = Workers()
    async for note in _lines(reader, row.id, "snapshot"):
        snapshots.add(note)
    taken = await outside(reader, blobs, row)
    return Facts(
        run=row.name,
        job=row.job,
        code=code,
        replicate=row.replicate,
        contract=parse(row.contract),
        contract_digest=row.digest,
        seed=run_seed(row.job, row.digest).hex(),
        versions=versions(),
        dependencies=known(dependencies, taken),
        attempts=attempts,
        environment=_environment(snapshots),
        outside=taken.sections(),
        started=_time(row.created),
        finished=_time(finished),
        steps=await read_steps(reader, row),
    )


def known(dependencies: list[dict[str, Any]], taken: Outside) -> list[dict[str, Any]]:
    """What a contract names, with what is known of it from the run itself.

    A prompt that was read has the digest of its text, and counts where the contract does
    not name it; the version of a model is the provider's word where it always said so.
    """
    found = []
    read = {one["id"]: one for one in taken.prompts}
    said: dict[str, set[str]] = {}
    for answer in taken.models:
        said.setdefault(str(answer.get("pin")), set()).add(str(answer["status"]))
    for one in dependencies:
        notes = dict(one["annotations"])
        changed = {**one, "annotations": notes}
        if notes["kind"] == "prompt" and one["name"] in read:
            notes["label"] = "witnessed"
            changed["digest"] = {"sha256": read.pop(one["name"])["sha256"]}
        elif notes["kind"] == "model" and said.get(one["name"]) == {"matched"}:
            notes["label"] = "asserted"
        found.append(changed)
    return found + [
        {
            "name": name, "digest": {"sha256": one["sha256"]},
            "annotations": {"kind": "prompt", "label": "witnessed"},
        }
        for name, one in read.items()
    ]  # fmt: skip


def _attempt(one: AttemptRow) -> dict[str, Any]:
    """An attempt; nobody knows when one that died did."""
    ended = None if one.ended is None else _time(one.ended)
    outcome = one.outcome or "died"
    return {"n": one.n, "startedOn": _time(one.started), "finishedOn": ended, "outcome": outcome}


def versions() -> dict[str, str]:
    """The versions of nightproof and of Python that work here."""
    from importlib.metadata import PackageNotFoundError, version  # slow to import

    try:
        own = version("nightproof")
    except PackageNotFoundError:
        own = "unknown"
    return {
        "nightproof": own,
        "python": f"{sys.implementation.name} " + ".".join(map(str, sys.version_info[:3])),
    }


async def announced(reader: Reader, run: int, after: int = -1) -> dict[str, Any] | None:
    """What the journal says of a run's manifests: the log line written last, None for none."""
    return await _last(reader, run, EVENT, after)


def manifest_of(path: str, sha256: str, said: dict[str, Any] | None, taken: set[str]) -> str | None:
    """Where the manifest of a recorded artifact is, given what was announced.

    None where it has none: it was replaced, or an attempt before the last delivered it.
    """
    if said is None:
        return None
    files = said.get("files")
    if files is None:
        return manifest_path(path, taken)
    return manifest_path(path, set(files)) if files.get(path) == sha256 else None


def _environment(snapshots: Workers) -> dict[str, Any] | None:
    if snapshots.last is None:
        return None
    several = [
        {"worker": worker, **{name: one.get(name) for name in _SNAPSHOT}}
        for worker, one in sorted(snapshots.several.items())
    ]
    found = {name: snapshots.last.get(name) for name in _SNAPSHOT}
    return {**found, **({"workers": several} if several else {})}


async def _last(reader: Reader, run: int, kind: str, after: int = -1) -> dict[str, Any] | None:
    """The newest log line of a kind behind sequence number `after`."""
    found = None
    async for note in _lines(reader, run, kind, after):
        found = note
    return found


async def _lines(
    reader: Reader, run: int, kind: str, after: int = -1
) -> AsyncIterator[dict[str, Any]]:
    """The log lines of a kind behind sequence number `after`."""
    mark = f'"{kind}"'.encode()
    while entries := await reader.entries(run, (Kind.EVENT,), after, _PAGE):
        for entry in entries:
            # Most log lines are something else; they need not be parsed to see that.
            if entry.output and mark in entry.output:
                told = json.loads(entry.output)
                if told.get("kind") == kind:
                    yield told
        after = entries[-1].seq
        await clock.turn()


def _time(ms: int) -> str:
    return clock.from_ms(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
