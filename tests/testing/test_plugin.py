"""The pytest plugin, used by another pytest in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

JOB = '''
import os
from pathlib import Path
from typing import Literal

from nightproof import (Contract, artifact, effect, job, now, sleep, step, wait_for)

class Night(Contract):
    task: Literal["night"] = "night"
    items: list[str]

@step
async def price(item: str) -> int:
    return len(item)

@effect(key="report/{total}", unknown="hold")
async def report(total: int) -> str:
    with open(Path(os.environ["NIGHTPROOF_DRILL_DIR"], "sink"), "a") as sink:
        sink.write(f"{total}\\n")
    return f"sent {total}"

@job
async def nightly(contract: Night) -> str:
    prices = await price.map(contract.items, key=str)
    await artifact("report.txt", str(prices))
    return await report(sum(prices))

ran = []

@step
async def count(n: int) -> int:
    ran.append(n)
    return n * 1000 * "x".count("x")

@step
async def large(n: int) -> str:
    return "y" * n

@job
async def quick(contract: Night) -> int:
    found = await count.map([1, 2, 3])
    text = await large(200_000)
    await artifact("report.txt", text)
    return sum(found) + len(text)

@job
async def flaky(contract: Night) -> float:
    """Not the same twice, so nothing can be said about its result."""
    return os.getpid()

@job
async def patient(contract: Night) -> list[str]:
    first = now()
    await sleep(3600)
    return [first.isoformat()]
'''


@pytest.fixture
def inner(tmp_path: Path) -> Callable[[str], str]:
    """Runs the given tests with the plugin; what pytest printed, its exit code last."""

    def run(tests: str, *arguments: str) -> str:
        (tmp_path / "jobs.py").write_text(JOB)
        (tmp_path / "test_it.py").write_text(tests)
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider"),
                *("-p", "nightproof_pytest", *arguments),
            ],
            cwd=tmp_path,
            # By name, so that the plugin is tested and not how this copy was installed.
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        return f"{ran.stdout}{ran.stderr}\nexit {ran.returncode}"

    return run


def test_drill_fixture(inner: Callable[[str], str]):
    """A drill of a job, from its object and a dict, tells how many kills it took."""
    out = inner("""
import jobs

def test_drill(drill):
    report = drill(jobs.nightly, {"task": "night", "items": ["a", "bb"]}, points=["report", "complete"])
    assert report.ok
    assert report.kills == len(report.rows) == 6
    assert [row.where for row in report.rows] == ["report"] * 4 + ["nightly"] * 2
    held = [row.notes for row in report.rows if row.point in ("effect:intend", "effect:act")]
    assert held == [
        ("effect report/3: held, resolved --retry",),
        ("effect report/3: held, resolved --happened",),
    ]
""")
    assert "1 passed" in out, out


def test_drill_fixture_fails_the_test(inner: Callable[[str], str]):
    """A difference fails the test with the table, unless it is only asked for."""
    out = inner("""
import os, jobs

JOB = '''
import os
from nightproof import job, step
from jobs import Night

@step(pure=True)
async def who(n: int) -> str:
    return os.environ.get("NIGHTPROOF_FAIL_AT", "nobody")

@step
async def keep(text: str) -> str:
    return text

@job
async def leaky(contract: Night) -> str:
    return await keep(await who(1))
'''

def test_table(drill, tmp_path):
    (tmp_path / "leaky.py").write_text(JOB)
    options = {"points": ["keep:after"], "contract": {"task": "night", "items": []}}
    target = f"{tmp_path}/leaky.py:leaky"
    report = drill(target, check=False, **options)
    assert [row.verdict for row in report.rows] == ["differs"]
    assert 'result' in report.rows[0].notes[0]
    drill(target, **options)
""")
    assert "1 failed" in out, out
    assert "found differences" in out
    assert "step:after  keep" in " ".join(out.split(" "))


def test_memory_store(inner: Callable[[str], str]):
    """Each test has a store of its own, in memory, with its files in a temporary folder."""
    out = inner("""
import asyncio, os, pytest, jobs
from pathlib import Path

@pytest.mark.parametrize("n", [1, 2])
def test_fresh(memory_store, n):
    jobs.ran.clear()
    contract = jobs.Night(items=[])

    async def twice():
        first = await jobs.quick.run(contract)
        assert await jobs.quick.run(contract, store=memory_store) == first
        return first

    assert asyncio.run(twice()) == 206_000
    assert sorted(jobs.ran) == [1, 2, 3]
    root = Path(os.environ["NIGHTPROOF_ARTIFACTS"])
    assert len(list(root.glob("*/report.txt"))) == 1
    assert any(path.is_file() for path in Path(os.environ["NIGHTPROOF_BLOBS"]).rglob("*"))
    assert not Path(".nightproof").exists()

def test_sync(memory_store):
    jobs.ran.clear()
    assert jobs.quick.run_sync(jobs.Night(items=[])) == 206_000
    assert sorted(jobs.ran) == [1, 2, 3]
""")
    assert "3 passed" in out, out


def test_fake_clock(inner: Callable[[str], str]):
    """An hour's sleep takes no time, and the clock has moved on by it."""
    out = inner("""
from datetime import UTC, datetime, timedelta
import jobs

def test_hour(memory_store, fake_clock):
    fake_clock.set(datetime(2026, 10, 25, tzinfo=UTC))
    assert jobs.patient.run_sync(jobs.Night(items=[])) == ["2026-10-25T00:00:00+00:00"]
    assert timedelta(hours=1) <= fake_clock.now - datetime(2026, 10, 25, tzinfo=UTC) < timedelta(hours=2)
    assert 3600 > max(fake_clock.slept) > 0

def test_the_clock_is_given_back():
    from nightproof.model import clock
    assert type(clock._source).__name__ == "System"
""")
    assert "2 passed" in out, out


def test_plugin_does_not_import_nightproof():
    """pytest imports the plugin at every start; nightproof comes with the first fixture."""
    code = "import sys, nightproof_pytest; sys.exit('nightproof' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_plugin_is_registered():
    """The entry point that pytest finds leads to these fixtures."""
    import tomllib

    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    points = tomllib.loads(project.read_text())["project"]["entry-points"]["pytest11"]
    assert points == {"nightproof": "nightproof_pytest"}
    module = __import__(points["nightproof"])
    fixtures = {"assert_reproducible", "drill", "fake_clock", "golden", "memory_store"}
    assert fixtures <= set(vars(module))
