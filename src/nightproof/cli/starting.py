"""``nightproof init``: a small project that runs, and whose tests pass, at once."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from nightproof.errors import UsageError
from nightproof.model import clock

TEMPLATE = Path(__file__).parent / "template"
FILES = {
    "job.py": "job.py.txt",
    "contract.json": "",
    "tests/test_job.py": "test_job.py.txt",
    "tests/test_design.py": "test_design.py.txt",
    "DESIGN.md": "DESIGN.md.txt",
    "nightproof.toml": "nightproof.toml.txt",
    "pyproject.toml": "pyproject.toml.txt",
    "AGENTS.md": "AGENTS.md.txt",
    ".gitignore": "gitignore.txt",
}


def init(folder: Path) -> int:
    """Write the project. Raises UsageError where a file of it is there already."""
    there = [name for name in FILES if (folder / name).exists()]
    if there:
        raise UsageError(
            f"{', '.join(there)} in {folder.absolute()} would be overwritten",
            "Name a new folder: nightproof init FOLDER.",
        )
    for name, template in FILES.items():
        path = folder / name
        text = (TEMPLATE / template).read_text("utf-8") if template else _contract()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    shown = "" if folder == Path() else f"cd {folder} && "
    print(f"wrote {', '.join(FILES)}")
    print(f"try   {shown}nightproof run job.py contract.json")
    print(f"test  {shown}python -m pytest")
    print(f"drill {shown}nightproof drill job.py contract.json")
    print(f"look  {shown}nightproof serve   then open http://127.0.0.1:8642")
    print("guide AGENTS.md: four steps for whoever changes the job, a person or a coding agent")
    return 0


def _contract() -> str:
    """Yesterday in UTC, written out: a contract never says "yesterday"."""
    today = clock.now().date()
    start = f"{today - timedelta(days=1)}T00:00:00+00:00"
    document = {
        "contractVersion": "1",
        "task": "daily-digest",
        "window": {"start": start, "end": f"{today}T00:00:00+00:00"},
        "sources": ["orders", "refunds", "signups"],
    }
    return json.dumps(document, indent=2) + "\n"
