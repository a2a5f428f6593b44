"""Artifacts against their manifests, and against the journal of their run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from nightproof.blobs.protocol import Blobs
from nightproof.errors import UsageError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.model.states import Kind
from nightproof.provenance import signing
from nightproof.provenance.manifest.checking import Checked, Problem, check, check_artifact
from nightproof.provenance.manifest.making import announced, manifest_of
from nightproof.provenance.manifest.outside import outside
from nightproof.provenance.manifest.recorded import differences
from nightproof.provenance.manifest.statement import SUFFIX
from nightproof.provenance.manifest.steps import Steps, read_steps
from nightproof.views import delivered
from nightproof.views.values import parsed


@dataclass(slots=True)
class Verdict:
    """What was found about one artifact."""

    path: Path
    manifest: Path | None
    sha256: str | None = None
    checked: Checked | None = None
    problems: list[Problem] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "path": str(self.path),
            "sha256": self.sha256,
            "manifest": None if self.manifest is None else str(self.manifest),
            "signature": self.checked.signature if self.checked else None,
            "keyid": (self.checked.keyid or None) if self.checked else None,
            "witness": self.witness(),
            "ok": not self.problems,
            "problems": [problem._asdict() for problem in self.problems],
        }

    def witness(self) -> dict[str, Any] | None:
        """At what level the run's reads were witnessed, and how many nothing declares."""
        if self.checked is None or not self.checked.predicate_sha256:
            return None
        done = self.checked.statement["predicate"]["runDetails"]
        found = done["metadata"].get("witness")
        return found and {"level": found["level"], "undeclared": found["undeclared"]["count"]}


class OnRecord(NamedTuple):
    """What a run's journal has for its manifests to be compared with."""

    row: RunRow
    steps: Steps
    taken: dict[str, Any]


def of_file(path: Path, verifier: signing.Verifier | None) -> Verdict:
    """Check an artifact, given by its own name or its manifest's, with nothing but the two.

    Raises Undelivered where one of them cannot be read, UsageError for what is no manifest.
    """
    beside = path.with_name(path.name + SUFFIX)
    if path.name.endswith(SUFFIX) and not beside.exists():
        artifact, manifest = path.with_name(path.name.removesuffix(SUFFIX)), path
    else:
        artifact, manifest = path, beside
    data = _read(manifest, "Manifests lie beside their artifacts, as NAME.manifest.json.")
    content = _read(artifact, "Put the artifact beside its manifest.")
    checked = check(data, str(manifest), verifier)
    verdict = Verdict(artifact, manifest, sha256(content).hexdigest(), checked)
    verdict.problems = [*checked.problems, *check_artifact(checked, artifact.name, content)]
    return verdict


def _read(path: Path, hint: str) -> bytes:
    try:
        return delivered.whole(str(path))
    except delivered.Undelivered as error:
        raise delivered.Undelivered(
            error.state, f"{path} cannot be read: {error.reason}", hint
        ) from error


async def of_run(
    reader: Reader, blobs: Blobs, row: RunRow, verifier: signing.Verifier | None
) -> list[Verdict]:
    """Check every artifact of a completed run, and what the journal says of each.

    All steps of the run are read.
    """
    notes = {}
    for entry in await reader.entries(row.id, (Kind.ARTIFACT,)):
        note = parsed(entry.output)
        if isinstance(note, dict):
            notes[str(note["path"])] = str(note["sha256"])
    said = await announced(reader, row.id) if notes else None
    if said:
        notes = said.get("files", notes)
    journal = None
    if said:
        taken = await outside(reader, blobs, row)
        journal = OnRecord(row, await read_steps(reader, row), taken.sections())
    return [
        await asyncio.to_thread(of_path, path, digest, set(notes), said, verifier, journal)
        for path, digest in notes.items()
    ]


def of_path(
    path: str,
    digest: str,
    taken: set[str],
    said: dict[str, Any] | None,
    verifier: signing.Verifier | None,
    journal: OnRecord | None,
) -> Verdict:
    """One artifact of a run: file, manifest and journal against each other; blocks."""
    where = manifest_of(path, digest, said, taken)
    verdict = Verdict(Path(path), None if where is None else Path(where))
    content = None
    try:
        content = delivered.whole(path)
    except delivered.Undelivered as error:
        verdict.problems.append(Problem("artifact", f"it cannot be read: {error.reason}"))
    if content is not None:
        verdict.sha256 = sha256(content).hexdigest()
        if verdict.sha256 != digest:
            verdict.problems.append(
                Problem("artifact", f"its sha256 is {verdict.sha256}, the journal has {digest}")
            )
    if where is None or said is None:
        return verdict
    try:
        data = delivered.whole(where)
    except delivered.Undelivered as error:
        verdict.problems.append(Problem("manifest", f"it cannot be read: {error.reason}"))
        return verdict
    against(verdict, data, content, said, verifier, journal)
    return verdict


def against(
    verdict: Verdict,
    manifest: bytes,
    content: bytes | None,
    said: dict[str, Any],
    verifier: signing.Verifier | None,
    journal: OnRecord | None,
) -> None:
    """Add what is wrong with a manifest to a verdict; blocks.

    `said` is what the journal says of the run's manifests; without `journal` its steps are not
    compared one by one.
    """
    try:
        checked = check(manifest, str(verdict.manifest), verifier)
    except UsageError as error:
        verdict.problems.append(Problem("manifest", error.message))
        return
    verdict.checked = checked
    verdict.problems += checked.problems
    if content is not None:
        verdict.problems += check_artifact(checked, verdict.path.name, content)
    if checked.keyid != (said.get("keyid") or ""):
        verdict.problems.append(Problem("signature", "the journal names another key, or none"))
    if checked.predicate_sha256:
        if journal is not None:
            verdict.problems += differences(checked.statement["predicate"], *journal)
        if checked.predicate_sha256 != said.get("predicate") and not verdict.problems:
            verdict.problems.append(
                Problem("/predicate", "it is not the one that the journal says was written")
            )
