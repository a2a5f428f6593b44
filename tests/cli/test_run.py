"""`nightproof run`: documents, exit codes, records, replicates."""

import subprocess
import sys

import pytest

from nightproof.cli import commands, quick

KEYS = ["run", "job", "status", "result", "steps", "artifacts", "divergences", "error"]


def test_json_document_has_exactly_the_promised_keys(np):
    """One document on stdout: the keys of the design, in its order."""
    ran = np("run", "jobs.py:work", np.contract(), "--json")
    assert ran.code == 0
    assert list(ran.json) == KEYS
    assert ran.json["job"] == "work"
    assert ran.json["status"] == "completed"
    assert ran.json["result"] == 5
    assert ran.json["steps"] == {"executed": 4, "replayed": 0, "failed": 0}
    (artifact,) = ran.json["artifacts"]
    assert list(artifact) == ["path", "sha256", "manifest"]
    assert ran.json["divergences"] == []
    assert ran.json["error"] is None


def test_same_contract_again_returns_the_record(np):
    """Nothing runs the second time, and the answer says so; formatting is no identity."""
    np("run", "jobs.py:work", np.contract())
    again = np("run", "jobs.py:work", np.contract(n=3) + "  ")
    assert again.code == 0
    assert "completed before" in again.out
    assert np.calls() == ["0", "1", "2"]
    assert np.told() == ["3 5"]


def test_changed_code_is_said_with_the_command_that_runs_afresh(np):
    """The recorded result comes back all the same; --strict refuses it."""
    np("run", "jobs.py:work", np.contract())
    jobs = np.folder / "jobs.py"
    jobs.write_text(jobs.read_text().replace("return sum(squares)", "return sum(squares) + 1"))
    again = np("run", "jobs.py:work", np.contract())
    assert again.code == 0
    assert "result    5" in again.out
    assert "the code of job 'work'" in again.out
    assert "nightproof run jobs.py:work" in again.out
    assert "--replicate" in again.out
    strict = np("run", "jobs.py:work", np.contract(), "--strict")
    assert strict.code == 2
    assert "has changed" in strict.err


def test_replicate_runs_afresh_and_performs_no_effects(np):
    """A replicate has its own name, and compares what it would have sent."""
    np("run", "jobs.py:work", np.contract())
    ran = np("run", "jobs.py:work", np.contract(), "--replicate", "--json")
    assert ran.json["run"].endswith(".1")
    assert np.calls() == ["0", "1", "2"] * 2
    assert np.told() == ["3 5"]


def test_failed_step_is_exit_1_with_its_history(np):
    """The error names step, type and attempts; the place in the user's file is there."""
    np.touch("boom")
    contract = np.contract(boom="boom")
    ran = np("run", "jobs.py:work", contract, "--json")
    assert ran.code == 1
    error = ran.json["error"]
    assert ran.json["status"] == "failed"
    assert {"type", "message", "hint", "step", "attempts"} <= set(error)
    assert error["type"] == "StepFailed"
    assert error["step"] == "item"
    assert "RuntimeError: item 1 is broken" in error["message"]
    assert "jobs.py:" in error["message"]
    assert [attempt["type"] for attempt in error["attempts"]] == ["RuntimeError"]


def test_resume_of_a_failed_run_repeats_only_what_failed(np):
    """Items that were done stay done, and the target is found in the journal."""
    np.touch("boom")
    assert np("run", "jobs.py:work", np.contract(boom="boom")).code == 1
    (np.folder / "boom").unlink()
    ran = np("resume", "--json")
    assert ran.code == 0
    assert ran.json["result"] == 5
    assert np.calls() == ["0", "1", "1", "2"]


def test_what_the_job_prints_does_not_spoil_the_document(np):
    """With --json stdout holds the document alone; prints go to stderr."""
    ran = np("run", "jobs.py:talking", np.contract(), "--json")
    assert ran.json["result"] == 1
    assert "the job prints" in ran.err
    assert "a step prints" in ran.err


