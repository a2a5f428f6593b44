"""`import nightproof` stays cheap: start-up time is somebody's night."""

import json
import subprocess
import sys

import pytest

HEAVY = [
    "http.client",
    "numpy",
    "obstore",
    "psycopg",
    "pydantic_ai",
    "rich",
    "starlette",
    "temporalio",
    "typer",
    "zstandard",
]


def loaded_by(statement: str) -> set[str]:
    """The modules in memory after `statement` in a fresh interpreter."""
    code = f"import sys, json\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize("statement", ["import nightproof", "from nightproof import *"])
def test_import_loads_no_heavy_package(statement: str):
    """Neither the import nor the use of every public name loads a heavy package."""
    loaded = loaded_by(statement)
    assert "nightproof" in loaded
    assert sorted(loaded.intersection(HEAVY)) == []


def test_heavy_packages_would_be_seen():
    """The check sees a heavy package when it is loaded."""
    assert "http.client" in loaded_by("import http.client")
