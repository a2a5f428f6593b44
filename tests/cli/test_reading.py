"""`runs`, `show`, `steps`, `logs`, `watch` and completion."""

import os

import pytest


@pytest.fixture
def done(np):
    """The name of a completed run of five items."""
    return np("run", "jobs.py:work", np.contract(n=5), "--json").json["run"]


def test_runs_lists_and_filters(np, done):
    """Newest first, by job and status; an unknown status is bad input."""
    np.touch("boom")
    np("run", "jobs.py:work", np.contract(boom="boom"))
    found = np("runs", "--json").json["runs"]
    assert [one["status"] for one in found] == ["failed", "completed"]
    assert found[1]["run"] == done
    assert np("runs", "--status", "failed", "--json").json["runs"] == [
        found[0] | {"took": pytest.approx(found[0]["took"])}
    ]
    assert np("runs", "--job", "other", "--json").json == {"runs": [], "next": None}
    assert np("runs", "--status", "odd").code == 2
    assert "RuntimeError" in np("runs").out


def test_runs_are_narrowed_and_paged(np, done):
    """By time, by what they contain, and page by page; a time needs an offset."""
    np("run", "jobs.py:work", np.contract(n=4))
    found = np("runs", "--json").json["runs"]
    newer = found[0]["created"]
    assert [one["run"] for one in np("runs", "--until", newer, "--json").json["runs"]] == [done]
    assert len(np("runs", "--since", newer, "--json").json["runs"]) == 1
    assert len(np("runs", "--since", newer[:10], "--own", "--json").json["runs"]) == 2
    named = np("runs", "--contains", done[-6:], "--json").json["runs"]
    assert [one["run"] for one in named] == [done]
    assert len(np("runs", "--contains", "contractVersion", "--json").json["runs"]) == 2
    first = np("runs", "--limit", "1", "--json").json
    rest = np("runs", "--limit", "1", "--before", str(first["next"]), "--json").json
    assert [rest["runs"][0]["run"], rest["next"]] == [done, None]
    assert np("runs", "--since", "2026-11-22T04:30").code == 2
    assert np("runs", "--until", "tomorrow").code == 2


def test_show_tells_all(np, done):
    """The document has every part; a unique beginning of the name is enough."""
    found = np("show", "work-", "--json").json
    assert found["run"]["run"] == done
    assert found["contract"]["n"] == 5
    assert found["result"] == 30
    assert {one["step"]: (one["done"], one["total"]) for one in found["steps"]} == {
        "item": (5, 5),
        "tell": (1, None),
    }
    assert [one["state"] for one in found["effects"]] == ["confirmed"]
    assert found["measures"] == {"squares": 5}
    assert found["artifacts"][0]["name"] == "squares.txt"
    assert found["next"] == ""
    text = np("show", done).out
    assert "item" in text
    assert "5/5" in text


def test_steps_come_in_pages(np, done):
    """Two pages have every item once, with key, inputs and output."""
    first = np("steps", done, "--step", "item", "--limit", "3", "--json").json
    assert [one["key"] for one in first["steps"]] == ["0", "1", "2"]
    rest = np("steps", done, "--step", "item", "--after", str(first["next"]), "--json").json
    assert [one["output"] for one in rest["steps"]] == ["9", "16"]
    assert rest["steps"][0]["inputs"] == [3, "", ""]
    assert rest["next"] is None


def test_failed_steps_keep_their_history(np):
    """A failure shows until it is tried again; then it is told as retried."""
    np.touch("boom")
    np("run", "jobs.py:work", np.contract(boom="boom"))
    run = np.name()
    (found,) = np("steps", run, "--failed", "--json").json["steps"]
    assert (found["state"], found["key"]) == ("failed", "1")
    assert found["error"] == "RuntimeError: item 1 is broken"
    (np.folder / "boom").unlink()
    np("resume")
    (found,) = np("steps", run, "--failed", "--json").json["steps"]
    assert found["state"] == "retried"
    assert np("show", run, "--json").json["steps"][0]["failed"] == 0


def test_logs_tell_in_order(np, done):
    """Started, map, measure, artifact, completed; --steps adds the results."""
    kinds = [line["kind"] for line in np("logs", done, "--json").json["log"]]
    assert kinds[0] == "started"
    assert kinds[-1] == "completed"
    assert {"map", "measure", "artifact", "effect"} <= set(kinds)
    with_steps = np("logs", done, "--steps", "--json").json["log"]
    assert sum(line["kind"] == "step" for line in with_steps) == 5
    short = np("logs", done, "--limit", "2", "--json").json
    assert len(short["log"]) == 2
    assert short["earlier"] == len(kinds) - 2


def test_watch_follows_to_the_end(np):
    """It prints what happens in another process, and ends with the run."""
    child = np.start("run", "jobs.py:work", np.contract(until="go"))
    np.wait_until(lambda: "2" in np.calls())
    watcher = np.start("watch", np.name(), "--interval", "0.05")
    assert "started" in watcher.stdout.readline()
    np.touch("go")
    seen = np.ended(watcher)
    assert seen.code == 0
    assert "completed" in seen.out
    assert np.ended(child).code == 0


def test_watch_ends_where_nobody_works(np):
    """A killed run ends the watch with exit 75 and the command that goes on."""
    child = np.start("run", "jobs.py:work", np.contract(until="go"))
    np.wait_until(lambda: "2" in np.calls())
    child.kill()
    np.ended(child)
    seen = np("watch", np.name())
    assert seen.code == 75
    assert "nobody works" in seen.err
    assert f"nightproof resume {np.name()}" in seen.out


def test_reading_into_a_closed_pipe_is_silent(np, done):
    """`nightproof logs RUN | head -1` ends without a complaint."""
    read, write = os.pipe()
    os.close(read)
    import subprocess
    import sys

    ran = subprocess.run(
        [sys.executable, "-m", "nightproof", "logs", done],
        cwd=np.folder,
        env=np.env,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert ran.stderr == ""


def test_completion_offers_names_of_runs(np, done):
    """The shell's completion asks the journal."""
    offered = np(
        _NIGHTPROOF_COMPLETE="complete_bash",
        COMP_WORDS="nightproof show wo",
        COMP_CWORD="2",
        _TYPER_COMPLETE_ARGS="nightproof show wo",
    )
    assert done in offered.out


@pytest.mark.parametrize("command", ["runs", "show", "steps", "logs", "doctor"])
def test_reading_writes_nothing(np, done, command):
    """A journal that may only be read can be read."""
    ran = np(command, *([] if command in {"runs", "doctor"} else [done]), "--json")
    assert ran.code == 0
    assert ran.err == ""
    assert isinstance(ran.json, dict)
