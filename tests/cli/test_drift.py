"""`diff`, `reproduce` and `budget` as commands."""

import hashlib
import json
import signal

import pytest

DRIFTING = '''
import os
from pathlib import Path
from typing import Any, Literal

from nightproof import Contract, effect, job, step, wait_for


class Work(Contract):
    task: Literal["work"] = "work"
    data: str = ""
    sampled: bool = False
    wait: bool = False


def day(value: Any) -> Any:
    """Only the amount counts."""
    return value["amount"] if isinstance(value, dict) else value


@step
def fetch(data: str, sampled: bool) -> dict[str, Any]:
    amount = os.urandom(8).hex() if sampled else Path(data).read_text()
    return {"amount": amount, "request": os.urandom(8).hex()}


@effect(key="drifting/{data}")
def tell(data: str, amount: str) -> None:
    with Path("told.txt").open("a") as told:
        told.write(amount)


@job(normalise=[day])
async def drifting(contract: Work) -> str:
    found = await fetch(contract.data, contract.sampled)
    await tell(contract.data, found["amount"])
    if contract.wait:
        await wait_for("never", str)
    return found["amount"]
'''


@pytest.fixture
def drifting(np):
    """Run the job `drifting`; the run's name."""
    (np.folder / "drifting.py").write_text(DRIFTING)
    (np.folder / "data").write_text("7")

    def start(*options, **fields):
        contract = json.dumps({"contractVersion": "1", "task": "work", "data": "data", **fields})
        ran = np("run", "drifting.py:drifting", contract, "--json", *options)
        return ran.json["run"]

    return start


def test_reproduce_agrees_after_normalising(np, drifting):
    """Raw and normalised agreement side by side, no effect, the bound and what is missing."""
    run = drifting()
    ran = np("reproduce", run, "--times", "2", "--json")
    assert ran.code == 0, ran.err
    document = ran.json
    assert document["run"] == run
    assert document["normalisers"] == ["function day"]
    assert [one["run"] for one in document["replicates"]] == [f"{run}.1", f"{run}.2"]
    assert {one["equal"] for one in document["replicates"]} == {True}
    assert {one["equalRaw"] for one in document["replicates"]} == {False}
    raw, real = document["agreement"]["raw"], document["agreement"]["normalised"]
    assert (raw["equal"], raw["of"], real["equal"], real["of"]) == (0, 2, 2, 2)
    assert real["upperBound"] == pytest.approx(0.7764, abs=1e-4)
    assert real["needed"] == 297
    assert np.told() == ["7"]
    shown = np("diff", run, f"{run}.1")
    assert shown.code == 0
    assert "no drift" in shown.out
    assert "/request" in shown.out


def test_drift_is_exit_3(np, drifting):
    """reproduce, diff and budget say so alike."""
    run = drifting(sampled=True)
    ran = np("reproduce", run, "--times", "1")
    assert ran.code == 3
    assert "differs first in fetch" in ran.out
    shown = np("diff", run, f"{run}.1", "--json")
    assert shown.code == 3
    document = shown.json
    assert list(document) == [
        "a", "b", "drift", "verdicts", "cause", "evidence", "firstDivergence", "reasons",
        "results", "normalisers", "otherCode",
    ]  # fmt: skip
    assert list(document["verdicts"]) == [
        "input", "code", "environment", "context", "model", "sampling",
    ]  # fmt: skip
    assert document["firstDivergence"]["step"] == "fetch"
    assert set(document["firstDivergence"]["a"]) == {"raw", "normalised"}
    assert "/amount" in np("diff", run, f"{run}.1").out
    assert np("budget", "drifting").code == 3


def test_budget_says_what_it_covers(np, drifting):
    """All contracts, or the latest one."""
    drifting()
    drifting("--replicate")
    drifting(sampled=True)
    everything = np("budget", "drifting", "--json")
    assert everything.code == 0
    assert everything.json["scope"] == "all contracts"
    assert everything.json["agreement"]["normalised"]["of"] == 1
    latest = np("budget", "drifting", "--latest", "--json").json
    assert latest["scope"] == "latest contract"
    assert latest["agreement"]["normalised"] == {
        "equal": 0, "of": 0, "upperBound": 1.0, "needed": 299, "confidence": 0.95, "target": 0.01,
    }  # fmt: skip
    assert "1 of 1" in np("budget", "drifting").out


def test_reproducing_with_edited_code_says_so(np, drifting):
    """What differs may come from the edit; diff names the step, the budget leaves it out."""
    run = drifting()
    path = np.folder / "drifting.py"
    path.write_text(path.read_text().replace("read_text()", "read_text() + '0'"))
    ran = np("reproduce", run, "--times", "1")
    assert ran.code == 3
    assert "the code has changed" in ran.out
    document = np("diff", run, f"{run}.1", "--json").json
    assert document["cause"] == "code"
    assert document["evidence"][0]["item"] == "step 'fetch'"
    left = np("budget", "drifting", "--json")
    assert left.code == 0
    assert [one["run"] for one in left.json["leftOut"]] == [f"{run}.1"]


def test_another_contract_is_named(np, drifting):
    """The field of the contract is the evidence."""
    (np.folder / "other").write_text("8")
    a, b = drifting(), drifting(data="other")
    document = np("diff", a, b, "--json").json
    assert document["cause"] == "input"
    assert {"cause": "input", "item": "/data", "a": '"data"', "b": '"other"'} in document[
        "evidence"
    ]


