"""`explain` as a command: real experiments in processes of their own."""

import json

import pytest

from nightproof.testing import ModelServer

JOBS = """
import json
import os
import urllib.request
from pathlib import Path
from typing import Literal

from nightproof import Contract, artifact, effect, job, served, step


class Work(Contract):
    task: Literal["work"] = "work"
    n: int = 1


@step
def before(n: int) -> int:
    with Path("calls.txt").open("a") as calls:
        calls.write("before\\n")
    return n


@step
def account(n: int) -> str:
    with Path("calls.txt").open("a") as calls:
        calls.write("account\\n")
    return os.environ.get("ACCOUNT", "main")


@step
def booked(name: str) -> str:
    with Path("calls.txt").open("a") as calls:
        calls.write("booked\\n")
    return f"booked on {name}"


@effect(key="told/{n}")
def tell(n: int, text: str) -> str:
    with Path("told.txt").open("a") as told:
        told.write(text + "\\n")
    return "told"


@job
async def stepped(contract: Work) -> str:
    found = await booked(await account(await before(contract.n)))
    await tell(contract.n, found)
    return found


@job
async def bodied(contract: Work) -> str:
    await before(contract.n)
    return await booked(os.environ.get("ACCOUNT", "main"))


@job
async def delivered(contract: Work) -> int:
    await artifact("report.txt", f"account {os.environ.get('ACCOUNT', 'main')}\\n")
    return await before(contract.n)


@step
def answered(n: int) -> str:
    text = Path("answer.txt").read_text()
    served(requested="flash-latest", request={"n": n}, response={"text": text})
    return text


@job
async def asking(contract: Work) -> str:
    return await answered(contract.n)


@step
def generated(name: str) -> str:
    url = f"{os.environ['MODELS']}/v1beta/models/{name}:generateContent"
    body = {"contents": [{"parts": [{"text": "Comment"}]}]}
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        found = json.load(answer)
    served.from_response(body, found, requested=name, provider="gemini")
    return found["candidates"][0]["content"]["parts"][0]["text"]


@job
async def generating(contract: Work) -> str:
    return await generated("flash-latest")


@effect(key="sent/{n}")
def sent(n: int) -> str:
    return os.environ.get("ACCOUNT", "main")


@job
async def sending(contract: Work) -> str:
    return await sent(contract.n)
"""


@pytest.fixture
def pair(np):
    """Run a job twice, as ACCOUNT a and b (or with a change between); both names."""
    (np.folder / "night.py").write_text(JOBS)
    (np.folder / "nightproof.toml").write_text('variables = ["ACCOUNT"]\n')
    np.env["PYTHONHASHSEED"] = "0"  # with random ones there are twice as many runs

    def start(job, between=lambda: None, *words, both=()):
        contract = np.contract(n=1)
        first = np("run", f"night.py:{job}", contract, "--json", *both, ACCOUNT="a").json["run"]
        between()
        words = ("--replicate", "--json", *words, *both)
        return first, np("run", f"night.py:{job}", contract, *words, ACCOUNT="b").json["run"]

    return start


def arms(document):
    """Likeness by factor."""
    return {
        one["factor"]: (one["likeA"], one["likeB"], one["other"]) for one in document["experiments"]
    }


def test_a_variable_is_proved_by_swap(np, pair):
    """Only the step in which they part runs again; nothing is sent; B has the result."""
    a, b = pair("stepped")
    assert np.told() == ["booked on a"]
    before = np.calls()
    ran = np("explain", a, b, "--json", "--runs", "3", ACCOUNT="b")
    assert ran.code == 3, ran.err
    document = ran.json
    assert document["cause"] == "context"
    assert document["verdicts"]["context"] == "proved by swap"
    assert document["verdicts"]["sampling"] == "excluded"
    found = arms(document)
    assert found["nothing"][:2] == (0, found["nothing"][1])
    assert found["variable ACCOUNT as in A"][1:] == (0, 0)
    runs = sum(map(sum, found.values()))
    assert np.calls() == [*before, *["account"] * runs]
    assert np.told() == ["booked on a"]
    assert len(np("runs", "--json").json["runs"]) == 2
    assert "context: proved by swap" in np("logs", b).out
    assert np("doctor").code == 0
    assert "explain runs 'account'" in ran.err


