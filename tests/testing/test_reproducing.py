"""`assert_reproducible` and golden files."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from nightproof import (
    Artifact,
    Contract,
    RunFailed,
    RunParked,
    artifact,
    effect,
    job,
    step,
    wait_for,
)
from nightproof.errors import MisuseError
from nightproof.testing import (
    Delivered,
    GoldenDiffers,
    NotReproducible,
    assert_golden,
    assert_reproducible,
)


class Night(Contract):
    task: Literal["night"] = "night"
    items: tuple[str, ...] = ("a", "b")
    drifts: str = ""


sent: list[str] = []
calls: list[str] = []


@step
def price(item: str, drifts: str) -> dict[str, Any]:
    calls.append(item)
    found = {
        "item": item,
        "at": (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=len(calls))).isoformat(),
    }
    return {**found, "amount": len(calls)} if drifts == "step" else found


@effect(key="tell/{text}")
def tell(text: str) -> dict[str, int]:
    sent.append(text)
    return {"ts": 1}


@job(normalise=["times"])
async def nightly(contract: Night) -> list[str]:
    found = await price.map(contract.items, key=str, drifts=contract.drifts)
    await artifact("report.txt", "\n".join(f"{one['item']} at {one['at']}" for one in found))
    if contract.drifts == "artifact":
        await artifact("calls.txt", f"first\n{len(calls)}\nlast\n")
    if contract.drifts == "effect":
        await tell(str(len(calls)))
    await tell("done")
    return list(contract.items)


@job
async def answered(contract: Night) -> int:
    return (await tell("done"))["ts"]


@job
async def patient(contract: Night) -> str:
    return await wait_for("never", str)


@pytest.fixture(autouse=True)
def quiet_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A working folder of the test's own, so that a stray journal would be seen."""
    monkeypatch.chdir(tmp_path)
    sent.clear()
    calls.clear()


def test_agreeing_runs(tmp_path: Path):
    """Fresh runs, no effect, the first one's result and files, nothing left elsewhere."""
    made = assert_reproducible(nightly, Night(), times=3)
    assert made.value == ["a", "b"]
    assert calls == ["a", "b"] * 3
    assert sent == []
    assert [one.equal for one in made.others] == [True, True]
    assert not made.identical
    text = made.artifact("report.txt").path.read_text()
    assert text.startswith("a at 2026-01-01")
    with pytest.raises(KeyError, match=r"it delivered report\.txt"):
        made.artifact("report.md")
    assert list(tmp_path.iterdir()) == []


def test_files_go_with_what_was_made():
    """The temporary folder lives as long as the object that leads into it."""
    made = assert_reproducible(nightly, Night(), times=2)
    path = made.artifact("report.txt").path
    assert path.is_file()
    del made
    assert not path.exists()


@pytest.mark.parametrize(
    ("drifts", "expected"),
    [
        ("step", ["first difference: price [a]: same inputs, another output", "/amount"]),
        ("artifact", ["first difference: artifact calls.txt", "-2", "+4"]),
        ("effect", ["first difference: tell: it was given something else"]),
    ],
)
def test_differing_runs_fail_readably(drifts: str, expected: list[str], tmp_path: Path):
    """The message names the place, shows both sides, and a command that works."""
    with pytest.raises(NotReproducible) as failed:
        assert_reproducible(nightly, Night(drifts=drifts), times=2, folder=tmp_path)
    told = str(failed.value)
    for text in ["job 'nightly' is not reproducible: 1 of 1", "after normalising times", *expected]:
        assert text in told, told
    command = told.splitlines()[-1].split()
    assert command[:2] == ["nightproof", "diff"]
    ran = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    assert ran.returncode == 3
    assert sent == []


def test_exact_counts_what_is_normalised_away():
    """`exact` wants the bytes; the same runs agree without it."""
    with pytest.raises(NotReproducible, match="0 after normalising times"):
        assert_reproducible(nightly, {"task": "night", "items": ["a"]}, times=2, exact=True)


def test_results_of_effects():
    """A job that goes on with an effect's result is given one; without it, told how."""
    made = assert_reproducible(answered, Night(), times=2, results={"tell": {"ts": 7}})
    assert made.value == 7
    with pytest.raises(TypeError) as failed:
        assert_reproducible(answered, Night(), times=2)
    assert "tell gave None" in failed.value.__notes__[0]
    assert sent == []


