"""Metrics that Prometheus reads, and rules that fire on them."""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from nightproof import Quota, job, measure, observe, step
from nightproof.errors import ConfigError
from nightproof.journal.records import RunFilter
from nightproof.observe.metrics import HELP, Gauges
from nightproof.observe.textfile import write

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (Debian: apt-get install prometheus)"
)
RULES = Path(observe.__file__).with_name("rules.yml")


def promtool(*words, **how):
    return subprocess.run([PROMTOOL, *words], capture_output=True, text=True, **how)


def samples(text):
    """Values by name and labels."""
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if not line.startswith("#")
    }


@pytest.fixture
def scraped(night, fake_clock, night_contract):
    """The metrics of a store with a completed, a failed and a hung run."""

    @step(quota=Quota("admob", rate="900/min", shares={"telemetry": 0.3}))
    async def ask() -> int:
        return 1

    @job(name="main", stall=60)
    async def main(contract: night_contract) -> int:
        await ask()
        measure("rows", contract.n)
        if contract.n == 3:
            raise KeyError("three")
        if contract.n == 4:
            await asyncio.Event().wait()
        return contract.n

    night.run(main, night_contract(n=1))
    night.run(main, night_contract(n=2))
    night.run(main, night_contract(n=3))

    async def scrape(app):
        working = asyncio.ensure_future(night.attempt(main, night_contract(n=4), alive=True))
        await night.until(lambda: _came_on(app.journal))
        fake_clock.at += 120
        watcher = observe.Watcher(night.settings(), [])
        await watcher(app.journal)
        text = await watcher.metrics(app.journal)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        return text

    return night.ask(scrape)


async def _came_on(journal):
    rows = await journal.runs(RunFilter())
    return len(rows) == 4 and await journal.checkpoint(rows[0].id)


def test_metrics_tell_what_a_store_knows(scraped, fake_clock):
    """Open runs with their last checkpoint and limit; jobs with their last success and output."""
    found = samples(scraped)
    [active] = [name for name in found if name.startswith("nightproof_run_active")]
    labels = active.removeprefix("nightproof_run_active")
    assert found[active] == 1
    assert found[f"nightproof_last_checkpoint_timestamp_seconds{labels}"] == fake_clock.at - 120
    assert found[f"nightproof_stall_limit_seconds{labels}"] == 60
    assert found['nightproof_runs{job_name="main",status="completed"}'] == 2
    assert found['nightproof_runs{job_name="main",status="failed"}'] == 1
    assert found['nightproof_last_output{job_name="main",measure="rows"}'] == 2
    assert found['nightproof_output_median{job_name="main",measure="rows"}'] == 1
    assert found['nightproof_incident_open{kind="stalled"}'] == 1
    assert found['nightproof_incident_open{kind="failed"}'] == 1
    used = 'nightproof_quota_limit{quota="admob",what="requests",share="telemetry"}'
    assert found[used] == 270
    assert found["nightproof_watch_timestamp_seconds"] == fake_clock.at
    assert set(re.findall(r"^# HELP (\S+)", scraped, flags=re.MULTILINE)) <= set(HELP)


@needs_promtool
def test_promtool_finds_nothing_to_correct(scraped):
    """The exposition is what Prometheus wants it to be."""
    ran = promtool("check", "metrics", input=scraped)
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


def test_label_values_are_escaped():
    """Quotes, backslashes and new lines; values that are no numbers have their names."""
    gauges = Gauges()
    gauges.add("nightproof_runs", float("nan"), job_name='a"b\\c\nd')
    gauges.add("nightproof_runs", float("inf"), job_name="e")
    gauges.add("nightproof_runs", None, job_name="f")
    lines = gauges.text().splitlines()[2:]
    assert lines[0] == r'nightproof_runs{job_name="a\"b\\c\nd"} NaN'
    assert lines[1] == 'nightproof_runs{job_name="e"} +Inf'
    assert len(lines) == 2


@needs_promtool
def test_shipped_rules_are_valid():
    """As promtool checks them."""
    ran = promtool("check", "rules", str(RULES))
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_promtool
def test_shipped_rules_fire_and_stay_silent(tmp_path):
    """promtool's own unit tests: each rule once where it has to fire, once where it must not."""
    shutil.copy(RULES, tmp_path)
    shutil.copy(Path(__file__).with_name("rules_test.yml"), tmp_path)
    ran = promtool("test", "rules", "rules_test.yml", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_rules_name_only_metrics_that_exist():
    """A rule on a metric that nobody exposes would never fire."""
    named = set(re.findall(r"nightproof_[a-z_]+", observe.rules()))
    assert named - set(HELP) == set()


def test_a_textfile_is_replaced_in_one_step(tmp_path):
    """Nothing else stays in its folder; another ending would never be read."""
    path = tmp_path / "nightproof.prom"
    write(path, "a 1\n")
    write(path, "a 2\n")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [
        ("nightproof.prom", "a 2\n")
    ]
    with pytest.raises(ConfigError, match="does not end in"):
        write(tmp_path / "nightproof.txt", "a 1\n")
    with pytest.raises(ConfigError, match="cannot be written"):
        write(tmp_path / "none" / "nightproof.prom", "a 1\n")
