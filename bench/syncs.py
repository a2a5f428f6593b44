"""Counts fsync and fdatasync of a measurement with strace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CALLS = ("fsync", "fdatasync", "sync_file_range", "msync", "sync", "syncfs")


def each(work: Path, target: str, few: int, many: int, **params: Any) -> dict[str, Any]:
    """Syncs per unit of work: the difference between `many` and `few` units."""
    counts = []
    for n in (few, many):
        place = work / str(n)
        place.mkdir()
        counts.append(_count(target, {**params, "n": n, "work": str(place)}, place / "strace"))
    return {"value": (counts[1] - counts[0]) / (many - few)}


def _count(target: str, params: dict[str, Any], out: Path) -> int:
    strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-c", "-o", str(out)]
    strace += ["-e", f"trace={','.join(CALLS)}"]
    child = [sys.executable, "-m", "bench.child", target, json.dumps(params)]
    subprocess.run([*strace, *child], check=True, capture_output=True)
    rows = [line.split() for line in out.read_text().splitlines()]
    return sum(int(row[3]) for row in rows if row and row[-1] in CALLS)
