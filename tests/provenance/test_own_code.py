"""Own code that a job imports from elsewhere is part of its snapshot."""

from pathlib import Path

import pytest

from nightproof.provenance.snapshot import Snapshot, capture, differences, request


def taken(job: Path) -> Snapshot:
    """A snapshot of this very moment."""
    return capture(request(str(job), ()))


def test_own_code_that_is_imported_from_elsewhere_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules, packages and namespaces on the path, and what they import in turn."""
    job = tmp_path / "night" / "job.py"
    job.parent.mkdir()
    job.write_text("X = 1\n")
    (job.parent / "other.py").write_text("X = 1\n")
    lib = tmp_path / "lib"
    for name, text in {
        "tools/__init__.py": "from json import loads\nimport deeper as d, nowhere\n",
        "tools/part.py": "X = 1\n",
        "deeper.py": "from . import nothing\n",
        "space/inside.py": "X = 1\n",
        "unused.py": "X = 1\n",
        "other.py": "a second one of that name\n",
        "moon/__init__.py": "X = 1\n",
        "moon-1.0.dist-info/RECORD": "moon/__init__.py,sha256=abc,6\n",
    }.items():
        (lib / name).parent.mkdir(parents=True, exist_ok=True)
        (lib / name).write_text(text)
    monkeypatch.syspath_prepend(str(lib))
    before = taken(job)
    (job.parent / "other.py").write_text(
        "import os, tools.part\nif True:\n    from space.inside import X\nimport other\n"
        "import pytest\nimport nightproof, moon\n"
    )
    after = taken(job)
    changed = {one.item: one.a for one in differences(before.strict, after.strict)}
    assert list(changed) == [
        "code/+/other.py",
        "code/deeper.py",
        "code/other.py",
        "code/space/inside.py",
        "code/tools/__init__.py",
        "code/tools/part.py",
    ]
    (lib / "deeper.py").write_text("X = 2\n")
    (edited,) = differences(after.strict, taken(job).strict)
    assert edited.item == "code/deeper.py"
