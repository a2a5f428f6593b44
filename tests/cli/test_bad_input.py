"""Bad input: one clear message, exit 2 (or 1 for what user code does), no traceback."""

import hashlib
import json

import pytest

DAY = {"start": "2026-10-19T00:00:00+02:00", "end": "2026-10-20T00:00:00+02:00"}
PIN = {"id": "gemini-3.5-flash", "pinnedVersion": "gemini-3.5-flash-002", "temperature": 0}


def full(**changes):
    """A contract of the job `full`, some of it changed; ... takes a field away."""
    document = {
        "contractVersion": "1",
        "task": "full",
        "window": DAY,
        "data": {"uri": "file:data.csv", "sha256": hashlib.sha256(b"1,2\n").hexdigest()},
        "model": PIN,
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        at = document
        for part in parents:
            at[part] = dict(at[part])
            at = at[part]
        if value is ...:
            del at[last]
        else:
            at[last] = value
    return json.dumps(document)


TABLE = {
    "unknown field": (full(colour="red"), "colour"),
    "naive time": (full(window__start="2026-10-19T00:00:00"), "window.start"),
    "last week": (full(window="last week"), "last week"),
    "missing hash": (full(data__sha256=...), "data.sha256"),
    "alias as a pin": (full(model__pinnedVersion="gemini-flash-latest"), "model"),
    "wrong hash": (full(data__sha256="0" * 64), "sha256"),
    "no such dataset": (full(data__uri="file:other.csv"), "other.csv"),
    "not JSON": ("{'task': 'full'}", "not JSON"),
    "a list": ("[]", "there is no contract"),
    "no such file": ("nowhere.json", "nowhere.json"),
    "another job's": ('{"task": "work"}', "task"),
}


@pytest.mark.parametrize("case", TABLE)
def test_bad_contract(np, case):
    """Exit 2, the field in the message, nothing on stdout, no traceback."""
    contract, says = TABLE[case]
    (np.folder / "data.csv").write_text("1,2\n")
    ran = np("run", "jobs.py:full", contract)
    assert ran.code == 2, ran
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_the_table_starts_from_a_good_contract(np):
    """Unchanged, the contract runs: each case is wrong in one thing only."""
    (np.folder / "data.csv").write_text("1,2\n")
    assert np("run", "jobs.py:full", full(), "--json").json["result"] == 4


def test_bad_input_as_json(np):
    """--json gives its one document for bad input too."""
    ran = np("run", "jobs.py:work", "{}nonsense", "--json")
    assert ran.code == 2
    assert ran.json["status"] == "failed"
    assert ran.json["run"] is None
    assert ran.json["error"]["type"] == "ContractError"
    assert ran.json["error"]["message"]


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ("wrong", "the result of job 'wrong'"),
        ("lying", "the result of step 'lies'"),
        ("broken", "ZeroDivisionError"),
    ],
)
def test_user_code_that_breaks_is_exit_1(np, job, says):
    """A result that does not match its annotation, or an exception: one message."""
    ran = np("run", f"jobs.py:{job}", np.contract())
    assert ran.code == 1
    assert says in ran.out
    assert "Traceback" not in ran.out + ran.err


def test_debug_shows_the_traceback(np):
    """With --debug or NIGHTPROOF_DEBUG the traceback is there, with the same exit code."""
    ran = np("run", "jobs.py:broken", np.contract(), "--debug")
    assert ran.code == 1
    assert "Traceback" in ran.err
    ran = np("run", "missing.py:job", np.contract(), NIGHTPROOF_DEBUG="1")
    assert ran.code == 2
    assert "Traceback" in ran.err


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("nowhere.py:job", "there is no file nowhere.py"),
        ("jobs.py:missing", "there is no 'missing'"),
        ("jobs.py:worc", "Did you mean work?"),
        ("jobs.py:plain", "not a job"),
        ("no_such_module:job", "there is no module 'no_such_module'"),
        ("bad.py:job", "bad.py:3: ValueError: on purpose"),
        ("syntax.py:job", "syntax.py:1: SyntaxError"),
        ("needs.py:job", "No module named 'no_such_package'"),
        ("leaves.py:job", "SystemExit: 3"),
        (":", "is not a target"),
    ],
)
def test_bad_target(np, target, says):
    """Exit 2 with the line of the user's file."""
    (np.folder / "bad.py").write_text(
        "def f():\n    raise_ = 1\n    raise ValueError('on purpose')\nf()\n"
    )
    (np.folder / "syntax.py").write_text("def (:\n")
    (np.folder / "needs.py").write_text("import no_such_package\n")
    (np.folder / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    ran = np("run", target, np.contract())
    assert ran.code == 2
    assert says in ran.err
    assert "Traceback" not in ran.err


def test_bad_settings(np):
    """A setting that does not exist, or a store that is no URL: exit 2 with its name."""
    (np.folder / "nightproof.toml").write_text("colour = 1\n")
    ran = np("run", "jobs.py:work", np.contract())
    assert ran.code == 2
    assert "colour" in ran.err
    (np.folder / "nightproof.toml").unlink()
    ran = np("run", "jobs.py:work", np.contract(), "--store", "mysql://x")
    assert ran.code == 2
    assert "mysql" in ran.err


def test_reading_what_is_not_there(np):
    """Reading creates nothing, and says where it looked."""
    ran = np("show", "nothing")
    assert ran.code == 2
    assert "there is no journal" in ran.err
    assert not (np.folder / ".nightproof").exists()
    np("run", "jobs.py:work", np.contract())
    ran = np("show", "nothing")
    assert ran.code == 2
    assert "there is no run 'nothing'" in ran.err


@pytest.mark.parametrize(
    ("outside", "said"),
    [("nowhere.py:world", "there is no file"), ("jobs.py:nothing", "has no function 'nothing'")],
)
def test_a_drill_in_a_world_that_is_not_there(np, outside, said):
    """Exit 2 before anything is killed."""
    ran = np("drill", "jobs.py:work", np.contract(), "--outside", outside)
    assert (ran.code, said in ran.err) == (2, True), ran.err
