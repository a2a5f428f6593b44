"""Artifacts: files in the folder of whoever needs them, and blobs that anybody can reach."""

from __future__ import annotations

import asyncio
import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from nightproof.blobs.protocol import Blobs
from nightproof.engines.attempt.files import artifact_path, read_digest, write_atomically
from nightproof.engines.temporal.messages import ArtifactAsk, ArtifactNote
from nightproof.engines.temporal.worker_run import WorkerRun
from nightproof.model import crash
from nightproof.model.states import Kind


async def artifact(run: WorkerRun, ask: ArtifactAsk) -> dict[str, Any]:
    """Deliver a file: into this worker's folder, and into the blob store for all others."""
    ledger, path = run.ledger, ask["path"]
    text = ask.get("content")
    data = base64.b64decode(ask.get("content64", "")) if text is None else text.encode()
    fp = bytes.fromhex(ask["fp"])
    target = artifact_path(run.engine.artifacts_root, run.row.name, path)
    if run.heard is not None:
        run.heard.written.add(str(target))
    if crash.armed:
        crash.hit("artifact:before", path)
    digest = await asyncio.to_thread(_delivered, target, data)
    if crash.armed:
        crash.hit("artifact:mid", path)
    found = await ledger.outcome(fp)
    if found is None:
        note = {
            "path": str(target), "name": path, "sha256": digest, "size": len(data),
            "blob": await ledger.spill(data),
        }  # fmt: skip
        if ask["media_type"]:
            note["mediaType"] = ask["media_type"]
        await ledger.append(ledger.entry(Kind.ARTIFACT, fp, json.dumps(note).encode()))
        found = await ledger.outcome(fp)
    if crash.armed:
        crash.hit("artifact:after", path)
    assert found is not None
    return {"artifact": as_note(json.loads(found.output or b"{}"))}


def _delivered(target: Path, data: bytes) -> str:
    digest = sha256(data).hexdigest()
    if read_digest(target) != digest:
        write_atomically(target, data)
    return digest


def as_note(kept: dict[str, Any]) -> ArtifactNote:
    """A recorded artifact as messages carry it; one of the embedded engine has no blob."""
    return {
        "path": kept["path"],
        "name": kept["name"],
        "sha256": kept["sha256"],
        "size": kept["size"],
        "blob": kept.get("blob", ""),
        "manifest": None,
    }


def placed(blobs: Blobs, target: Path, note: ArtifactNote) -> None:
    """See to it that the file is at `target`; what another process wrote comes from its blob.

    Blocks. Raises BlobError where the blob is gone, StoreFull or StoreReadOnly where the file
    cannot be written.
    """
    if note["blob"] and read_digest(target) != note["sha256"]:
        write_atomically(target, blobs.get(note["blob"]))
