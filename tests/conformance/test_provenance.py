"""What a run depended on is on record, and two runs can be compared by it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from conforming.jobs import effects, plain, steps

from nightproof import app
from nightproof.errors import DatasetMismatch
from nightproof.provenance.witness import reads_of


def reads(night, name):
    """What a run is known to have read, by name."""

    async def find(journal):
        row = await journal.find(name)
        return await reads_of(journal, app.open_blobs(night.settings), row.id)

    return {read.name: read for read in night.ask(find)}


def test_a_refused_dataset_fails_the_run_before_any_step(night, case, diary, tmp_path):
    """Correct bytes let it run."""
    file = tmp_path / "data.csv"
    file.write_bytes(b"wrong")
    sha256 = hashlib.sha256(b"right").hexdigest()
    contract = plain.Fed(case=case().case, data={"uri": file.as_uri(), "sha256": sha256})
    with pytest.raises(DatasetMismatch):
        night.value(plain.fed, contract)
    row = night.row(plain.fed, contract)
    assert (row.status, row.owner, diary()) == ("failed", None, [])
    assert b"DatasetMismatch" in row.error
    file.write_bytes(b"right")
    assert night.value(plain.fed, contract) == 5


def test_reads_answers_and_environment_are_on_record(night, case, tmp_path):
    """The witness names the undeclared file and its step; snapshot and model stand in the manifest."""
    file = tmp_path / "rates.json"
    file.write_text("1.25\n")
    outcome = night.run(plain.reading, case(names=(str(file),)))
    assert outcome.value == "1.25"
    read = reads(night, outcome.name)[str(file)]
    assert read.declared == ""
    assert read.step == "reads"
    assert read.digest == "sha256:" + hashlib.sha256(b"1.25\n").hexdigest()
    report = Path(outcome.artifacts[0]["path"])
    manifest = json.loads(Path(f"{report}.manifest.json").read_bytes())
    about = manifest["predicate"]["runDetails"]["metadata"]
    assert {"strict", "numeric", "host"} <= set(about["environment"])
    assert [one["reported"] for one in about["models"]] == ["gpt-x-2026-01-01"]
    assert about["witness"]["level"] == "L0"
    code, said = night.command("env", "show", outcome.name, "--json")
    assert code == 0, said
    assert json.loads(said)


def test_an_undeclared_read_is_refused_under_strict(night, case, tmp_path):
    """It names the file."""
    file = tmp_path / "rates.json"
    file.write_text("1.25\n")
    outcome = night.run(plain.reading, case(names=(str(file),)), strict=True)
    assert outcome.status == "failed"
    assert str(file) in str(outcome.error)


def test_diff_finds_the_first_step_in_which_two_runs_part(night, case, switch):
    """`diff` of two replicates: no drift, then the step that differed."""
    first = night.run(effects.reports, case(n=1))
    same = night.run(effects.reports, case(n=1), replicate=-1)
    code, said = night.command("diff", first.name, same.name, "--json")
    assert code == 0, said
    assert json.loads(said)["drift"] is False
    switch("later")
    other = night.run(effects.reports, case(n=1), replicate=-1)
    code, said = night.command("diff", first.name, other.name, "--json")
    assert code == 3, said
    found = json.loads(said)
    assert found["drift"] is True
    assert found["firstDivergence"]["step"] == "today"
    assert found["verdicts"]["input"] == "excluded"


def test_reading_commands_show_the_run(night, case):
    """show, steps, logs and runs, as JSON."""
    outcome = night.run(steps.chain, case(n=2))
    code, said = night.command("show", outcome.name, "--json")
    assert code == 0, said
    shown = json.loads(said)
    assert shown["run"]["status"] == "completed"
    code, said = night.command("steps", outcome.name, "--json")
    assert code == 0, said
    assert [one["step"] for one in json.loads(said)["steps"]] == ["double", "plus", "half"]
    code, said = night.command("logs", outcome.name, "--json")
    assert code == 0, said
    code, said = night.command("runs", "--job", "chain", "--json")
    assert outcome.name in [one["run"] for one in json.loads(said)["runs"]]