def test_failing_and_waiting_jobs_are_not_called_reproducible():
    """What a job raises is raised, and a run that parks has no result."""

    @job
    async def broken(contract: Night) -> int:
        raise RunFailed("no rows")

    with pytest.raises(RunFailed, match="no rows"):
        assert_reproducible(broken, Night())
    with pytest.raises(RunParked):
        assert_reproducible(patient, Night())


def test_a_later_failure_is_a_difference():
    """The first run completed, the second one failed: they differ."""

    @job
    async def once_only(contract: Night) -> int:
        calls.append("x")
        if len(calls) > 1:
            raise RunFailed("the second time")
        return 1

    with pytest.raises(NotReproducible, match="the second time"):
        assert_reproducible(once_only, Night(), times=2)


ORDERED = """
from typing import Literal

from nightproof import Contract, Dataset, job, step


class Night(Contract):
    task: Literal["night"] = "night"
    data: Dataset | None = None


@step
def joined() -> str:
    return "".join({"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"})


@job
async def ordered(contract: Night) -> str:
    return await joined()


@job
async def sized(contract: Night) -> int:
    return len(contract.data.path.read_text())
"""


def test_processes_show_what_one_process_hides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The order of a set is the same within a process, and another in the next one."""
    from nightproof.cli.targets import load

    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    path = tmp_path / "jobs.py"
    path.write_text(ORDERED)
    ordered = load(f"{path}:ordered").job
    contract = {"contractVersion": "1", "task": "night"}
    assert_reproducible(ordered, contract, times=2)
    with pytest.raises(NotReproducible, match="first difference: joined"):
        assert_reproducible(ordered, contract, times=4, processes=True)
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    assert assert_reproducible(ordered, contract, times=2, processes=True).identical


def test_processes_find_datasets_beside_the_contract(tmp_path: Path):
    """A contract by its path, with a relative dataset."""
    import hashlib

    from nightproof.cli.targets import load

    (tmp_path / "jobs.py").write_text(ORDERED)
    folder = tmp_path / "inputs"
    folder.mkdir()
    (folder / "data.txt").write_text("hello")
    data = {"uri": "file:data.txt", "sha256": hashlib.sha256(b"hello").hexdigest()}
    path = folder / "contract.json"
    path.write_text(json.dumps({"contractVersion": "1", "task": "night", "data": data}))
    sized = load(f"{tmp_path}/jobs.py:sized").job
    assert assert_reproducible(sized, path, times=2, processes=True).value == 5


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((nightly, Night()), {"times": 1}, "one run cannot differ"),
        ((nightly.fn, Night()), {}, "expected a job"),
        ((nightly, Night()), {"processes": True, "results": {"tell": 1}}, "other processes"),
    ],
)
def test_senseless_arguments(arguments: Any, options: Any, message: str):
    """Each gets one message."""
    with pytest.raises(MisuseError, match=message):
        assert_reproducible(*arguments, **options)


def test_inside_an_event_loop_is_refused():
    """It runs loops of its own."""

    async def inside() -> None:
        assert_reproducible(nightly, Night())

    with pytest.raises(MisuseError, match="event loop"):
        asyncio.run(inside())


def test_golden_text(tmp_path: Path):
    """Written on demand, compared, and shown as a unified diff; what is normalised is no difference."""
    path = tmp_path / "golden" / "report.txt"
    with pytest.raises(GoldenDiffers, match="no golden file"):
        assert_golden("a\nat 2026-01-01T00:00\nc\n", path)
    assert not path.exists()
    assert assert_golden("a\nat 2026-01-01T00:00\nc\n", path, update=True) == "written"
    assert assert_golden("a\nat 2026-01-01T00:00\nc\n", path) == "same"
    later = "a\nat 2026-01-02T03:04\nc\n"
    assert assert_golden(later, path, normalise=["times"]) == "same after normalising"
    assert assert_golden(later, path, normalise=nightly, update=True) == "same after normalising"
    assert "2026-01-01" in path.read_text()
    with pytest.raises(GoldenDiffers) as failed:
        assert_golden(later.replace("c", "d"), path, normalise=["times"])
    told = str(failed.value)
    assert "after normalising times; as they are, 4 lines differ" in told
    assert " at <time>\n-c\n+d" in told
    with pytest.raises(GoldenDiffers, match="-at 2026-01-01T00:00"):
        assert_golden(later, path)


def test_golden_values_and_binaries(tmp_path: Path):
    """Values become JSON that is compared by its places; other bytes by size and digest."""
    path = tmp_path / "value.json"
    assert assert_golden(Night(), path, update=True) == "written"
    with pytest.raises(GoldenDiffers, match=r'-    "b"\n\+    "c"'):
        assert_golden(Night(items=("a", "c")), path)
    shuffled = dict(reversed(json.loads(path.read_text()).items()))
    assert assert_golden(shuffled, path, normalise="key-order") == "same after normalising"
    (tmp_path / "image").write_bytes(b"\xff\x00")
    with pytest.raises(GoldenDiffers, match=r"golden 2 bytes.*now 3 bytes"):
        assert_golden(b"\xff\x00\x01", tmp_path / "image", normalise=["times"])
    with pytest.raises(MisuseError, match="cannot be written as JSON"):
        assert_golden(object(), path)


def test_golden_artifacts(tmp_path: Path):
    """An artifact is read from disk, with its job's normalisers where it brings them."""
    made = assert_reproducible(nightly, Night(), times=2)
    one = made.artifact("report.txt")
    assert isinstance(one, Delivered)
    path = tmp_path / "golden.txt"
    path.write_text(one.path.read_text().replace("2026-01-01", "2027-12-31"))
    assert assert_golden(one, path) == "same after normalising"
    plain = Artifact(str(one.path), "", 0)
    with pytest.raises(GoldenDiffers):
        assert_golden(plain, path)
    with pytest.raises(MisuseError, match="cannot be read"):
        assert_golden(tmp_path / "nothing", path)


