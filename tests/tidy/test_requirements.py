"""The lists of requirements agree with each other, and every pin carries hashes."""

import re
import tomllib
from pathlib import Path

import pytest

NAME = re.compile(r"[A-Za-z0-9._-]+")


def normal(name: str) -> str:
    """A package name as the locks spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(path: Path) -> set[str]:
    """The lines of a .in file that ask for a package."""
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return {line for line in lines if line and not line.startswith(("#", "-"))}


def pins(path: Path) -> dict[str, str]:
    """The pins of a lock: package -> the whole entry, hashes included."""
    text = path.read_text("utf-8").replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line.strip()]
    return {normal(NAME.match(entry).group()): entry for entry in entries}


def test_run_in_holds_the_package_s_dependencies(root: Path):
    """run.in repeats pyproject.toml's dependencies, so that the locked set is the real one."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    asked = wanted(root / "requirements" / "run.in")
    assert set(project["project"]["dependencies"]) <= asked
    assert set(project["build-system"]["requires"]) <= asked


@pytest.mark.parametrize("name", ["run", "dev", "bench"])
def test_locks_are_complete(root: Path, name: str):
    """Whatever a list asks for is pinned, exactly, with hashes."""
    folder = root / "requirements"
    locked = pins(folder / f"{name}.txt")
    asked = {normal(NAME.match(line).group()) for line in wanted(folder / f"{name}.in")}
    assert asked - set(locked) == set()
    assert [e for e in locked.values() if "==" not in e or "--hash=sha256:" not in e] == []


@pytest.mark.parametrize("name", ["dev", "bench"])
def test_locks_agree(root: Path, name: str):
    """Tests and benchmarks run on the same versions as the package."""
    folder = root / "requirements"
    run, other = pins(folder / "run.txt"), pins(folder / f"{name}.txt")
    assert {package: other.get(package) for package in run} == run