def test_bad_input_is_one_message(np, drifting):
    """Unknown runs, runs of two jobs, unfinished ones, and jobs that are gone: exit 2."""
    run = drifting()
    other = np("run", "jobs.py:work", np.contract(), "--json").json["run"]
    parked = drifting(wait=True)
    for arguments, message in [
        (("diff", run, "nothing"), "there is no run 'nothing'"),
        (("diff", run, other), "is a run of job 'drifting'"),
        (("diff", run, parked), "is parked"),
        (("reproduce", parked), "is parked"),
        (("budget", "nothing"), "no run of a job 'nothing'"),
    ]:
        ran = np(*arguments)
        assert ran.code == 2, arguments
        assert message in ran.err
        assert ran.out == ""
    before = len(np("runs", "--json").json["runs"])
    (np.folder / "drifting.py").unlink()
    gone = np("diff", run, run)
    assert gone.code == 2
    assert "cannot be loaded" in gone.err
    assert np("reproduce", other, "--times", "1").code == 0
    (np.folder / "jobs.py").unlink()
    gone = np("reproduce", other, "--times", "1")
    assert gone.code == 2
    assert "no replicate of" in gone.err
    assert len(np("runs", "--json").json["runs"]) == before + 1


def test_replicates_that_do_not_end_are_not_counted(np, drifting):
    """A replicate that waits is named, and the exit code is 75."""
    run = drifting(wait=True)
    np("signal", run, "never", '"x"')
    assert np("resume", run).code == 0
    ran = np("reproduce", run, "--times", "1", "--json")
    assert ran.code == 75
    assert ran.json["unfinished"] == [f"{run}.1"]
    assert ran.json["agreement"]["raw"]["of"] == 0


def test_reproduce_goes_on_with_what_did_not_end(np, drifting):
    """A replicate that waited or was killed is finished before a new one is made."""
    run = drifting(wait=True)
    np("signal", run, "never", '"x"')
    assert np("resume", run).code == 0
    assert np("reproduce", run, "--times", "1").code == 75
    again = np("reproduce", run, "--times", "1", "--json")
    assert again.code == 75
    assert again.json["unfinished"] == [f"{run}.1"]
    np("signal", f"{run}.1", "never", '"x"')
    ended = np("reproduce", run, "--times", "2", "--json")
    assert [one["run"] for one in ended.json["replicates"]] == [f"{run}.1"]
    assert ended.json["unfinished"] == [f"{run}.2"]
    assert np.told() == ["7"]


def test_replicates_with_effects_are_left_alone(np, drifting):
    """What may act on the world is never gone on with by the way."""
    run = drifting(wait=True)
    np("signal", run, "never", '"x"')
    assert np("resume", run).code == 0
    assert drifting("--replicate", "--effects", wait=True) == f"{run}.1"
    ran = np("reproduce", run, "--times", "1", "--json")
    assert ran.json["unfinished"] == [f"{run}.2"]


def test_an_interrupted_reproduce_goes_on(np, drifting):
    """SIGTERM reaches the replicate; what was compared is told, and the next call finishes it."""
    (np.folder / "slow.py").write_text(SLOW)
    contract = json.dumps({"contractVersion": "1", "task": "slow"})
    run = np("run", "slow.py", contract, "--json").json["run"]
    (np.folder / "begun").unlink()
    slowly = {"SLOW": "1", "NIGHTPROOF_GRACE": "0.1"}
    child = np.start("reproduce", run, "--times", "3", "--json", **slowly)
    np.wait_until((np.folder / "begun").exists)
    child.send_signal(signal.SIGTERM)
    ended = np.ended(child)
    assert ended.code == 75, ended
    assert ended.json["replicates"] == []
    (np.folder / "go").touch()
    ended = np("reproduce", run, "--times", "1", "--json")
    assert ended.code == 0
    assert [one["run"] for one in ended.json["replicates"]] == [f"{run}.1"]
    assert len(np("show", f"{run}.1", "--json").json["attempts"]) == 2


SLOW = """
import asyncio
import os
from pathlib import Path
from typing import Literal

from nightproof import Contract, job, step


class Slow(Contract):
    task: Literal["slow"] = "slow"


@step
async def wait() -> int:
    Path("begun").touch()
    while os.environ.get("SLOW") and not Path("go").exists():
        await asyncio.sleep(0.01)
    return 1


@job
async def slow(contract: Slow) -> int:
    return await wait()
"""


SIZES = """
from typing import Literal

from nightproof import Contract, Dataset, job, step


class Sized(Contract):
    task: Literal["sized"] = "sized"
    data: Dataset


@step
def size(path: str) -> int:
    with open(path) as file:
        return len(file.read())


@job
async def sized(contract: Sized) -> int:
    return await size(str(contract.data.path))
"""


def test_replicates_find_datasets_beside_the_contract(np):
    """A relative dataset still lies where the contract's file was, and the journal is the same."""
    (np.folder / "sized.py").write_text(SIZES)
    folder = np.folder / "inputs"
    folder.mkdir()
    (folder / "data.csv").write_text("hello")
    data = {"uri": "file:data.csv", "sha256": hashlib.sha256(b"hello").hexdigest()}
    contract = {"contractVersion": "1", "task": "sized", "data": data}
    (folder / "contract.json").write_text(json.dumps(contract))
    run = np("run", "sized.py", "inputs/contract.json", "--json").json["run"]
    ran = np("reproduce", run, "--times", "1", "--json")
    assert ran.code == 0, ran.err
    assert [one["run"] for one in ran.json["replicates"]] == [f"{run}.1"]
    assert sorted(path.name for path in folder.iterdir()) == ["contract.json", "data.csv"]


def test_commands_are_described(np):
    """--help works for each."""
    for command in ("diff", "reproduce", "budget"):
        ran = np(command, "--help")
        assert ran.code == 0
        assert "Exit 0" in ran.out
