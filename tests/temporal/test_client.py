"""What a client makes of a workflow's answer: the outcome that the embedded engine would give."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from nightproof import Contract, job
from nightproof.engines.attempt import Outcome
from nightproof.engines.temporal import client
from nightproof.errors import (
    AlreadyRunning,
    CodeChanged,
    DeadlineExceeded,
    RunCancelled,
    RunFailed,
    StepFailed,
)
from nightproof.model.states import RunStatus
from nightproof.stores.files import FileBlobs


@job
async def nothing(contract: Contract) -> list[int]:
    """A job for its result's type."""
    return []


def made(folder: Path, **answer: Any) -> Outcome:
    """The outcome of an answer, on a machine with this folder."""
    blobs = FileBlobs(folder / "blobs")
    return asyncio.run(
        client.outcome(answer, "nothing-1", nothing, blobs, folder / "artifacts")  # type: ignore[arg-type]
    )


def kept(folder: Path, data: bytes) -> str:
    """The digest under which a worker has left a blob."""
    return FileBlobs(folder / "blobs").put(data).digest


def test_a_result_is_decoded_wherever_it_is(tmp_path):
    """In the answer, or in a blob where it is large."""
    there = made(tmp_path, status="completed", result="[1,2]", executed=3, replayed=4)
    assert (there.value, there.executed, there.replayed, there.error) == ([1, 2], 3, 4, None)
    blob = kept(tmp_path, b"[3]")
    assert made(tmp_path, status="completed", result_blob=blob).value == [3]


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        ({"type": "DeadlineExceeded", "message": "too late"}, DeadlineExceeded, "too late"),
        ({"type": "KeyError", "message": "'a'"}, client.FailedElsewhere, "KeyError: 'a'"),
        ({"type": "AlreadyGone", "message": ""}, client.FailedElsewhere, "AlreadyGone"),
        ({}, RunFailed, "nothing-1 failed"),
    ],
)
def test_a_failure_is_what_it_was(tmp_path, error, kind, says):
    """Our own errors have their class; one of the job's is shown by its name."""
    found = made(tmp_path, status="failed", error=error)
    assert (type(found.error), found.status) == (kind, RunStatus.FAILED)
    assert says in str(found.error)


def test_a_failed_step_brings_its_attempts(tmp_path):
    """StepFailed with step, reason and history, as it was raised in the worker."""
    notes = [{"at": "", "type": "E", "message": "m", "triage": "transient"}]
    error = {
        "type": "StepFailed", "message": "step 's' failed", "step": "s", "failed": "E",
        "reason": "m", "attempts": notes, "key": "k",
    }  # fmt: skip
    found = made(tmp_path, status="failed", error=error).error
    assert isinstance(found, StepFailed)
    assert (found.step, found.type, found.reason, found.key) == ("s", "E", "m", "k")
    assert found.attempts == notes


def test_a_refusal_is_raised_as_in_the_worker(tmp_path):
    """With its class, hint and exit code; nothing counts as completed."""
    why = {"type": "CodeChanged", "message": "another code", "hint": "--replicate"}
    found = made(tmp_path, refused=why)
    assert isinstance(found.error, CodeChanged)
    assert (found.error.hint, found.error.exit_code) == ("--replicate", 2)
    why = {"type": "AlreadyRunning", "message": "is running", "hint": "", "run": "nothing-1"}
    found = made(tmp_path, status="completed", refused=why)
    assert isinstance(found.error, AlreadyRunning)
    assert (found.error.run, found.status) == ("nothing-1", RunStatus.RUNNING)
    assert isinstance(made(tmp_path, status="cancelled").error, RunCancelled)


def test_artifacts_of_another_machine_are_placed_here(tmp_path):
    """File and manifest come from blobs where the worker's own are out of reach."""
    text, manifest = b"a,b\n", json.dumps({"predicate": {}}).encode()
    note = {
        "path": "/nowhere/nothing-1/out/table.csv", "name": "out/table.csv", "size": len(text),
        "sha256": sha256(text).hexdigest(), "blob": kept(tmp_path, text),
        "manifest": "/nowhere/nothing-1/out/table.csv.manifest.json",
        "manifest_blob": kept(tmp_path, manifest),
    }  # fmt: skip
    (found,) = made(tmp_path, status="completed", result="[]", artifacts=[note]).artifacts
    assert found["path"] == str(tmp_path / "artifacts" / "nothing-1" / "out" / "table.csv")
    assert Path(found["path"]).read_bytes() == text
    assert found["manifest"] == found["path"] + ".manifest.json"
    assert Path(found["manifest"]).read_bytes() == manifest
    other = {**note, "name": "b.csv", "manifest_blob": None}
    (found,) = made(tmp_path, status="completed", result="[]", artifacts=[other]).artifacts
    assert (Path(found["path"]).read_bytes(), found["manifest"]) == (text, None)
    embedded = {**note, "blob": "", "manifest": None}
    (found,) = made(tmp_path, status="completed", result="[]", artifacts=[embedded]).artifacts
    assert found["path"] == note["path"]


def test_a_file_that_is_here_stays_as_it_is(tmp_path):
    """Where client and worker share the folder, nothing is written a second time."""
    path = tmp_path / "shared.txt"
    path.write_bytes(b"here")
    note = {
        "path": str(path), "name": "shared.txt", "size": 4, "blob": "0" * 64,
        "sha256": sha256(b"here").hexdigest(), "manifest": None,
    }  # fmt: skip
    (found,) = made(tmp_path, status="completed", result="[]", artifacts=[note]).artifacts
    assert found == {"path": str(path), "sha256": note["sha256"], "manifest": None}
