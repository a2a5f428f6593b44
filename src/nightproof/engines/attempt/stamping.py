"""Manifests beside the artifacts of a run that completes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from nightproof.config import keys_folder
from nightproof.contract.named import dependencies
from nightproof.engines.attempt.files import write_atomically
from nightproof.engines.attempt.run import Run
from nightproof.journal.protocol import Reader
from nightproof.model.canonical import sha256_hex
from nightproof.model.states import Kind
from nightproof.provenance.manifest.making import EVENT, LISTED, announced, gather, manifest_of
from nightproof.provenance.manifest.statement import (
    INLINE_IN_ALL,
    INLINE_STEPS,
    Facts,
    manifest_path,
    parse,
    predicate,
    statement,
)
from nightproof.provenance.signing import Signer, signer


class Written(NamedTuple):
    """What was written: the predicate's sha256, and a list of steps to keep as a blob."""

    predicate: str
    steps: bytes | None


async def stamp(run: Run) -> None:
    """Write a manifest beside every artifact, signed where there is a key.

    Raises what writing a file raises, and ConfigError for a key that cannot be used.
    """
    key = await asyncio.to_thread(signer, keys_folder(run.settings.keys))
    # What the journal is about to be asked for has to be in it.
    await run.ledger.lane.sync()
    journal = run.ledger.journal
    named = list(dependencies(parse(run.row.contract)))
    facts = await gather(journal, run.ledger.blobs, run.row, run.job.code, named)
    names = {}
    for entry in await journal.entries(run.row.id, (Kind.ARTIFACT,)):
        note = json.loads(entry.output or b"{}")
        names[note["path"]] = _name(note["name"])
    written = await asyncio.to_thread(_write, facts, _final(run.artifacts), names, key)
    if written.steps is not None:
        await run.ledger.spill(written.steps)
    said: dict[str, Any] = {"predicate": written.predicate, "keyid": key.keyid if key else None}
    files = {found["path"]: found["sha256"] for found in run.artifacts}
    if len(files) <= LISTED:
        said["files"] = files
    run.note(EVENT, said)
    _place(run.artifacts, said)


async def placed(journal: Reader, run: int, artifacts: list[dict[str, Any]], after: int) -> None:
    """Fill in where the manifests of a recorded run are, if any were written."""
    _place(artifacts, await announced(journal, run, after))


def _final(artifacts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each path holds in the end: a run may write one file several times."""
    return list({found["path"]: found for found in artifacts}.values())


def _place(artifacts: list[dict[str, Any]], said: dict[str, Any] | None) -> None:
    taken = {found["path"] for found in artifacts}
    for found in artifacts:
        found["manifest"] = manifest_of(found["path"], found["sha256"], said, taken)


def _write(
    facts: Facts, artifacts: list[dict[str, Any]], names: dict[str, str], key: Signer | None
) -> Written:
    count = len(facts.steps.steps) + len(facts.steps.effects)
    inline = count <= INLINE_STEPS and count * len(artifacts) <= INLINE_IN_ALL
    content, steps = predicate(facts, inline)
    taken = {found["path"] for found in artifacts}
    for found in artifacts:
        path = manifest_path(found["path"], taken)
        if path is None:
            continue
        name = names.get(found["path"]) or _name(found.get("name") or PurePath(found["path"]).name)
        data = statement(name, found["sha256"], content)
        write_atomically(Path(path), data if key is None else key.envelope(data))
    return Written(sha256_hex(content), steps)


def _name(given: str) -> str:
    """What a manifest calls an artifact: no folder of this machine is part of it."""
    return PurePath(given).name if PurePath(given).is_absolute() else given