def test_large_result_comes_back_whole(np):
    """A result that lies in a blob is in the document, the first time and from the record."""
    (np.folder / "large.py").write_text(LARGE)
    for _ in range(2):
        ran = np("run", "large.py", np.contract(), "--json")
        assert ran.json["result"] == "é" * 100_000


LARGE = """
from jobs import Work
from nightproof import job

@job
async def large(contract: Work) -> str:
    return "é" * 100_000
"""


@pytest.mark.parametrize("way", ["file", "stdin", "inline"])
def test_contract_comes_from_a_file_stdin_or_the_line(np, way):
    """The three ways give the same run."""
    text = np.contract()
    (np.folder / "c.json").write_text(text)
    given = {"file": "c.json", "stdin": "-", "inline": text}[way]
    ran = np("run", "jobs.py:work", given, "--json", given=text)
    assert ran.json["result"] == 5
    assert ran.json["run"] == np("run", "jobs.py:work", np.contract(), "--json").json["run"]


def test_store_counts_before_and_after_the_command(np):
    """--store is taken in both places."""
    np("run", "jobs.py:work", np.contract(), "--store", "sqlite:///a.db")
    assert np("--store", "sqlite:///a.db", "runs", "--json").json["runs"]
    assert np("runs", "--json", "--store=sqlite:///a.db").json["runs"]
    assert np("runs", "--json").json == {"runs": [], "next": None}
    np("--store", "sqlite:///b.db", "run", "jobs.py:work", np.contract())
    assert (np.folder / "b.db").exists()


def test_concurrency_comes_from_outside(np):
    """--concurrency is checked and reaches the map."""
    ran = np("run", "jobs.py:work", np.contract(), "--concurrency", "item=3")
    assert ran.code == 0
    bad = np("run", "jobs.py:work", np.contract(), "--concurrency", "item=many")
    assert bad.code == 2
    assert "STEP=N" in bad.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--engine", "dbos"], "temporal"),
        (["--effects"], "--replicate"),
        (["--no-such-option"], "No such option"),
    ],
)
def test_options_that_cannot_be_are_exit_2(np, options, says):
    """One message, nothing started."""
    ran = np("run", "jobs.py:work", np.contract(), *options)
    assert ran.code == 2
    assert says in ran.err
    assert np.calls() == []


def test_job_may_be_left_out_where_there_is_one(np):
    """`run file.py contract` takes the only job of the file."""
    (np.folder / "one.py").write_text("from jobs import Work, work as _w\n" + ONE)
    ran = np("run", "one.py", np.contract(), "--json")
    assert ran.json["result"] == 1
    several = np("run", "jobs.py", np.contract())
    assert several.code == 2
    assert "several jobs" in several.err


ONE = """
from nightproof import job

@job
async def only(contract: Work) -> int:
    return 1
"""


def test_short_way_knows_every_option_of_run():
    """The parser that starts fast and typer's own know the same options."""
    known = {*quick.FLAGS, *quick.VALUES, *quick.REPEATED}
    assert commands.options_of("run") - {"--help", "-h"} == known


@pytest.mark.parametrize(
    "line",
    ["run a b --help", "run a", "runs", "run a b c", "--debug run", "run a b --store", "", "-h"],
)
def test_short_way_leaves_the_rest_to_typer(line):
    """What is not exactly a run is not guessed at."""
    assert quick.parse(line.split()) is None


def test_run_imports_neither_typer_nor_rich(np):
    """A night's run needs no option parser and no bars."""
    (np.folder / "look.py").write_text(
        "import sys\nfrom nightproof.cli.main import main\n"
        f"code = main(['run', 'jobs.py:work', {np.contract()!r}])\n"
        "print(code, sorted({'typer', 'rich', 'click'} & set(sys.modules)))\n"
    )
    ran = subprocess.run(
        [sys.executable, "look.py"], cwd=np.folder, env=np.env, capture_output=True, text=True
    )
    assert ran.stdout.splitlines()[-1] == "0 []", ran.stderr
