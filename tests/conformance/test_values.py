"""What a body sees is what a resume sees, and what a replicate can be compared by."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from conforming.jobs import values

from nightproof import StepFailed
from nightproof.errors import MisuseError


def test_recorded_values(night, case, diary):
    """now() is recorded; uuid() and random() agree in every attempt and replicate."""
    night.crash(values.recorded, case(), at="last:before")
    first = night.value(values.recorded, case())
    assert diary() == [" ".join(first), "last"], "the body saw something else on replay"
    assert len(set(first[2:])) == 3
    again = night.value(values.recorded, case(), replicate=-1)
    assert again[2:] == first[2:]
    assert again[0] != first[0]
    assert night.value(values.recorded, case(n=2))[2:] != first[2:]


def test_the_clock_of_the_run_belongs_to_its_body(night, case):
    """In a step the error says where to call it."""
    outcome = night.run(values.misplaced, case())
    assert isinstance(outcome.error, StepFailed)
    assert "inside step 'asks_the_time'" in str(outcome.error)


def test_seeds_do_not_depend_on_order_or_interruption(night, case, diary):
    """The same numbers after a kill in the middle, at any width, and in replicates."""
    night.crash(values.seeded, case(), at="draws:after#2")
    first = night.value(values.seeded, case())
    assert len({row[0] for row in first}) == 8
    again = night.value(values.seeded, case(), replicate=-1, concurrency={"draws": 1})
    assert again == first
    assert night.value(values.seeded, case(n=1)) != first


def test_refs_travel_by_digest(night, case, diary):
    """Read in a step and in the body; replayed without running again."""
    night.crash(values.referred, case(), at="last:before")
    assert night.value(values.referred, case()) == 2
    assert diary() == ["load", "use", "last"]


@pytest.mark.parametrize("kind", ["text", "data", "numbers"])
def test_large_values_are_spilled_and_replayed(night, case, diary, kind):
    """Results of steps, items and runs, and arguments: the journal holds references."""
    contract = case(names=(kind,))
    night.crash(values.spilled, contract, at="last:before")
    outcome = night.run(values.spilled, contract)
    sizes = {"text": [100_001] * 3, "data": [256_001] * 3, "numbers": [40_000] * 3}[kind]
    assert outcome.value == f"{sizes} " + "x" * 100_000
    assert diary() == ["large 0", "large 1", "large 2", "last"] or diary() == [
        "large 0", "large 2", "large 1", "last",
    ]  # fmt: skip
    kept = night.entries(outcome.name, 1)
    assert sum(len(entry.output or b"") for entry in kept) < 2000
    assert sum(entry.blob is not None for entry in kept) == 3
    assert night.run(values.spilled, contract).value == outcome.value


def test_measures_and_decisions_are_kept(night, case):
    """From steps, threads and the body."""
    outcome = night.run(values.noted, case())
    assert outcome.value == 6
    assert sorted(note["value"] for note in night.notes(outcome.name, "measure")) == [1, 2, 3]
    (note,) = night.notes(outcome.name, "decision")
    assert (note["message"], note["because"]) == ("take the mirror", "the API is down")


def test_an_artifact_is_whole_stamped_and_verified(night, case, diary):
    """Its manifest names it, `verify` checks it, and finds a changed byte."""
    night.crash(values.delivers, case(), at="last:before")
    outcome = night.run(values.delivers, case())
    content = "grün\n".encode()
    assert outcome.value == hashlib.sha256(content).hexdigest()
    assert diary() == ["text", outcome.value, "last"]
    report, data = (Path(made["path"]) for made in outcome.artifacts)
    assert (report.name, report.read_bytes()) == ("report.md", content)
    assert data.read_bytes() == b"\x00\xff"
    manifest = json.loads(Path(f"{report}.manifest.json").read_bytes())
    assert outcome.value in json.dumps(manifest)
    assert "text_of" in json.dumps(manifest)
    code, said = night.command("verify", str(report))
    assert code == 0, said
    code, said = night.command("verify", outcome.name)
    assert code == 0, said
    report.write_bytes(b"changed")
    code, said = night.command("verify", str(report))
    assert code == 3, said
    again = night.run(values.delivers, case())
    assert again.from_record
    assert [made["sha256"] for made in again.artifacts] == [
        made["sha256"] for made in outcome.artifacts
    ]


def test_an_artifact_stays_in_its_folder(night, case):
    """A relative path that climbs out is refused."""
    outcome = night.run(values.climbs, case())
    assert isinstance(outcome.error, MisuseError)
    assert "outside the run's folder" in str(outcome.error)
