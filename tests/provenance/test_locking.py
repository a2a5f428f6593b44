"""A lock: written by uv, refused where it was edited, built and proved to be the same."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nightproof.errors import ConfigError, NightproofError, UsageError
from nightproof.provenance.locking import uv
from nightproof.provenance.locking.building import build, proved, write
from nightproof.provenance.locking.lockfile import Lock, lock_of, read_lock
from nightproof.provenance.locking.wanted import origins, wanted
from nightproof.provenance.snapshot.installed import Distribution
from nightproof.provenance.snapshot.interpreter import interpreter
from nightproof.provenance.snapshot.packages import packages

try:
    UV = uv.command()
except ConfigError:
    UV = []
needs_uv = pytest.mark.skipif(not UV, reason="uv is not installed")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """uv finds the wheels of the test, and nothing else."""
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))


def installed(wheel: Path, site: Path) -> dict[str, str]:
    """Unpack a wheel; the strict items of an environment that has it."""
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)], check=True)
    return {**interpreter(), **packages([str(site)]).items}


@pytest.fixture
def locked(offline: None, wheel: Callable[..., Path], tmp_path: Path) -> tuple[Path, Lock]:
    """A lock of moon-phase 1.0."""
    strict = installed(wheel(), tmp_path / "site")
    lock = lock_of(strict, ["moon-phase"], ["own"])
    write(tmp_path / "pylock.toml", ["moon-phase==1.0"], lock)
    return tmp_path / "pylock.toml", lock


@needs_uv
def test_what_is_restored_is_what_was_locked(locked: tuple[Path, Lock], tmp_path: Path) -> None:
    """The lock reads back as it was written, and its environment has no difference."""
    path, lock = locked
    assert read_lock(path) == lock
    build(path, lock, tmp_path / "built")
    assert proved(lock, tmp_path / "built/bin/python") == []
    code = "import moon_phase; print(moon_phase.PHASE)"
    asked = [str(tmp_path / "built/bin/python"), "-I", "-c", code]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "1\n"


@needs_uv
def test_what_is_not_the_same_is_named(locked: tuple[Path, Lock], tmp_path: Path) -> None:
    """Another wheel of the version, an edited file, a package too many, another build."""
    path, lock = locked
    build(path, lock, tmp_path / "built")
    python = tmp_path / "built/bin/python"
    (site,) = (tmp_path / "built/lib").glob("python*/site-packages")
    file = site / "moon_phase/__init__.py"
    file.unlink()  # uv links it to its cache
    file.write_text("PHASE = 2\n")
    (site / "extra-3.0.dist-info").mkdir()
    other = {"moon-phase": "1.0 sha256:00"}
    found = proved(
        lock._replace(packages=other, python={**lock.python, "build": "another"}), python
    )
    assert [one.item for one in found] == [
        "edited/moon-phase/moon_phase/__init__.py",
        "package/extra",
        "package/moon-phase",
        "python/build",
    ]


@needs_uv
def test_another_wheel_under_the_locked_name_is_refused(
    locked: tuple[Path, Lock], wheel: Callable[..., Path], tmp_path: Path
) -> None:
    """uv compares the hash; nothing of the environment is left."""
    path, lock = locked
    wheel(body="PHASE = 2\n")
    with pytest.raises(NightproofError, match="could not install") as raised:
        build(path, lock, tmp_path / "built")
    assert "sh mismatch" in raised.value.hint
    assert not (tmp_path / "built").exists()


@needs_uv
def test_a_package_that_nobody_has_is_named(offline: None, tmp_path: Path) -> None:
    """What uv says is passed on, and no file is written."""
    lock = Lock({"version": sys.version.partition(" ")[0]}, {"nowhere": "1.0 sha256:00"}, [])
    with pytest.raises(NightproofError, match="could not lock 1 packages") as raised:
        write(tmp_path / "pylock.toml", ["nowhere==1.0"], lock)
    assert "nowhere" in raised.value.hint
    assert not (tmp_path / "pylock.toml").exists()


@needs_uv
def test_no_network_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that cannot be reached is not a package that is missing."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://someone:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    lock = Lock({"version": sys.version.partition(" ")[0]}, {"nowhere": "1.0 sha256:00"}, [])
    with pytest.raises(NightproofError) as raised:
        write(tmp_path / "pylock.toml", ["nowhere==1.0"], lock)
    assert raised.value.hint.startswith("A package index cannot be reached")
    assert "secret" not in raised.value.hint


def lock_text(**changed: Any) -> str:
    """A lock without uv's hashes."""
    lock = Lock({"version": "3.11.1"}, {"moon": "1.0 sha256:00"}, [])
    have = {"version": "1", "digest": f'"{lock.digest}"', "moon": '"1.0 sha256:00"', **changed}
    return (
        f'lock-version = "1.0"\n[[packages]]\nname = "moon"\nversion = "{have.get("v", "1.0")}"\n'
        f"[tool.nightproof]\nversion = {have['version']}\ndigest = {have['digest']}\n"
        f'left-out = []\n[tool.nightproof.python]\nversion = "3.11.1"\n'
        f"[tool.nightproof.packages]\nmoon = {have['moon']}\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lock_text()[:150], "is not TOML|lacks what"),
        ("", r"no \[tool.nightproof\]"),
        (lock_text(version=2), "version 2, this reads 1"),
        (lock_text(digest='"sha256:11"'), "was edited"),
        (lock_text(moon='"1.0 sha256:11"'), "was edited"),
        (lock_text(v="1.1"), "was edited"),
        (lock_text() + 'sun = "1 sha256:22"\n', "was edited"),
        (lock_text(moon="7"), "lacks what a lock"),
    ],
)
def test_a_bad_lock_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """Cut off, foreign, of another version, or edited: one message each."""
    path = tmp_path / "pylock.toml"
    path.write_text(lock_text())
    assert read_lock(path).packages == {"moon": "1.0 sha256:00"}
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_lock(path)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """A foreign lock, a name that is none, a folder that is in use."""
    lock = Lock({"version": "3.11.1", "implementation": "cpython"}, {}, [])
    foreign = tmp_path / "pylock.toml"
    foreign.write_text('lock-version = "1.0"\n')
    with pytest.raises(UsageError, match="did not write it"):
        write(foreign, [], lock)
    for name in ("lock.toml", "pylock.a.b.toml"):
        with pytest.raises(UsageError, match="not a name for a lock"):
            write(tmp_path / name, [], lock)
    with pytest.raises(UsageError, match="no folder"):
        write(tmp_path / "none/pylock.toml", [], lock)
    with pytest.raises(UsageError, match="there already"):
        build(foreign, lock, tmp_path)
    assert foreign.read_text() == 'lock-version = "1.0"\n'


