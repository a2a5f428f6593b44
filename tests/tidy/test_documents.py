"""What the documents tell people to type exists."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENTS = ["README.md", "ARCHITECTURE.md"]
README_LINES = 150


def typed(text: str, program: str) -> set[str]:
    """The first words that a document puts after `program`, in code."""
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL))
    return set(re.findall(rf"(?:^|[`$]) *{program} ([a-z0-9-]+)", code, flags=re.MULTILINE))


def commands() -> set[str]:
    """The commands that `nightproof --help` lists."""
    ran = subprocess.run(
        [Path(sys.executable).with_name("nightproof"), "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "100"},
    )
    return set(re.findall(r"^\W*([a-z]+)\b", ran.stdout, flags=re.MULTILINE))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_make_targets_exist(root: Path, name: str):
    """Every `make TARGET` in a document is a target."""
    targets = set(
        re.findall(r"^([a-z0-9-]+):", (root / "Makefile").read_text(), flags=re.MULTILINE)
    )
    assert typed((root / name).read_text("utf-8"), "make") - targets == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_exist(root: Path, name: str):
    """Every `nightproof COMMAND` in a document is a command."""
    assert typed((root / name).read_text("utf-8"), "nightproof") - commands() == set()


def test_readme_has_its_two_commands_and_stays_short(root: Path):
    """README starts people with `make demo` and `make test`, in under 150 lines."""
    text = (root / "README.md").read_text("utf-8")
    assert {"demo", "test"} <= typed(text, "make")
    assert len(text.splitlines()) < README_LINES


def test_typed_commands_are_found():
    """The check reads blocks and inline code, and leaves prose alone."""
    text = "so make haste: `make demo`\n```\n$ make test\nmake lint  # x\n```"
    assert typed(text, "make") == {"demo", "test", "lint"}


def test_links_lead_somewhere(root: Path):
    """A relative link in a document names a file that is there."""
    lost = [
        f"{name}: {link}"
        for name in [*DOCUMENTS, "CHANGELOG.md"]
        for link in re.findall(r"\]\(([^)#:]+)[^):]*\)", (root / name).read_text("utf-8"))
        if not (root / link).exists()
    ]
    assert lost == []
