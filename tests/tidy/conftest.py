"""What the project-rule tests share: the tree, its sources and its tracked files."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the working tree."""
    return ROOT


@pytest.fixture(scope="session")
def sources() -> dict[str, ast.Module]:
    """Every module of the package, by its path below src/nightproof."""
    base = ROOT / "src" / "nightproof"
    found = {
        path.relative_to(base).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted(base.rglob("*.py"))
    }
    assert "model/clock.py" in found
    return found


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Every file git knows here (not the ignored ones, but those not yet added too)."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = listed.stdout.decode().split("\0")
    files = [ROOT / name for name in names if name and (ROOT / name).is_file()]
    assert ROOT / "Makefile" in files
    return files
