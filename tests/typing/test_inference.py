"""mypy and pyright agree on what users see."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).with_name("inference.py")
ROOT = FILE.parents[2]


def expected(checker: str) -> set[int]:
    """The lines that have to be errors."""
    lines = FILE.read_text("utf-8").splitlines()
    marks = ("# E:", f"# E: {checker}")
    return {number for number, line in enumerate(lines, 1) if line.endswith(marks)}


def mypy() -> dict[int, str]:
    """The errors of ``mypy --strict``, by line."""
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(FILE)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    found = {}
    for line in ran.stdout.splitlines():
        match = re.match(r"(.+?):(\d+): error: (.*)", line)
        if match and Path(match[1]).name == FILE.name:
            found.setdefault(int(match[2]), match[3])
        elif match:
            pytest.fail(line)
    return found


def pyright() -> dict[int, str]:
    """The errors of the pyright engine, by line."""
    program = shutil.which("basedpyright", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("basedpyright is not installed")
    ran = subprocess.run(
        [program, "--outputjson", "--level", "error", str(FILE)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    return {
        each["range"]["start"]["line"] + 1: each["message"]
        for each in json.loads(ran.stdout)["generalDiagnostics"]
        if each["severity"] == "error" and each.get("rule") != "reportReturnType"
    }


@pytest.mark.parametrize("checker", [mypy, pyright], ids=["mypy", "pyright"])
def test_types_are_inferred_and_wrong_calls_refused(checker):
    """Exactly the marked lines are errors."""
    found = checker()
    wanted = expected(checker.__name__)
    missed = wanted - found.keys()
    surprising = {line: text for line, text in found.items() if line not in wanted}
    assert (missed, surprising) == (set(), {})
