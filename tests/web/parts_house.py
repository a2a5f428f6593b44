"""Builds a store with runs whose artifacts, inputs and secrets need care."""

import shutil
from hashlib import sha256
from pathlib import Path

from web_house import command

HERE = Path(__file__).parent


def build(folder: Path, evil: str = "http://127.0.0.1:9") -> dict[str, str]:
    """Fill `folder`; the names of its runs by job."""
    shutil.copy(HERE / "parts_jobs.py", folder / "jobs.py")
    (folder / "prompts").mkdir()
    (folder / "prompts" / "weekly@7.md").write_text("Say it shortly.\n")
    (folder / "rates.csv").write_text("day,rate\n")
    plain = {"task": "parts"}
    named = {
        "task": "given",
        "data": {"uri": "file:rates.csv", "sha256": sha256(b"day,rate\n").hexdigest()},
        "promptId": "weekly@7",
        "otherPrompt": "unread@1",
        "model": {"id": "moon", "pinnedVersion": "moon-8-2026-01-01"},
    }
    runs = {}
    for job, contract in (("harmful", plain), ("secretive", plain), ("given", named)):
        told = command(folder, "run", f"jobs.py:{job}", "-", given=contract, EVIL=evil)
        assert told.get("status") == "completed", told
        runs[job] = told["run"]
    return runs
