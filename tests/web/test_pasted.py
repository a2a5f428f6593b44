"""What a person copies into a shell does what it says there, and nothing that was not decided."""

import html
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from web_house import command


def paste(folder: Any, line: str) -> subprocess.CompletedProcess[str]:
    """A line as a shell takes it, in the folder of the jobs."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NIGHTPROOF_")}
    script = f'nightproof() {{ "{sys.executable}" -m nightproof "$@"; }}\n{line}\n'
    return subprocess.run(
        ["sh", "-c", script], cwd=folder, env={**kept, "HOME": str(folder)},
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip


def state(folder: Any, run: str) -> str:
    """What is on record of the run's effect."""
    [effect] = command(folder, "show", run)["effects"]
    return effect["state"]


def test_a_hint_with_a_choice_decides_nothing(own_house: Any):
    """It names both ways to decide: pasted as it is, it is refused, and takes neither."""
    held = own_house.runs["held"]
    told = command(own_house.folder, "show", held)
    before = state(own_house.folder, held)
    ran = paste(own_house.folder, told["next"])
    assert "--happened" in told["next"]
    assert "--retry" in told["next"]
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert state(own_house.folder, held) == before


@pytest.mark.parametrize(("number", "word"), [(0, "confirmed"), (1, "clear")])
def test_the_page_has_a_command_for_each_decision(
    own_house: Any, serving: Any, number: int, word: str
):
    """Each can be copied, and does what stands above it."""
    held = own_house.runs["held"]
    page = serving(own_house).get(f"/runs/{held}").text
    note = page.partition("A person has to decide")[2].partition("<dl")[0]
    found = re.findall(r">([^<]+):</p>\s*<div class=\"command\"><code>([^<]+)</code>", note)
    assert [label for label, _ in found] == ["It happened", "It did not"]
    ran = paste(own_house.folder, html.unescape(found[number][1]))
    assert ran.returncode == 0, ran.stderr
    assert state(own_house.folder, held) == word