def test_what_cannot_be_installed_again_is_left_out() -> None:
    """Editable installs, folders, what has no RECORD, what was asked for; URLs are kept."""
    strict = {
        "python/version": "3.11.1",
        "package/plain": "1.0 sha256:00",
        "package/own": "0.1 editable sha256:00",
        "package/folder": "0.1 sha256:00",
        "package/old": "0.3",
        "package/vcs": "2.0 sha256:00",
        "package/unloved": "2.0 sha256:00",
    }
    came = {"folder": "", "vcs": "git+https://git.example/vcs@abc"}
    found = wanted(strict, came, ["unloved"])
    assert found.requirements == {
        "plain": "plain==1.0",
        "vcs": "vcs @ git+https://git.example/vcs@abc",
    }
    assert set(found.left_out) == {"own", "folder", "old", "unloved"}


def test_where_a_package_came_from(tmp_path: Path) -> None:
    """What PEP 610 records of folders, repositories and archives."""
    kept = tmp_path / "x.whl"
    kept.touch()
    told = {
        "folder": {"url": "file:///x", "dir_info": {}},
        "vcs": {"url": "https://g.example/x", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
        "inside": {
            "url": "https://g.example/x", "vcs_info": {"vcs": "git", "commit_id": "abc"},
            "subdirectory": "py",
        },
        "here": {"url": kept.as_uri(), "archive_info": {}},
        "gone": {"url": "file:///nowhere/x.whl", "archive_info": {}},
    }  # fmt: skip
    distributions = []
    for name, known in told.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "direct_url.json").write_text(json.dumps(known))
        distributions.append(Distribution(name, str(tmp_path), name, 0, []))
    assert origins([*distributions, Distribution("plain", str(tmp_path), "none", 0, [])]) == {
        "folder": "",
        "vcs": "git+https://g.example/x@abc",
        "inside": "git+https://g.example/x@abc#subdirectory=py",
        "here": kept.as_uri(),
    }


