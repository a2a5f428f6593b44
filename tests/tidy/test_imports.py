"""The import contracts of pyproject.toml hold, and would notice if they did not."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = """
    agents app blobs cli config contract drift durable engines engines.attempt engines.embedded
    engines.temporal errors journal limits model observe provenance serving stores stores.objects
    stores.postgres stores.sqlite testing views web workers
""".split()

# What is planted -> (where, the contract that has to break).
DOWN = "Imports go down only"
OWNED = "A package is imported only in the room that owns it"
PLANTED = [
    ("model", "import nightproof.durable", DOWN),
    ("errors", "from nightproof.model import a", DOWN),
    ("blobs", "from nightproof.limits import a", DOWN),
    ("durable", "def f():\n    from nightproof.app import a", DOWN),
    ("journal", "if TYPE_CHECKING:\n    from nightproof.views import a", DOWN),
    ("cli", "from nightproof.testing import a", DOWN),
    ("serving", "import nightproof.agents", DOWN),
    ("newroom", "", DOWN),
    ("durable", "from nightproof import step", "The public names are for users"),
    ("model.a", "import nightproof.model.b", "No cycles inside a room"),
    ("engines.embedded", "import nightproof.engines.temporal", "Engines do not know each other"),
    ("stores.sqlite", "import nightproof.stores.postgres", "Stores do not know each other"),
    ("engines.embedded", "import nightproof.stores.sqlite", "Engines receive a Journal"),
    ("durable", "import apsw", OWNED),
    ("stores.sqlite", "import psycopg", OWNED),
    ("app", "def f():\n    import rich.console", OWNED),
    ("engines.embedded", "import temporalio.client", OWNED),
    ("provenance", "import numpy as np", OWNED),
    ("journal", "import pickle", "Values are JSON, never pickle"),
]


def write(base: Path, module: str, code: str) -> None:
    """Append `code` to a module of the stub package, made as needed."""
    target = base / "nightproof" / Path(*module.split("."))
    if target.is_dir() or module.count(".") == 0 or module in PACKAGES:
        target.mkdir(parents=True, exist_ok=True)
        target /= "__init__.py"
    else:
        target = target.with_suffix(".py")
    with target.open("a") as file:
        file.write(code + "\n")


@pytest.fixture
def stub(tmp_path: Path, root: Path) -> Path:
    """A package with every room of the house and only permitted imports."""
    shutil.copy(root / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        write(tmp_path, package, "from typing import TYPE_CHECKING\n")
    (tmp_path / "nightproof" / "__init__.py").write_text("from nightproof.durable import step\n")
    write(tmp_path, "stores.sqlite", "import apsw")
    write(tmp_path, "stores.sqlite.rows", "import apsw")
    write(tmp_path, "cli.main", "import rich, typer\nimport nightproof")
    write(tmp_path, "model.a", "")
    write(tmp_path, "model.b", "import nightproof.model.a")
    return tmp_path


def verdicts(folder: Path) -> dict[str, str]:
    """What lint-imports says of each contract: KEPT or BROKEN."""
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    found = dict(re.findall(r"^(.+?) (KEPT|BROKEN)\b", ran.stdout, flags=re.MULTILINE))
    assert found, ran.stdout + ran.stderr
    return found


def test_permitted_imports_pass(stub: Path):
    """A tree that keeps the rules breaks no contract."""
    assert set(verdicts(stub).values()) == {"KEPT"}


@pytest.mark.parametrize(("where", "code", "contract"), PLANTED)
def test_planted_violations_are_caught(stub: Path, where: str, code: str, contract: str):
    """Each kind of forbidden import breaks the contract that is meant to catch it."""
    write(stub, where, code)
    broken = [name for name, verdict in verdicts(stub).items() if verdict == "BROKEN"]
    assert any(name.startswith(contract) for name in broken), broken
