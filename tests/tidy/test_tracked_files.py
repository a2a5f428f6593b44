"""What is committed works anywhere: no registry host, no path of one machine."""

from pathlib import Path

import pytest

# Put together here, so that this file does not hold what it looks for.
FORBIDDEN = [
    *("/" + top + "/" for top in ("wo" + "rk", "ro" + "ot")),
    "/opt/" + "pypi",
    "pypi" + ".org",
    "python" + "hosted",
    "registry." + "npmjs",
    "proxy." + "golang",
    "--index" + "-url",
    "--extra-index" + "-url",
    "--find" + "-links",
]


def mentions(text: str) -> list[str]:
    """The forbidden strings in `text`, as ``line: string``."""
    return [
        f"{number}: {word}"
        for number, line in enumerate(text.splitlines(), 1)
        for word in FORBIDDEN
        if word in line
    ]


def test_no_registry_and_no_machine_path(tracked: list[Path], root: Path):
    """No tracked file names a package registry or a path of the machine it was written on."""
    found = {}
    for path in tracked:
        hits = mentions(path.read_bytes().decode("utf-8", "replace"))
        if hits:
            found[str(path.relative_to(root))] = hits
    assert found == {}


@pytest.mark.parametrize("word", FORBIDDEN)
def test_mentions_would_be_found(word: str):
    """The check sees each forbidden string inside a line."""
    assert mentions(f"first\nsee {word} there") == [f"2: {word}"]
