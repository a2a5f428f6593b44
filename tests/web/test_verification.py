"""Delivered files as they are now: compared when they are listed, and checked as a whole."""

import os
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from api_client import asked, at, shape_of
from web_house import command

from nightproof import config
from nightproof.views import artifacts, delivered
from nightproof.web import comparing

JOB = """
from typing import Literal
from nightproof import Contract, artifact, job
class One(Contract):
    task: Literal['one'] = 'one'
    bad: bool = False
@job
async def one(contract: One) -> int:
    await artifact('small.txt', 'as delivered')
    await artifact('large.txt', 'l' * 5000)
    return 1 // (not contract.bad)
"""


@pytest.fixture
def files(serving: Any, tmp_path: Path) -> Any:
    """A dashboard on one run that has delivered two files, and one that has failed."""
    (tmp_path / "jobs.py").write_text(JOB)
    runs = {}
    for name, given in (("good", {}), ("bad", {"bad": True})):
        told = command(tmp_path, "run", "jobs.py:one", "-", given={"task": "one", **given})
        runs[name] = told["run"]

    class House:
        folder = tmp_path

        def settings(self) -> config.Settings:
            return config.Settings(store=f"sqlite:///{tmp_path}/.nightproof/journal.db")

    House.runs = runs  # type: ignore[attr-defined]
    return serving(House())


def path_of(files: Any, name: str) -> Path:
    """Where a file was delivered."""
    shown = asked(files, at("/runs/{run}/artifacts", run=files.house.runs["good"]))["items"]
    (found,) = (one["path"] for one in shown if one["name"] == name)
    return Path(found)


def states(files: Any) -> dict[str, tuple[str, bool]]:
    """What the list of artifacts says of each."""
    shown = asked(files, at("/runs/{run}/artifacts", run=files.house.runs["good"]))["items"]
    return {one["name"]: (one["state"], one["compared"]) for one in shown}


def test_a_list_shows_a_file_that_is_another_of_the_same_size(files: Any):
    """By its bytes, on the page and in the API."""
    page = f"/runs/{files.house.runs['good']}/artifacts"
    assert states(files) == {"small.txt": ("there", True), "large.txt": ("there", True)}
    assert "as delivered" in files.get(page).text
    small = path_of(files, "small.txt")
    small.write_text(small.read_text().upper())
    assert states(files)["small.txt"] == ("changed", True)
    assert ">changed<" in files.get(page).text
    small.unlink()
    assert states(files)["small.txt"] == ("gone", False)


def test_a_large_file_is_compared_when_asked(files: Any, monkeypatch: Any):
    """Its size is what is looked at; its page compares it."""
    monkeypatch.setattr(artifacts, "COMPARED", 1000)
    monkeypatch.setattr("nightproof.web.previews.LARGEST", 1000)
    assert states(files) == {"small.txt": ("there", True), "large.txt": ("there", False)}
    run = files.house.runs["good"]
    shown = asked(files, at("/runs/{run}/artifacts", run=run))["items"]
    (n,) = (one["n"] for one in shown if one["name"] == "large.txt")
    page = f"/runs/{run}/artifacts/{n}"
    assert f"{page}?compare=1" in files.get(f"/runs/{run}/artifacts").text
    assert "not compared" in files.get(page).text
    assert ">as recorded<" in files.get(page + "?compare=1").text
    large = path_of(files, "large.txt")
    large.write_text("L" * 5000)
    assert ">not as recorded<" in files.get(page + "?compare=1").text


def test_many_files_are_not_all_compared(files: Any, monkeypatch: Any):
    """So many bytes for a list; the rest by size."""
    monkeypatch.setattr(artifacts, "COMPARED_TOGETHER", 20)
    assert states(files) == {"small.txt": ("there", True), "large.txt": ("there", False)}


def test_a_digest_is_worked_out_once(tmp_path: Path, monkeypatch: Any):
    """While nobody touches the file; not where it was changed just now."""
    read: list[int] = []
    hashed = delivered._hashed
    monkeypatch.setattr(delivered, "_hashed", lambda one: read.append(one) or hashed(one))
    file, known = tmp_path / "file", delivered.Digests()
    file.write_bytes(b"one")
    digest = sha256(b"one").hexdigest()
    monkeypatch.setattr(delivered.clock, "now_ms", lambda: int(time.time() * 1000) + 5000)
    for _ in range(3):
        assert known.compare(str(file), digest, 3, 100) == "there"
    assert len(read) == 1
    assert known.cost(str(file)) == 0
    assert known.compare(str(file), digest, 3, 0) == "there"
    file.write_bytes(b"two")
    assert known.compare(str(file), digest, 3, 100) == "changed"
    monkeypatch.setattr(delivered.clock, "now_ms", lambda: int(time.time() * 1000))
    file.write_bytes(b"one")
    for _ in range(2):
        assert known.compare(str(file), digest, 3, 100) == "there"
    assert len(read) == 4
    assert known.compare(str(file), digest, 4, 100) == "changed"
    file.unlink()
    os.mkfifo(file)
    assert known.compare(str(file), digest, None, 100) == "changed"


@pytest.mark.parametrize("beside", [False, True], ids=["here", "in a process beside"])
def test_all_of_a_run_is_checked(files: Any, monkeypatch: Any, beside: bool):
    """Files, manifests and journal: as ``verify`` does it, on a page and in the API."""
    if beside:
        monkeypatch.setattr(comparing, "SHORT", -1)
        monkeypatch.chdir(files.house.folder)
    run = files.house.runs["good"]
    where = at("/runs/{run}/verification", run=run)
    found = asked(files, where)
    shape_of("/runs/{run}/verification").validate(found)
    assert (found["run"], found["ok"], len(found["artifacts"])) == (run, True, 2)
    page = f"/runs/{run}/artifacts/check"
    assert "All is as it was delivered" in files.get(page).text
    small = path_of(files, "small.txt")
    small.write_text("something else")
    assert asked(files, where)["ok"] is False, "touched files are looked at again"
    text = files.get(page).text
    assert "Something is not as it was delivered" in text
    assert sha256(b"something else").hexdigest() in text
    assert page in files.get(f"/runs/{run}/artifacts").text


def test_what_is_not_complete_cannot_be_checked(files: Any):
    """It has no manifests: refused with what to do; its list offers no check."""
    run = files.house.runs["bad"]
    answer = files.get(at("/runs/{run}/verification", run=run))
    assert answer.status_code == 409
    assert "manifests are written when a run completes" in answer.json()["detail"]
    assert "manifests are written" in files.get(f"/runs/{run}/artifacts/check").text
    assert "Check now" not in files.get(f"/runs/{run}/artifacts").text


def test_a_file_of_the_run_s_name_is_not_taken_for_it(files: Any, monkeypatch: Any):
    """The command takes a file first; then there is no answer rather than one about another."""
    monkeypatch.setattr(comparing, "SHORT", -1)
    monkeypatch.chdir(files.house.folder)
    run = files.house.runs["good"]
    small = path_of(files, "small.txt")
    for file in (small, small.with_name("small.txt.manifest.json")):
        Path(file.name.replace("small.txt", run)).write_bytes(file.read_bytes())
    answer = files.get(at("/runs/{run}/verification", run=run))
    assert answer.status_code == 409
    assert "a file of its name" in answer.json()["detail"]
