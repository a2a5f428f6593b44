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


@pytest.mark.parametrize("name", ["run", "revenue", "dev", "bench"])
def test_locks_are_complete(root: Path, name: str):
    """Whatever a list asks for is pinned, exactly, with hashes."""
    folder = root / "requirements"
    locked = pins(folder / f"{name}.txt")
    asked = {normal(NAME.match(line).group()) for line in wanted(folder / f"{name}.in")}
    assert asked - set(locked) == set()
    assert [e for e in locked.values() if "==" not in e or "--hash=sha256:" not in e] == []


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ("run", "revenue"),
        ("run", "dev"),
        ("run", "bench"),
        ("revenue", "dev"),
        ("revenue", "bench"),
    ],
)
def test_locks_agree(root: Path, inner: str, outer: str):
    """Demo, tests and benchmarks run on the same versions as the package."""
    folder = root / "requirements"
    less, more = pins(folder / f"{inner}.txt"), pins(folder / f"{outer}.txt")
    assert {package: more.get(package) for package in less} == less


def test_the_extra_of_the_pipeline_is_in_its_list(root: Path):
    """revenue.in has what a user gets with `nightproof[revenue]`."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    extra = project["project"]["optional-dependencies"]["revenue"]
    folder = root / "requirements"
    asked = wanted(folder / "revenue.in") | wanted(folder / "run.in")
    assert set(extra) - asked == set()


@pytest.mark.parametrize("extra", ["objects", "otel", "postgres", "sign", "temporal"])
def test_the_tests_have_the_extras(root: Path, extra: str):
    """dev.in has what a user gets with the extra, so that nothing is skipped for want of it."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    asked = wanted(root / "requirements" / "dev.in")
    assert set(project["project"]["optional-dependencies"][extra]) - asked == set()
