"""What people had done is on record: before the act, and with what came of it."""

import hashlib
import json

import pytest

from nightproof.config import ACTOR


def digest(value):
    """What the trail keeps of what a run was told."""
    data = json.dumps(value).encode()
    return f"  # {len(data)} bytes, sha256:{hashlib.sha256(data).hexdigest()}"


def trail(np, *words):
    """The acts, the oldest first, without what differs from machine to machine."""
    acts = np("audit", *words, "--json").json["acts"]
    assert all("@" in one["who"] and one["at"] for one in acts)
    return [
        (one["act"], one["run"], one["state"], one["outcome"], one["command"])
        for one in reversed(acts)
    ]


def test_signal_resume_and_cancel_are_on_record(np):
    """With the command that does the same again; nothing for what was refused before it began."""
    assert np("run", "jobs.py:waiting", np.contract(), NIGHTPROOF_PARK_AFTER="0.01").code == 75
    [run] = [one["run"] for one in np("runs", "--json").json["runs"]]
    assert np("signal", run[:10], "go", '"you"').code == 0
    assert np("resume", run).code == 0
    assert np("cancel", run).code == 2
    assert trail(np) == [
        ("signal", run, "done", "'go' sent", f"nightproof signal {run} go -{digest('you')}"),
        ("resume", run, "done", "completed", f"nightproof resume {run}"),
    ]
    other = np("run", "jobs.py:waiting", np.contract(n=4), NIGHTPROOF_PARK_AFTER="0.01")
    assert other.code == 75
    parked = np("runs", "--status", "parked", "--json").json["runs"][0]["run"]
    np("cancel", parked)
    assert trail(np, parked) == [
        ("cancel", parked, "done", "cancelled", f"nightproof cancel {parked}")
    ]
    assert [line.split()[3] for line in np("audit").out.splitlines()[1:]] == [
        "cancel", "resume", "signal",
    ]  # fmt: skip


def test_a_decision_is_on_record_once(np):
    """Also the resume that parks again; what the dashboard has written is not written twice."""
    np("run", "jobs.py:doubt", np.contract())
    [run] = [one["run"] for one in np("runs", "--json").json["runs"]]
    np("resolve", run, "doubtful", "--retry", **{ACTOR: "the dashboard"})
    assert trail(np) == []
    assert np("resume", run).code == 75
    np("resolve", run, "doubtful", '"sent"', "--happened")
    acts = trail(np)
    assert [one[:3] for one in acts] == [("resume", run, "done"), ("resolve", run, "done")]
    assert acts[0][3] == "parked"
    assert acts[1][4] == f"nightproof resolve --happened {run} doubt/3 -{digest('sent')}"


def test_a_failed_resume_says_why(np):
    """The exit code and the message are the outcome."""
    np("run", "jobs.py:waiting", np.contract(), NIGHTPROOF_PARK_AFTER="0.01")
    [run] = [one["run"] for one in np("runs", "--json").json["runs"]]
    (np.folder / "jobs.py").rename(np.folder / "other.py")
    assert np("resume", run).code == 2
    [act] = np("audit", "--json").json["acts"]
    assert (act["state"], act["code"]) == ("failed", 2)
    assert "not there any more" in act["outcome"]


def test_pages_of_the_trail(np):
    """`next` leads to what was before; an empty trail says so."""
    np("run", "jobs.py:waiting", np.contract(), NIGHTPROOF_PARK_AFTER="0.01")
    assert "nobody" in np("audit").err
    [run] = [one["run"] for one in np("runs", "--json").json["runs"]]
    for n in range(3):
        np("signal", run, f"s{n}")
    first = np("audit", "-n", "2", "--json").json
    assert [one["outcome"] for one in first["acts"]] == ["'s2' sent", "'s1' sent"]
    rest = np("audit", "--before", str(first["next"]), "--json").json
    assert ([one["outcome"] for one in rest["acts"]], rest["next"]) == (["'s0' sent"], None)


