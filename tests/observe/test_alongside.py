"""Pings and textfiles of runs that nobody scrapes, with real processes."""

import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "processes"))

import forked

JOB = """
import sys
from typing import Literal
from nightproof import Contract, expect, job, measure, step

class Night(Contract):
    task: Literal["night"] = "night"
    n: int = 0

@step
def work(n: int) -> int:
    return n

@job
async def main(contract: Night) -> int:
    measure("rows", contract.n)
    expect(contract.n, "no rows")
    return await work(contract.n)
"""


@pytest.fixture
def run(tmp_path):
    """`nightproof run job.py` with this many rows and these settings."""
    (tmp_path / "job.py").write_text(JOB)

    def start(n, toml, *words, **env):
        (tmp_path / "nightproof.toml").write_text(toml)
        contract = json.dumps({"contractVersion": "1", "task": "night", "n": n})
        kept = {name: value for name, value in os.environ.items() if "NIGHTPROOF" not in name}
        return forked.run(["run", "job.py", contract, *words], tmp_path, {**kept, **env})

    return start


def test_a_run_pings_its_check(run, server):
    """Start and success with the same rid; a failed one says so, with its error."""
    toml = '[alerts]\nping = "env:CHECK"\n'
    assert run(3, toml, CHECK=f"{server.url}/uuid").returncode == 0
    assert run(0, toml, CHECK=f"{server.url}/uuid").returncode == 1
    paths = [path for path, _, _ in server.got]
    first, second = paths[0].rpartition("=")[2], paths[2].rpartition("=")[2]
    assert first != second
    assert paths == [
        f"/uuid/start?rid={first}", f"/uuid?rid={first}",
        f"/uuid/start?rid={second}", f"/uuid/fail?rid={second}",
    ]  # fmt: skip
    assert "no rows" in server.got[3][2]


def test_what_a_ping_reads_is_not_what_the_job_reads(run, server):
    """No undeclared variable, host or file comes of it: a strict run goes through."""
    ended = run(3, '[alerts]\nping = "env:CHECK"\n', "--strict", CHECK=f"{server.url}/uuid")
    assert ended.returncode == 0, ended.stderr
    assert len(server.got) == 2


def test_a_check_that_cannot_be_reached_is_a_remark(run):
    """The run is what it is."""
    ended = run(3, '[alerts]\nping = "env:NO_SUCH_CHECK"\n')
    assert ended.returncode == 0
    assert "the environment variable NO_SUCH_CHECK is not set" in ended.stderr


def test_nonsense_in_alerts_is_said_before_the_run_begins(run, tmp_path):
    """Exit 2, and no run in the store."""
    ended = run(3, "[alerts]\nping = 3\n")
    assert ended.returncode == 2
    assert "alerts.ping" in ended.stderr


def test_a_run_leaves_its_metrics_in_a_textfile(run, tmp_path):
    """With its last success; nothing is active any more."""
    path = tmp_path / "nightproof.prom"
    assert run(3, f'textfile = "{path}"\n').returncode == 0
    text = path.read_text()
    assert 'nightproof_runs{job_name="main",status="completed"} 1\n' in text
    assert 'nightproof_last_output{job_name="main",measure="rows"} 3\n' in text
    assert "nightproof_run_active{" not in text