TESTS = """
from typing import Literal

import pytest

from nightproof import Contract, artifact, job

class Night(Contract):
    task: Literal["night"] = "night"

count = []

@job
async def steady(contract: Night) -> int:
    await artifact("report.txt", "one\\ntwo\\n")
    return 1

@job
async def drifting(contract: Night) -> int:
    count.append(1)
    return len(count)

def test_steady(assert_reproducible, golden):
    made = assert_reproducible(steady, Night())
    golden(made, "report.txt")
    golden(made.artifact("report.txt"))
    golden(made.value, "value.json")

def test_drifting(assert_reproducible):
    assert_reproducible(drifting, Night())

def test_outside(golden):
    golden("text", "../../etc/passwd")

def test_nameless(golden):
    golden("text")
"""


def test_fixtures(tmp_path: Path):
    """In pytest: --update-golden writes and says so; failures are short and name the place."""
    (tmp_path / "test_it.py").write_text(TESTS)

    def inner(*arguments: str) -> str:
        ran = subprocess.run(
            [*(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
             *("-p", "nightproof_pytest", *arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
        )  # fmt: skip
        return ran.stdout + ran.stderr

    out = inner("--update-golden")
    assert "1 passed" in out, out
    assert "3 failed" in out
    assert "golden file written" in out
    assert (tmp_path / "golden" / "report.txt").read_text() == "one\ntwo\n"
    assert {path.name for path in tmp_path.iterdir()} <= {"__pycache__", "golden", "test_it.py"}
    assert out.count("E       nightproof.errors.MisuseError: golden(") == 2
    (tmp_path / "golden" / "report.txt").write_text("one\nthree\n")
    out = inner("-k", "steady or drifting")
    assert "2 failed" in out, out
    assert "-three" in out
    assert "+two" in out
    assert "first difference: result: another content" in out
    # Frames of the helper itself are hidden.
    assert "reproducing.py" not in out.replace("nightproof.testing.reproducing.", "")
    # What was written is said where other processes run the tests, too.
    out = inner("-p", "xdist", "-n", "1", "--update-golden", "-k", "steady")
    assert "1 passed" in out, out
    assert f"golden file written: {tmp_path / 'golden' / 'report.txt'}" in out
