"""Where a run's files go, whatever the run is called."""

from pathlib import Path
from typing import Any

import pytest

from nightproof import Contract, artifact, job
from nightproof.engines.attempt.files import artifact_path

ODD = ["../up", "a\0b", "é" * 300, "..", ".", "a//b", "/etc", "line\nbreak", "\u202eturned"]


class Delivering(Contract):
    """Any."""

    task: str = "delivering"


@pytest.mark.sqlite_only
@pytest.mark.parametrize("name", ODD, ids=lambda name: ascii(name)[:20])
def test_a_run_of_any_name_delivers(night: Any, tmp_path: Path, name: str):
    """Below the folder of artifacts, with its manifest."""

    @job(name=name)
    async def main(contract: Delivering) -> int:
        await artifact("report.md", "text")
        return 1

    outcome = night.run(main, Delivering())
    assert (outcome.status, outcome.error) == ("completed", None)
    (made,) = outcome.artifacts
    place = Path(made["path"])
    assert place.is_relative_to(tmp_path)
    assert ".." not in place.parts
    assert place.read_text() == "text"
    assert Path(made["manifest"]).is_file()


def test_folders_are_the_runs_own(tmp_path: Path):
    """An ordinary run's has its name; those that are written anew stay apart."""
    for plain in ("nightly-0b504b4911", "team/nightly-0b504b4911.2", "späte Nacht-1"):
        assert artifact_path(tmp_path, plain, "a/b.md") == tmp_path / plain / "a" / "b.md"
    places = {artifact_path(tmp_path, f"{name}-0b504b4911", "x") for name in ODD}
    assert len(places) == len(ODD)