def test_today_need_not_be_as_b_was(np, pair):
    """What B had is put back for the floor: the variable is another one by now."""
    a, b = pair("stepped")
    found = arms(np("explain", a, b, "--json", "--runs", "3", ACCOUNT="c").json)
    assert found["nothing"][0] == found["nothing"][2] == 0


def test_the_body_is_asked_without_running_its_steps(np, pair):
    """Where the body gave a step something else, the call itself tells."""
    a, b = pair("bodied")
    before = np.calls()
    document = np("explain", a, b, "--json", "--runs", "3", ACCOUNT="b").json
    assert document["firstDivergence"]["step"] == "booked"
    assert document["cause"] == "context"
    assert arms(document)["variable ACCOUNT as in A"][1:] == (0, 0)
    assert np.calls() == before


def test_artifacts_part_in_scratch(np, pair):
    """A file is made again elsewhere; the delivered one stays what it is."""
    a, b = pair("delivered")
    files = sorted((np.folder / ".nightproof" / "artifacts").rglob("*"))
    document = np("explain", a, b, "--json", "--runs", "3", ACCOUNT="b").json
    assert document["cause"] == "context"
    assert document["verdicts"]["context"] == "proved by swap"
    assert sorted((np.folder / ".nightproof" / "artifacts").rglob("*")) == files


def test_models_are_asked_only_with_leave(np, pair):
    """Without a terminal --yes is needed; the same request and another answer is the model."""
    (np.folder / "answer.txt").write_text("one")
    a, b = pair("asking", lambda: (np.folder / "answer.txt").write_text("two"))
    refused = np("explain", a, b)
    assert refused.code == 2
    assert "flash-latest" in refused.err
    assert "--yes" in refused.err
    document = np("explain", a, b, "--yes", "--json", "--runs", "3").json
    assert document["verdicts"]["model"] in ("consistent with", "proved by swap", "not testable")
    assert document["cause"] in ("model", "context")


def test_the_version_that_answered_a_is_asked_by_its_name(np, pair):
    """Behind the alias is another version: A's own, asked for, gives A's answer."""
    before, after = (
        {"models": {"flash-latest": {"version": version}}} for version in ("flash-1", "flash-2")
    )
    with ModelServer(before) as server:
        np.env["MODELS"] = server.url
        a, b = pair("generating", lambda: server.script(after))
        document = np("explain", a, b, "--yes", "--json", "--runs", "3").json
    assert document["cause"] == "model"
    assert document["verdicts"]["model"] == "proved by swap"
    assert arms(document)["model flash-latest as flash-1 as in A"] == (3, 0, 0)


def test_isolated_runs_are_explained_in_the_same_surroundings(np, pair):
    """Nothing of today reaches the experiment but what the settings declare."""
    a, b = pair("stepped", both=("--isolate", "L1"))
    document = np("explain", a, b, "--json", "--runs", "3", ACCOUNT="c", TZ="Asia/Tokyo").json
    assert document["cause"] == "context"
    assert arms(document) == {"nothing": (0, 3, 0), "variable ACCOUNT as in A": (3, 0, 0)}
    assert np.calls() == []


def test_effects_are_never_performed(np, pair):
    """Where only performing an effect would show anything, that is said."""
    a, b = pair("sending", lambda: None, "--effects")
    ran = np("explain", a, b, "--json", "--runs", "3")
    assert ran.json["experiments"] == []
    if ran.json["drift"]:
        assert "do not perform effects" in ran.json["remarks"][0]


def test_no_drift_no_experiment(np, pair):
    """Equal runs are exit 0, and nothing runs."""
    a, _ = pair("stepped")
    before = np.calls()
    ran = np("explain", a, a, "--json")
    assert (ran.code, ran.json["experiments"], ran.json["cause"]) == (0, [], None)
    assert np.calls() == before
    assert "no drift" in np("explain", a, a).out


def test_bad_input(np, pair):
    """Too few runs of an arm, a run that is not there, a job that is gone."""
    a, b = pair("stepped")
    assert np("explain", a, b, "--runs", "2").code == 2
    assert np("explain", a, "nothing").code == 2
    (np.folder / "night.py").rename(np.folder / "gone.py")
    ran = np("explain", a, b, "--json", "--runs", "3", ACCOUNT="b")
    assert ran.code == 2
    assert "night.py" in ran.err
    assert "Traceback" not in ran.err
    told = json.dumps(np("logs", b, "--json").json)
    assert "explained" not in told
