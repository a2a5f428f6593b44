"""Builds a store with runs whose artifacts, inputs and secrets need care."""

import shutil
from pathlib import Path

from web_house import command

HERE = Path(__file__).parent


def build(folder: Path, evil: str = "http://127.0.0.1:9") -> dict[str, str]:
    """Fill `folder`; the names of its runs by job."""
    shutil.copy(HERE / "parts_jobs.py", folder / "jobs.py")
    runs = {}
    for job in ("harmful", "secretive"):
        told = command(folder, "run", f"jobs.py:{job}", "-", given={"task": "parts"}, EVIL=evil)
        assert told.get("status") == "completed", told
        runs[job] = told["run"]
    return runs
