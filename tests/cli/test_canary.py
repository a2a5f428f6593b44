"""`canary`: one replicate a night of each configured job."""

import contextlib
import io
import json
import os
import signal
from datetime import UTC, date, datetime
from pathlib import Path
from unittest import mock

import pytest

from nightproof.cli import canary as canaries
from nightproof.cli.session import Session
from nightproof.model import clock
from nightproof.testing.fake import FakeClock

JOBS = """
import asyncio
import os
from pathlib import Path
from typing import Literal

from nightproof import Contract, effect, job, step


class Night(Contract):
    task: Literal["night"] = "night"
    day: int = 1


@step
def price(day: int) -> str:
    return Path("price").read_text()


@step
async def slow(day: int) -> int:
    while os.environ.get("SLOW"):
        Path("begun").touch()
        await asyncio.sleep(0.01)
    return day


@effect(key="told/{day}")
def tell(day: int) -> None:
    with Path("told.txt").open("a") as told:
        told.write(f"{day}\\n")


@job
async def steady(contract: Night) -> int:
    await tell(contract.day)
    return await slow(contract.day)


@job
async def priced(contract: Night) -> str:
    return await price(contract.day)
"""


@pytest.fixture
def nights(np):
    """Runs a job of one day; the run's name."""
    (np.folder / "nights.py").write_text(JOBS)
    (np.folder / "price").write_text("7")
    (np.folder / "nightproof.toml").write_text('canary = ["steady", "priced"]\ncanary_hours = 2\n')

    def start(job: str, day: int = 1) -> str:
        contract = json.dumps({"contractVersion": "1", "task": "night", "day": day})
        return np("run", f"nights.py:{job}", contract, "--json").json["run"]

    return start


def test_newest_contracts_are_replicated_and_compared(np, nights):
    """One replicate of each, without effects, with the outcome in its log; exit 0."""
    nights("steady")
    steady, priced = nights("steady", 2), nights("priced")
    ran = np("canary", "--now", "--json")
    assert ran.code == 0, ran.err
    found = {one["job"]: one for one in ran.json["canaries"]}
    assert {name: (one["of"], one["run"]) for name, one in found.items()} == {
        "steady": (steady, f"{steady}.1"),
        "priced": (priced, f"{priced}.1"),
    }
    assert all(one["result"]["equalRaw"] and one["error"] is None for one in found.values())
    assert np.told() == ["1", "2"]
    assert f"canary of {steady}: the same" in np("logs", f"{steady}.1").out
    assert np("canary", "--now").code == 0
    assert len(np("runs", "--json").json["runs"]) == 7


def test_drift_is_exit_3_and_names_the_next_command(np, nights):
    """What differs is said, and does not hide the job that is the same."""
    nights("steady")
    priced = nights("priced")
    (np.folder / "price").write_text("8")
    ran = np("canary", "--now")
    assert ran.code == 3
    assert "steady-" in ran.out
    assert "differs first in price" in ran.out
    assert f"nightproof diff {priced} {priced}.1" in ran.out


def test_a_killed_canary_is_gone_on_with(np, nights):
    """Interrupted or killed in the middle, its replicate is finished and no other one made."""
    (np.folder / "nightproof.toml").write_text('canary = ["steady"]\n')
    run = nights("steady")
    slowly = {"SLOW": "1", "NIGHTPROOF_GRACE": "0.1"}
    child = np.start("canary", "--now", "--json", **slowly)
    np.wait_until((np.folder / "begun").exists)
    child.send_signal(signal.SIGTERM)
    ended = np.ended(child)
    assert ended.code == 75, ended
    assert ended.json["canaries"] == []
    assert "goes on" in ended.err
    ran = np("canary", "--now", "--json")
    assert ran.code == 0, ran.err
    assert [one["run"] for one in ran.json["canaries"]] == [f"{run}.1"]
    assert len(np("show", f"{run}.1", "--json").json["attempts"]) == 2


def test_what_cannot_be_run_does_not_hold_up_the_rest(np, nights):
    """A job that never completed, and one whose file has gone: said, and exit 2."""
    (np.folder / "nightproof.toml").write_text('canary = ["nobody", "steady", "work"]\n')
    run = nights("steady")
    np("run", "jobs.py:work", np.contract())
    (np.folder / "jobs.py").unlink()
    ran = np("canary", "--now", "--json")
    assert ran.code == 2
    found = {one["job"]: one for one in ran.json["canaries"]}
    assert found["steady"]["run"] == f"{run}.1"
    assert "no run of a job 'nobody' has completed" in found["nobody"]["error"]["message"]
    assert "jobs.py" in found["work"]["error"]["message"]
    assert ran.err.count("nightproof: ") == 2


def test_without_jobs_it_says_what_to_write(np):
    """Nothing configured is bad input, and writes nothing."""
    ran = np("canary", "--now")
    assert ran.code == 2
    assert 'canary = ["job"]' in ran.err
    assert not (np.folder / ".nightproof").exists()


def test_minutes_are_drawn_from_job_and_date():
    """The same for the same night, others for other jobs and nights, all within the hours."""
    night = date(2026, 11, 22)
    assert canaries.minute("a", night, 6) == canaries.minute("a", night, 6)
    jobs = [canaries.minute(f"job-{n}", night, 6) for n in range(200)]
    nights = [canaries.minute("a", date(2026, 1, 1 + n), 6) for n in range(28)]
    assert all(0 <= one < 360 for one in jobs + nights)
    for drawn in (jobs, nights):
        assert {one // 60 for one in drawn} == set(range(6))
    begun = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
    plan = canaries.schedule(["a", "b", "c"], begun, 6)
    assert [at for _, at in plan] == sorted(at for _, at in plan)
    assert canaries.schedule(["a"], begun, 0) == [("a", begun)]


def test_each_waits_for_its_minute(np, nights):
    """On a clock of the test: begun at their minutes, in the order of the plan."""
    nights("steady")
    nights("priced")
    source = FakeClock(datetime(2026, 11, 22, 1, 0, tzinfo=UTC))
    out, err = io.StringIO(), io.StringIO()
    before = signal.getsignal(signal.SIGTERM)
    with (
        clock.use(source),
        mock.patch.dict(os.environ, np.env, clear=True),
        contextlib.chdir(np.folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        begun = clock.now().astimezone()
        plan = canaries.schedule(["steady", "priced"], begun, 2)
        assert canaries.canary(Session(json=True), at_once=False) == 0
    signal.signal(signal.SIGTERM, before)
    found = json.loads(out.getvalue())
    assert found["night"] == f"{begun:%Y-%m-%d}"
    assert [(one["job"], datetime.fromisoformat(one["at"])) for one in found["canaries"]] == plan
    assert all(f"{at:%H:%M}  {job}" in err.getvalue() for job, at in plan)
    assert max(source.slept) <= 30
    assert Path(np.folder, ".nightproof", "journal.db").exists()
