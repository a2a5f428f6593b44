"""`demo` and `init`: what a stranger sees first."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nightproof.cli import demo, demo_drift, starting

ROOT = Path(__file__).parents[2]


def test_demo_checks_its_claims_without_home_or_terminal(np):
    """The real thing, in a fresh folder: killed, resumed, run again; then a drift, and its cause."""
    pytest.importorskip("currency_converter", reason="CurrencyConverter is not installed")
    np.env.pop("HOME", None)
    np.env["PATH"] = "/usr/bin:/bin"
    ran = np("demo", "--dir", "shown")
    assert ran.code == 0, ran
    assert "All 13 claims" in ran.out
    assert "NOT" not in ran.out
    assert "ok   the cause is named: context" in ran.out
    assert "ok   the evidence mentions fx-desk.json" in ran.out
    report = next(line for line in ran.out.splitlines() if line.startswith("The report:"))
    assert Path(report.split()[-1]).is_file()
    told = dict(re.findall(r"^(The journal|Its pages): +(.+)$", ran.out, re.MULTILINE))
    assert told["Its pages"].startswith(f"cd {np.folder / 'shown'} && ")
    assert told["Its pages"].endswith("nightproof serve")
    # What is told works as it stands, in a shell without an activated environment too.
    line = ["sh", "-c", told["The journal"]]
    shown = subprocess.run(line, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    assert (shown.returncode, "completed" in shown.stdout) == (0, True), shown.stderr
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
    assert "7 passed" in own_tests(place, 0)


STEPS = ["Enumerate ten failure modes", "at most five steps", "what a resume does", "Prove it"]


def test_init_guide_leads_through_four_steps(np):
    """In their order; and whatever it tells an agent to type is a command that takes it."""
    assert np("init").code == 0
    text = (np.folder / "AGENTS.md").read_text()
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert [one for one, step in zip(heads, STEPS, strict=False) if step not in one] == []
    assert np("contract", "check", "job.py", "contract.json").code == 0
    for words in (["drill"], ["contract", "new"], ["prompts", "lock"], ["diff"], ["logs"]):
        assert f"`nightproof {' '.join(words)}" in text or f"`{words[0]} RUN`" in text
        assert np(*words, "--help").code == 0


EXTRA = """

@step
async def extra(day: str | None, client: Ambient[dict[str, int]]) -> str | None:
    return day
"""


DESIGN = ["-p", "nightproof_pytest", "--disable-plugin-autoload", "tests/test_design.py"]
"""Its tests alone, without the plugins of whatever else is installed."""


def test_init_design_is_held_to_the_code(np):
    """A step that DESIGN.md does not have fails the project's tests, until it says it too."""
    assert np("init").code == 0
    job, design = np.folder / "job.py", np.folder / "DESIGN.md"
    job.write_text(
        job.read_text().replace("    Contract,", "    Ambient,\n    Contract,", 1) + EXTRA
    )
    assert "test_every_step_says_what_a_resume_does" in own_tests(np.folder, 1, *DESIGN)
    row = r"| `extra(day: str \| None, client: Ambient[dict[str, int]]) -> str \| None` | no harm |"
    design.write_text(f"{design.read_text()}{row}\n")
    own_tests(np.folder, 0, *DESIGN)
    job.write_text(job.read_text().replace("day: str | None, client", "day, client"))
    assert "test_every_input_and_output_has_a_type" in own_tests(np.folder, 1, *DESIGN)


def own_tests(place, code, *words, **env):
    """Run the tests of a generated project; what they said."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
        cwd=place,
        env={**os.environ, "PYTEST_ADDOPTS": "", **env},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.drill
@pytest.mark.timeout(400)
def test_init_project_of_a_wheel_passes_its_own_tests_and_drill(np, tmp_path):
    """What AGENTS.md asks for last holds from the start, with the package as it is installed."""
    backend = importlib.metadata.version("setuptools")
    if int(backend.partition(".")[0]) < 77:
        pytest.skip(
            f"setuptools {backend} cannot build nightproof (make drill installs a newer one)"
        )
    source, installed = tmp_path / "source", tmp_path / "installed"
    for name in ("src", "examples/weekly_report"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("*.egg-info"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps"]
    subprocess.run(
        [*pip, "--no-build-isolation", "--target", installed, source], check=True, timeout=100
    )
    np.env["PYTHONPATH"] = str(installed)
    np.folder = tmp_path / "fresh"
    np.folder.mkdir()
    asked = [sys.executable, "-c", "import nightproof; print(nightproof.__file__)"]
    assert str(installed) in subprocess.check_output(asked, env=np.env, cwd=np.folder, text=True)
    assert np("init").code == 0
    assert "7 passed" in own_tests(np.folder, 0, PYTHONPATH=str(installed))
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
