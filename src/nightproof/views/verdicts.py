"""Artifacts against their manifests, and against the journal of their run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from nightproof.blobs.protocol import Blobs
from nightproof.errors import UsageError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.model.states import Kind, RunStatus
from nightproof.provenance import signing
from nightproof.provenance.manifest.checking import Checked, Problem, check, check_artifact
from nightproof.provenance.manifest.making import announced, manifest_of
from nightproof.provenance.manifest.outside import outside
from nightproof.provenance.manifest.recorded import differences
from nightproof.provenance.manifest.statement import SUFFIX
from nightproof.provenance.manifest.steps import Steps, read_steps
from nightproof.views import delivered
from nightproof.views.notes import Level
from nightproof.views.values import parsed

Signature = Literal["verified", "unchecked", "refused", "none"]


@dataclass(frozen=True, slots=True)
class ProblemView:
    """One thing that is not as it should be; `where` is a JSON Pointer, a word, or empty."""

    where: str
    message: str


@dataclass(frozen=True, slots=True)
class Witnessed:
    """At what level a run's reads were witnessed, and how many nothing declares."""

    level: Level
    undeclared: int


@dataclass(frozen=True, slots=True)
class VerdictView:
    """One artifact; `sha256` is that of its bytes now, null where they cannot be read.

    `manifest` is null where none was written; `signature` of the manifest is verified only
    against a key that was given.
    """

    path: str
    sha256: str | None
    manifest: str | None
    signature: Signature | None
    keyid: str | None
    witness: Witnessed | None
    ok: bool
    problems: list[ProblemView]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was asked for, checked; `run` is null where that was a file."""

    target: str
    run: str | None
    ok: bool
    artifacts: list[VerdictView]


def verification(target: str, run: str | None, found: list[Verdict]) -> Verification:
    """The document of ``verify --json``."""
    ok = not any(one.problems for one in found)
    return Verification(target, run, ok, [one.document() for one in found])


async def run(reader: Reader, blobs: Blobs, row: RunRow) -> Verification:
    """The document of ``verify RUN --json``, without a key. Raises UsageError: it must be complete."""
    ended(row)
    return verification(row.name, row.name, await of_run(reader, blobs, row, None))


def ended(row: RunRow) -> None:
    """Raise UsageError for a run that is not complete: it has no manifests yet."""
    if row.status is not RunStatus.COMPLETED:
        raise UsageError(
            f"run {row.name} is {row.status}: manifests are written when a run completes",
            f"`nightproof show {row.name}` says what to do.",
        )


@dataclass(slots=True)
class Verdict:
    """What was found about one artifact."""

    path: Path
    manifest: Path | None
    sha256: str | None = None
    checked: Checked | None = None
    problems: list[Problem] = field(default_factory=list)

    def document(self) -> VerdictView:
        """As it is told."""
        return VerdictView(
            str(self.path),
            self.sha256,
            None if self.manifest is None else str(self.manifest),
            cast("Signature", self.checked.signature) if self.checked else None,
            (self.checked.keyid or None) if self.checked else None,
            self.witness(),
            not self.problems,
            [ProblemView(one.where, one.message) for one in self.problems],
        )

    def witness(self) -> Witnessed | None:
        """At what level the run's reads were witnessed, and how many nothing declares."""
        if self.checked is None or not self.checked.predicate_sha256:
            return None
        done = self.checked.statement["predicate"]["runDetails"]
        found = done["metadata"].get("witness")
        return Witnessed(found["level"], found["undeclared"]["count"]) if found else None


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
