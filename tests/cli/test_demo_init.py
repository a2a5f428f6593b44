"""`demo` and `init`: what a stranger sees first."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nightproof.cli import demo, demo_drift, starting


def test_demo_checks_its_claims_without_home_or_terminal(np):
    """The real thing, in a fresh folder: killed, resumed, run again; then a drift, and its cause."""
    pytest.importorskip("currency_converter", reason="CurrencyConverter is not installed")
    np.env.pop("HOME", None)
    ran = np("demo", "--dir", "shown")
    assert ran.code == 0, ran
    assert "All 13 claims" in ran.out
    assert "NOT" not in ran.out
    assert "ok   the cause is named: context" in ran.out
    assert "ok   the evidence mentions fx-desk.json" in ran.out
    report = next(line for line in ran.out.splitlines() if line.startswith("The report:"))
    assert Path(report.split()[-1]).is_file()
    assert len((np.folder / "shown" / "outbox.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("cause", ["environment", "model", "sampling"])
def test_drift_of_each_cause_is_named(np, monkeypatch, cause):
    """The demo's second half by itself: each of its claims holds."""
    pytest.importorskip("currency_converter", reason="CurrencyConverter is not installed")
    claims = {}
    example = demo._example()
    monkeypatch.setattr(sys, "path", [*sys.path])
    (np.folder / "contract.json").write_text(json.dumps(demo._contract(example)))
    environ = {**np.env, "NIGHTPROOF_STORE": f"sqlite:///{np.folder}/journal.db"}
    demo_drift.Drifting(np.folder, example, environ, cause, claims.__setitem__).act(6)
    assert [text for text, holds in claims.items() if not holds] == []
    assert f"the cause is named: {cause}" in claims
    assert len(claims) == 4


def test_demo_refuses_a_cause_that_is_not_known(np):
    """One message, and nothing is written."""
    ran = np("demo", "--cause", "weather")
    assert ran.code == 2
    assert "One of environment, context, model, sampling." in ran.err
    assert not (np.folder / "nightproof-demo").exists()


def test_demo_refuses_a_folder_that_is_used(np):
    """Somebody's files are not mixed with the demo's."""
    pytest.importorskip("currency_converter", reason="CurrencyConverter is not installed")
    (np.folder / "used").mkdir()
    (np.folder / "used" / "thesis.txt").touch()
    ran = np("demo", "--dir", "used")
    assert ran.code == 2
    assert "not empty" in ran.err


def test_init_project_runs_and_its_tests_pass(np):
    """Every file is there, the job completes, and the project's own tests are green."""
    assert np("init", "new").code == 0
    place = np.folder / "new"
    assert sorted(starting.FILES) == sorted(
        path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()
    )
    np.folder = place
    assert np("run", "job.py", "contract.json").code == 0
    assert (place / "outbox.txt").read_text().count("\n") == 1
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=place,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
    )
    assert tests.returncode == 0, tests.stdout
    assert "4 passed" in tests.stdout


@pytest.mark.drill
def test_init_project_passes_its_own_drill(np):
    """What AGENTS.md asks for last holds from the start."""
    assert np("init").code == 0
    drilled = np("drill", "job.py", "contract.json")
    assert drilled.code == 0, drilled.out
    assert "nothing differs" in drilled.out


def test_init_overwrites_nothing(np):
    """A second init, or a file of the same name, is refused."""
    (np.folder / "job.py").write_text("mine")
    ran = np("init")
    assert ran.code == 2
    assert "job.py" in ran.err
    assert (np.folder / "job.py").read_text() == "mine"
    assert not (np.folder / "contract.json").exists()


def test_init_project_is_styled_like_the_house(tmp_path):
    """The templates pass the linter's default rules and its formatter."""
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not installed")
    starting.init(tmp_path)
    for how in (
        ["check", "--isolated"],
        ["format", "--check", "--isolated"],
    ):
        ran = subprocess.run([ruff, *how, "."], cwd=tmp_path, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout
