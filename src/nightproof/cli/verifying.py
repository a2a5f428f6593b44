"""``nightproof verify``: an artifact against its manifest, a run against its journal."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from nightproof import app, views
from nightproof.cli.session import Session, emit
from nightproof.cli.table import painted
from nightproof.errors import NotFound, UsageError
from nightproof.journal.records import RunRow
from nightproof.model.states import Kind, RunStatus
from nightproof.provenance import signing
from nightproof.provenance.manifest.checking import Checked, Problem, check, check_artifact
from nightproof.provenance.manifest.making import announced, manifest_of
from nightproof.provenance.manifest.outside import outside
from nightproof.provenance.manifest.recorded import differences
from nightproof.provenance.manifest.statement import SUFFIX
from nightproof.provenance.manifest.steps import Steps, read_steps
from nightproof.views.values import parsed

MISMATCH = 3


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

    def lines(self) -> list[str]:
        """For people."""
        if self.problems:
            told = [f"{painted('problem', 'differs')}  {self.path}"]
            for problem in self.problems:
                where = f"{problem.where}: " if problem.where else ""
                told.append(f"  {where}{problem.message}")
            return told
        told = [f"{painted('ok')}  {self.path}"]
        if self.checked is None:
            told.append("  no manifest was written: only the journal's digest was checked")
        elif self.checked.signature == "verified":
            told.append(f"  signed by key {self.checked.keyid}")
        elif self.checked.signature == "unchecked":
            told.append(f"  signed by key {self.checked.keyid}, not checked: give --key PUB")
        else:
            told.append("  not signed: this shows damage, not forgery")
        seen = self.witness()
        if seen and seen["undeclared"]:
            told.append(f"  the run read {seen['undeclared']} things that nothing declares")
        return told


class OnRecord(NamedTuple):
    """What a run's journal has for its manifests to be compared with."""

    row: RunRow
    steps: Steps
    taken: dict[str, Any]


def verify(session: Session, target: str, key: Path | None) -> int:
    """``nightproof verify FILE|RUN``: 0 as it should be, 3 where something differs."""
    verifier = None if key is None else signing.verifier(key)
    path = Path(target)
    run = None
    if os.path.exists(target):  # a name that is too long is no file either
        found = [_file(path, verifier)]
    elif "/" in target or path.suffix.strip(".0123456789"):  # work-3f0c.2 is a replicate
        raise NotFound(f"there is no file {target}", "Give an artifact, its manifest, or a run.")
    else:
        run, found = asyncio.run(_run(session, target, verifier))
    ok = not any(verdict.problems for verdict in found)
    if session.json:
        documents = [verdict.document() for verdict in found]
        emit({"target": target, "run": run, "ok": ok, "artifacts": documents})
    else:
        for verdict in found:
            print("\n".join(verdict.lines()))
        if not found:
            print(f"{run} delivered no artifact: there is nothing to verify")
    return 0 if ok else MISMATCH


def _file(path: Path, verifier: signing.Verifier | None) -> Verdict:
    """Check an artifact, given by its own name or its manifest's, with nothing but the two."""
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
        return path.read_bytes()
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}", hint) from error


async def _run(
    session: Session, name: str, verifier: signing.Verifier | None
) -> tuple[str, list[Verdict]]:
    """Check every artifact of a run, and what the journal says of each."""
    try:
        settings = session.settings()
        reader = app.open_reader(settings)
    except NotFound as error:
        raise NotFound(f"'{name}' is no file, and {error.message}", error.hint) from error
    row = await views.open_run(reader, name)
    if row.status is not RunStatus.COMPLETED:
        raise UsageError(
            f"run {row.name} is {row.status}: manifests are written when a run completes",
            f"`nightproof show {row.name}` says what to do.",
        )
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
        taken = await outside(reader, app.open_blobs(settings), row)
        journal = OnRecord(row, await read_steps(reader, row), taken.sections())
    return row.name, [
        _recorded(path, digest, set(notes), journal, said, verifier)
        for path, digest in notes.items()
    ]


def _recorded(
    path: str,
    digest: str,
    taken: set[str],
    journal: OnRecord | None,
    said: dict[str, Any] | None,
    verifier: signing.Verifier | None,
) -> Verdict:
    """One artifact of a run: file, manifest and journal against each other."""
    where = manifest_of(path, digest, said, taken)
    verdict = Verdict(Path(path), None if where is None else Path(where))
    content = None
    try:
        content = verdict.path.read_bytes()
    except OSError as error:
        verdict.problems.append(Problem("artifact", f"it cannot be read: {error.strerror}"))
    if content is not None:
        verdict.sha256 = sha256(content).hexdigest()
        if verdict.sha256 != digest:
            verdict.problems.append(
                Problem("artifact", f"its sha256 is {verdict.sha256}, the journal has {digest}")
            )
    if verdict.manifest is None or said is None or journal is None:
        return verdict
    try:
        checked = check(verdict.manifest.read_bytes(), str(verdict.manifest), verifier)
    except OSError as error:
        verdict.problems.append(Problem("manifest", f"it cannot be read: {error.strerror}"))
        return verdict
    except UsageError as error:
        verdict.problems.append(Problem("manifest", error.message))
        return verdict
    verdict.checked = checked
    verdict.problems += checked.problems
    if content is not None:
        verdict.problems += check_artifact(checked, verdict.path.name, content)
    if checked.keyid != (said.get("keyid") or ""):
        verdict.problems.append(Problem("signature", "the journal names another key, or none"))
    if checked.predicate_sha256:
        verdict.problems += differences(checked.statement["predicate"], *journal)
        if checked.predicate_sha256 != said.get("predicate") and not verdict.problems:
            verdict.problems.append(
                Problem("/predicate", "it is not the one that the journal says was written")
            )
    return verdict
