"""Negative controls: the harnesses catch runtimes that are broken on purpose."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nightproof.testing.drill import Options, drill
from nightproof.testing.report import Report

JOB = Path(__file__).with_name("jobs") / "killed.py"


@pytest.fixture
def drilled(tmp_path: Path) -> Callable[..., Report]:
    """Drills the job with effects of every kind, on a broken runtime."""
    items = ["i1x", "d", "h", "l", "t", "i2"]
    (tmp_path / "items").write_text("\n".join(items))
    contract = tmp_path / "contract.json"
    contract.write_text(json.dumps({"task": "killed", "number": 1}))
    environ = {
        "KILLED_ITEMS": str(tmp_path / "items"),
        "KILLED_DIARY": "{dir}/diary",
        "KILLED_PAUSE": "0.001",
    }

    def run(broken: str, *points: str, **options: Any) -> Report:
        return drill(
            f"{JOB}:killed",
            str(contract),
            Options(points=points, folder=str(tmp_path), **options),
            environ={**environ, "KILLED_BROKEN": broken},
        )

    return run


def told(report: Report) -> str:
    """All that the report says is wrong."""
    return "\n".join(note for row in report.failures for note in row.notes)


@pytest.mark.parametrize(
    ("points", "least"),
    [
        # Those of the broken runtimes below.
        (["probed:confirm", "held:confirm", "held:act", "skipped:act", "work:after"], 5),
        pytest.param(["effect:*", "work:after", "batch:after"], 16, marks=pytest.mark.drill),
    ],
)
def test_the_job_itself_passes(drilled: Callable[..., Report], points: list[str], least: int):
    """On the shipped runtime nothing differs: what is caught below is the breakage."""
    report = drilled("", *points)
    assert report.failures == []
    assert report.ok
    assert report.kills == len(report.rows) >= least


@pytest.mark.parametrize(
    ("broken", "points", "says"),
    [
        ("confirm-before-act", ["probed:confirm", "held:confirm"], "never performed"),
        ("retry-blindly", ["held:act", "skipped:act"], "performed 2 times"),
        ("never-committed", ["work:after"], "recorded, and done again"),
        ("committed-later", ["work:after"], "recorded, and done again"),
    ],
)
def test_the_drill_catches(
    drilled: Callable[..., Report], broken: str, points: list[str], says: str
):
    """One kill at the right point shows what a broken runtime loses or repeats."""
    report = drilled(broken, *points)
    assert not report.ok
    assert says in told(report)


@pytest.mark.parametrize(
    ("broken", "options", "says"),
    [
        ("by-position", {}, "of another item"),
        ("never-committed", {}, "ran again"),
        ("no-fencing", {"at_once": 4}, "worked at the same time"),
    ],
)
def test_random_kills_catch(
    massacre: Callable[..., Any], broken: str, options: dict[str, Any], says: str
):
    """A few random kills are enough to catch what needs edits or several processes to show."""
    toll = massacre(8, items=60, broken=broken, until_told=says, **options)
    assert any(says in text for text in toll.wrong), toll.wrong
