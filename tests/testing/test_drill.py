"""The drill itself: what it compares, what it refuses, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import forked
import pytest

from nightproof.errors import UsageError
from nightproof.testing.drill import DrillFailed, Options, drill
from nightproof.testing.outside import Outside

JOBS = '''
import os
from pathlib import Path
from typing import Literal

from nightproof import Contract, artifact, effect, expect, job, step, wait_for

class Night(Contract):
    task: Literal["night"] = "night"
    n: int = 0

@step
async def load(n: int) -> int:
    return n + 1

@effect(key="post/{n}", unknown="retry")
async def post(n: int) -> None:
    pass

@job
async def good(contract: Night) -> int:
    return await load(contract.n)

@job
async def failing(contract: Night) -> int:
    expect(await load(1) > 5, "too small")
    return 1

@job
async def waiting(contract: Night) -> int:
    return await wait_for("go", int)

@job
async def unsteady(contract: Night) -> str:
    """Says another thing each time."""
    await load(1)
    await artifact("same.txt", "same")
    return str(os.getpid())

@job
async def leaky(contract: Night) -> list[int]:
    """A file beside the journal decides: a resume sees what the killed attempt has left."""
    mark = Path(os.environ["NIGHTPROOF_DRILL_DIR"]) / "mark"
    seen = mark.exists()
    mark.touch()
    await load(1)
    if seen:
        await post(2)
    await artifact(f"report.txt", f"seen: {seen}")
    return [int(seen)]

@effect(key="told/{n}", unknown="retry")
async def tell(n: int) -> None:
    with open(os.environ["TOLD"], "a") as file:
        file.write("told\\n")

@job
async def telling(contract: Night) -> int:
    """Claims that another act with one key does no harm."""
    await tell(contract.n)
    return 1

@job
async def elsewhere(contract: Night) -> str:
    """Delivers and returns the path of its own folder: the one thing that may differ."""
    found = await artifact("here.txt", os.environ["NIGHTPROOF_DRILL_DIR"])
    return found.path
'''


@pytest.fixture
def at(tmp_path: Path) -> Callable[[str], tuple[str, str]]:
    """Target and contract of one of the jobs."""
    (tmp_path / "jobs.py").write_text(JOBS)
    contract = tmp_path / "contract.json"
    contract.write_text('{"task": "night"}')
    return lambda name: (f"{tmp_path / 'jobs.py'}:{name}", str(contract))


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process."""
    return forked.run(words, Path.cwd(), {**os.environ, **environ})


def test_a_sound_job_passes(at: Callable[..., Any], tmp_path: Path):
    """Every point is died at, the JSON tells it, and nothing is left behind."""
    work = tmp_path / "work"
    work.mkdir()
    ran = run("drill", *at("good"), "--json", "--dir", str(work), "--point", "load")
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert report["ok"] is True
    assert [(p["point"], p["exit"], p["resumes"]) for p in report["points"]] == [
        ("step:before", "SIGKILL", 1),
        ("step:mid", "SIGKILL", 1),
        ("step:after", "SIGKILL", 1),
    ]
    assert [(p["replayed"], p["executed"]) for p in report["points"]] == [(0, 1), (0, 1), (1, 0)]
    assert report["undisturbed"] == {"result": 1, "artifacts": {}, "effects": {}}
    assert list(work.iterdir()) == []


def test_what_a_crash_changes_is_found(at: Callable[..., Any], tmp_path: Path):
    """Result, artifact and effect differ; exit 1, and the folder is kept for a look."""
    ran = run("drill", *at("leaky"), "--dir", str(tmp_path), "--point", "load:after")
    assert ran.returncode == 1, ran.stderr
    assert "for real" in ran.stderr
    said = " ".join(ran.stdout.split())
    assert "differs" in said
    assert "[1]" in said
    assert "report.txt" in said
    assert "effect post/2: performed, though not by the undisturbed run" in said
    assert list(tmp_path.glob("nightproof-drill-*/001/err-1"))


def test_paths_of_the_case_are_no_difference(at: Callable[..., Any]):
    """Each case works in a folder of its own; that its name differs proves nothing."""
    report = drill(*at("elsewhere"), Options(points=("artifact:mid",)))
    assert report.remarks == []
    assert report.ok


def test_what_is_never_the_same_is_not_compared(at: Callable[..., Any]):
    """Two undisturbed runs that differ say nothing about a crash; the report says so."""
    report = drill(*at("unsteady"), Options(points=("load:mid",)))
    assert report.ok
    assert len(report.remarks) == 1
    assert "result" in report.remarks[0]


def test_a_job_that_fails_cannot_be_drilled(at: Callable[..., Any]):
    """The error repeats why the job failed."""
    with pytest.raises(DrillFailed, match="too small"):
        drill(*at("failing"))


def test_a_job_that_waits_for_somebody_cannot_be_drilled(at: Callable[..., Any]):
    """A wait without an end parks the run, and nobody would go on with it."""
    with pytest.raises(DrillFailed, match="parked"):
        drill(*at("waiting"))


def test_bad_input_is_bad_input(at: Callable[..., Any], tmp_path: Path):
    """What `run` refuses, the drill refuses with the same words and exit 2."""
    (tmp_path / "contract.json").write_text('{"task": "night", "surprise": 1}')
    with pytest.raises(UsageError, match="surprise"):
        drill(*at("good"))
    assert run("drill", *at("good")).returncode == 2
    assert run("drill", *at("nobody")).returncode == 2


def test_no_fitting_point_is_a_failure(at: Callable[..., Any]):
    """A drill that killed nobody has shown nothing."""
    report = drill(*at("good"), Options(points=("no-such-step",)))
    assert not report.ok
    assert report.rows == []


def test_a_crash_by_hand(at: Callable[..., Any], tmp_path: Path):
    """NIGHTPROOF_FAIL_AT kills `nightproof run` once; without it the run goes on."""
    target, contract = at("good")
    store = f"sqlite:///{tmp_path / 'journal.db'}"
    killed = run("run", target, contract, NIGHTPROOF_STORE=store, NIGHTPROOF_FAIL_AT="load:after")
    assert killed.returncode == -signal.SIGKILL
    again = run("run", target, contract, "--json", NIGHTPROOF_STORE=store)
    assert json.loads(again.stdout)["steps"] == {"executed": 0, "replayed": 1, "failed": 0}


def test_each_case_has_a_world_of_its_own(at: Callable[..., Any]):
    """The world is asked what arrived: an act that a ledger would excuse is told."""
    entered, left = [], []

    @contextmanager
    def world(folder: Path) -> Iterator[Outside]:
        entered.append(folder.name)
        told = folder / "told"
        told.touch()
        yield Outside({"TOLD": str(told)}, lambda: {"told": told.read_text().count("told")})
        left.append(folder.name)

    target = at("telling")
    blind = drill(*target, Options(points=("tell:act",)), environ={"TOLD": "{dir}/told"})
    assert [row.point for row in blind.rows] == ["effect:act"]
    assert blind.ok
    report = drill(*target, Options(points=("tell:*",)), outside=world)
    assert report.undisturbed["outside"] == {"told": 1}
    assert [row.point for row in report.failures] == ["effect:act"]
    assert "outside, told: …2… instead of …1…" in report.failures[0].notes
    assert sorted(entered) == sorted(left) == ["001", "002", "003", "004", "undisturbed",
                                               "undisturbed-again"]  # fmt: skip
