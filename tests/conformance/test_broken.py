"""Negative controls: the suite fails on combinations that are broken on purpose."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conforming.world import BROKEN

HERE = Path(__file__).parent
CAUGHT_BY = {
    "by-position": "test_changes.py::test_edits_and_another_order_never_shift_results[embedded-sqlite]",
    "retry-blindly": "test_effects.py::test_killed_between_intent_and_confirmation"
    "[embedded-sqlite-act-held]",
    "confirm-before-act": "test_effects.py::test_an_effect_acts_once_and_is_replayed"
    "[embedded-sqlite-probed]",
    "never-committed": "test_owners.py::test_killed_between_and_inside_steps"
    "[embedded-sqlite-works:after#3-3]",
    "committed-later": "test_owners.py::test_killed_between_and_inside_steps"
    "[embedded-sqlite-works:after#3-3]",
    "no-token": "test_owners.py::test_a_stopped_owner_is_fenced_off[embedded-sqlite]",
    "no-fencing": "test_owners.py::test_of_two_starters_one_works[embedded-sqlite]",
}
"""Ways in which a runtime can be broken (see drill/jobs/broken.py), and a test that notices."""


def suite(broken: str, tests: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The named tests, in a process of its own."""
    return subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            f"--basetemp={folder / 'pytest'}", *(str(HERE / test) for test in tests),
        ],
        env={**os.environ, BROKEN: broken},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=110,
    )  # fmt: skip


EVERY_DAY = ("by-position", "retry-blindly", "no-fencing")


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(name, marks=[] if name in EVERY_DAY else [pytest.mark.drill])
        for name in CAUGHT_BY
    ],
)
def test_a_broken_combination_fails(broken: str, tmp_path: Path):
    """One of its tests notices."""
    ended = suite(broken, [CAUGHT_BY[broken]], tmp_path)
    assert ended.returncode == 1, ended.stdout
    assert "1 failed" in ended.stdout


@pytest.mark.drill
def test_the_same_tests_pass_on_a_whole_one(tmp_path: Path):
    """What is caught above is the breakage."""
    tests = sorted(set(CAUGHT_BY.values()))
    ended = suite("", tests, tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert f"{len(tests)} passed" in ended.stdout
