"""Forks are processes like any other, as far as the tests that use them can tell."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import forked

JOB = """
import os, sys, time
from pathlib import Path
from typing import Literal
from nightproof import Contract, job, step

class Work(Contract):
    task: Literal["work"] = "work"
    hold: bool = False

@step
def look(hold: bool) -> dict[str, str]:
    Path("there").touch()
    while hold:
        time.sleep(0.01)
    told = {"folder": os.getcwd(), "given": os.environ.get("GIVEN", ""), "zone": time.tzname[0]}
    return told | {"first": sys.path[0], "words": sys.argv[1], "main": sys.modules["__main__"].__name__}

@job
async def work(contract: Work) -> dict[str, str]:
    print("on stdout and not in the document")
    return await look(contract.hold)
"""
WORDS = ("run", "jobs.py:work", "-", "--json")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """What commands are given here."""
    (tmp_path / "jobs.py").write_text(JOB)
    kept = {name: text for name, text in os.environ.items() if not name.startswith("NIGHTPROOF_")}
    return {**kept, "TZ": "Asia/Tokyo", "GIVEN": "so"}


def test_a_fork_finds_what_a_new_process_finds(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    """Folder, environment, zone, path, arguments, standard input, and where it writes."""
    found: list[Any] = []
    for anew in ("", "1"):
        monkeypatch.setenv(forked.UNFORKED, anew)
        ended = forked.run(
            [*WORDS, *["--replicate"] * bool(anew)], tmp_path, env, '{"task": "work"}'
        )
        assert (ended.returncode, "on stdout" in ended.stderr) == (0, True), ended.stderr
        found.append(json.loads(ended.stdout)["result"])
    assert found[0] == found[1]
    assert (found[0]["given"], found[0]["zone"]) == ("so", "JST")


def test_how_a_fork_ends_is_told(tmp_path: Path, env: dict[str, str]):
    """An exit code, or minus the signal; while it is there, it is there."""
    assert forked.run(("show", "nothing"), tmp_path, env).returncode == 2
    child = forked.start(WORDS, tmp_path, env, stdin=subprocess.PIPE)
    assert isinstance(child, forked.Fork)
    child.stdin.write('{"task": "work", "hold": true}')
    child.stdin.close()
    while not (tmp_path / "there").exists():
        assert child.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.01)
    assert child.pid != os.getpid()
    child.kill()
    assert child.communicate(timeout=30)[0] == ""
    assert child.returncode == -signal.SIGKILL


def test_another_interpreter_begins_anew(tmp_path: Path, env: dict[str, str]):
    """What Python reads at its beginning only is there for it."""
    child = forked.start(["--version"], tmp_path, {**env, "PYTHONWARNINGS": "ignore"})
    assert isinstance(child, subprocess.Popen)
    assert child.communicate()[0].strip()


def test_a_seed_of_hashes_is_heeded(tmp_path: Path, env: dict[str, str]):
    """Forks with one seed hash alike, with another one otherwise."""
    program = tmp_path / "hashes.py"
    program.write_text("import os; print(hash('nightproof'), os.environ['PYTHONHASHSEED'])")
    told = []
    for seed in ("3", "3", "4"):
        child = forked.start([], tmp_path, {**env, "PYTHONHASHSEED": seed}, program=program)
        assert isinstance(child, forked.Fork)
        told.append(child.communicate(timeout=30)[0].split())
    assert [seed for _, seed in told] == ["3", "3", "4"]
    assert (told[0] == told[1], told[0] == told[2]) == (True, False)


def test_a_program_is_run_as_by_the_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its name, its folder on the path, its arguments and exit code; with what was loaded for it."""
    (tmp_path / "beside.py").write_text("said = 'beside'")
    file = tmp_path / "program.py"
    file.write_text(
        "import sys\nfrom pathlib import Path\nimport beside\n"
        "print(__name__, Path(__file__).name, beside.said, sys.argv[1:], 'colorsys' in sys.modules)\n"
        "sys.exit(7)\n"
    )
    found = []
    for anew in ("", "1"):
        monkeypatch.setenv(forked.UNFORKED, anew)
        child = forked.start(
            ["a", "b"], tmp_path.parent, os.environ, program=file, loaded=("colorsys",)
        )
        out, err = child.communicate(timeout=60)
        assert (child.returncode, err) == (7, "")
        found.append(out)
    assert found[0] == "__main__ program.py beside ['a', 'b'] True\n"
    assert found[1] == "__main__ program.py beside ['a', 'b'] False\n"