def test_uv_is_told_of_pip_s_indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and variables of pip count, unless uv has settings of its own."""
    monkeypatch.setattr(uv.sys, "prefix", str(tmp_path / "none"))
    config = tmp_path / ".config/pip/pip.conf"
    config.parent.mkdir(parents=True)
    config.write_text(
        "[global]\nindex-url = https://one.example/simple\nno-index = false\n"
        "[install]\nextra_index_url =\n  https://two.example\n  https://three.example\n"
    )
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "none")}
    found = uv.indexes({**environ, "PIP_INDEX_URL": "https://four.example"})
    assert found["UV_DEFAULT_INDEX"] == "https://four.example"
    assert found["UV_INDEX"] == "https://two.example https://three.example"
    assert found["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert "UV_NO_INDEX" not in found
    assert uv.indexes({**environ, "UV_INDEX": "https://mine.example"}) == {}
    assert uv.indexes({**environ, "PIP_CONFIG_FILE": os.devnull}) == {}


def test_without_uv_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One message."""
    monkeypatch.setattr(uv.sys, "executable", "/nowhere/bin/python")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs uv"):
        uv.command()


@needs_uv
def test_the_command_locks_and_restores(
    offline: None, wheel: Callable[..., Path], tmp_path: Path
) -> None:
    """What is here, all but one left out; then built elsewhere, and proved."""
    site = tmp_path / "site"
    installed(wheel(), site)
    environ = {**os.environ, "PYTHONPATH": str(site)}

    def nightproof(*arguments: str) -> subprocess.CompletedProcess[str]:
        asked = [sys.executable, "-m", "nightproof", "env", *arguments, "--json"]
        return subprocess.run(asked, capture_output=True, text=True, cwd=tmp_path, env=environ)

    shown = json.loads(nightproof("show").stdout)["strict"]
    others = [item[8:] for item in shown if item.startswith("package/")]
    others.remove("moon-phase")
    made = nightproof("lock", *(word for name in others for word in ("--without", name)))
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    assert (told["packages"], set(told["leftOut"])) == (1, set(others))
    restored = nightproof("restore", "--into", "there")
    assert restored.returncode == 0, restored.stderr
    assert json.loads(restored.stdout)["proved"] is True
    again = nightproof("restore", "--into", "there")
    assert (again.returncode, "there already" in again.stderr) == (2, True)
    assert nightproof("lock", "--without", "nobody").returncode == 2


JOB = """
from nightproof import Contract, job


class Empty(Contract):
    task: str


@job
async def work(contract: Empty) -> int:
    return 1
"""


@needs_uv
def test_the_environment_of_a_run_can_be_locked_later(
    offline: None, wheel: Callable[..., Path], tmp_path: Path
) -> None:
    """By what its snapshot has, where the package is no longer installed."""
    site = tmp_path / "site"
    lock = lock_of(installed(wheel(), site), ["moon-phase"], [])
    (tmp_path / "jobs.py").write_text(JOB)

    def nightproof(*arguments: str, **more: str) -> dict[str, Any]:
        ran = subprocess.run(
            [sys.executable, "-m", "nightproof", *arguments, "--json"],
            capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **more}, check=True,
        )  # fmt: skip
        return dict(json.loads(ran.stdout))

    contract = json.dumps({"contractVersion": "1", "task": "x"})
    name = nightproof("run", "jobs.py:work", contract, PYTHONPATH=str(site))["run"]
    items = nightproof("env", "show", name)["strict"]
    others = [item[8:] for item in items if item.startswith("package/")]
    others.remove("moon-phase")
    without = [word for other in others for word in ("--without", other)]
    told = nightproof("env", "lock", "pylock.then.toml", "--run", name, *without)
    assert told["digest"] == lock.digest
    assert read_lock(tmp_path / "pylock.then.toml").packages == lock.packages