def test_the_trail_is_salvaged(np):
    """With the rest of a damaged journal."""
    np("run", "jobs.py:waiting", np.contract(), NIGHTPROOF_PARK_AFTER="0.01")
    [run] = [one["run"] for one in np("runs", "--json").json["runs"]]
    np("signal", run, "go")
    np("doctor", "--salvage", "new.db")
    new = ["--store", "sqlite:///new.db", "--json"]
    assert np("audit", *new).json == np("audit", "--json").json


def test_what_a_run_is_told_comes_through_stdin(np):
    """``-`` for a payload and for a result: everybody can read a command's arguments."""
    np("run", "jobs.py:waiting", np.contract(), NIGHTPROOF_PARK_AFTER="0.01")
    [run] = [one["run"] for one in np("runs", "--json").json["runs"]]
    for given, said in (("{", "is not JSON"), ("", "is not JSON"), ("[" * 99999, "too deeply")):
        wrong = np("signal", run, "go", "-", given=given, NIGHTPROOF_DEBUG="")
        assert (wrong.code, said in wrong.err) == (2, True)
    assert np("signal", run, "go", "-", given='"you"\n', NIGHTPROOF_DEBUG="").code == 0
    assert np("resume", run).code == 0
    assert np("show", run, "--json").json["result"] == "heard you"
    np("run", "jobs.py:doubt", np.contract())
    held = np.name()
    ended = np("resolve", held, "doubtful", "--happened", "-", given='"sent"', NIGHTPROOF_DEBUG="")
    assert ended.code == 0
    assert np("resume", held).code == 0
    assert np("show", held, "--json").json["result"] == "sent"
    assert (
        trail(np, held)[0][4] == f"nightproof resolve --happened {held} doubt/3 -{digest('sent')}"
    )


TELLING = """
import os
import subprocess
import sys
from typing import Literal
from nightproof import Contract, job, step

class Work(Contract):
    task: Literal["work"] = "work"
    other: str
    store: str

@step
def tell(other: str, store: str) -> int:
    words = [sys.executable, "-m", "nightproof", "signal", other, "go", "--store", store]
    return subprocess.run(words, check=False).returncode

@job
async def telling(contract: Work) -> int:
    return await tell(contract.other, contract.store)
"""


@pytest.mark.parametrize("level", ["L0", "L1"])
def test_what_a_job_has_done_is_on_record(np, level):
    """Also where a dashboard has written down that the job be begun; that is not written twice."""
    np("run", "jobs.py:waiting", np.contract(), NIGHTPROOF_PARK_AFTER="0.01")
    waits = np.name()
    (np.folder / "telling.py").write_text(TELLING)
    store = f"sqlite:///{np.folder}/.nightproof/journal.db"
    contract = json.dumps({"contractVersion": "1", "task": "work", "other": waits, "store": store})
    by = {ACTOR: "dashboard"}
    killed = np("run", "telling.py", contract, "--isolate", level, **by,
                NIGHTPROOF_FAIL_AT="tell:before")  # fmt: skip
    assert killed.code < 0, killed.err
    run = np.name()
    assert np("resume", run, **by).code == 0
    assert [(one[0], one[1]) for one in trail(np)] == [("signal", waits)]


def test_the_trail_is_kept_unless_somebody_says_until_when(np):
    """`gc` takes acts away only where it is told to, and says how many."""
    np("run", "jobs.py:waiting", np.contract(), NIGHTPROOF_PARK_AFTER="0.01")
    run = np.name()
    np("signal", run, "go")
    np("cancel", run)
    np("gc", "--older-than", "0s", "--keep", "0")
    assert [one[0] for one in trail(np)] == ["signal", "cancel"]
    assert np("gc", "--audit-older-than", "400d", "--json").json["acts"] == 0
    would = np("gc", "--audit-older-than", "0s", "--dry-run")
    assert "2 acts of the audit trail would go" in would.out
    assert len(trail(np)) == 2
    assert "2 acts of the audit trail removed" in np("gc", "--audit-older-than", "0s").out
    assert trail(np) == []
    assert np("gc", "--audit-older-than", "soon").code == 2
