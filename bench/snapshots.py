"""What it costs to look at an environment with many packages."""

from __future__ import annotations

import base64
import statistics
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any


def _packages(work: Path, count: int, files: int) -> Path:
    """A site folder with `count` distributions of `files` small modules each."""
    site = work / "site"
    for number in range(count):
        name = f"package_{number:03}"
        rows = []
        (site / name).mkdir(parents=True)
        for at in range(files):
            data = f"VALUE = {number * files + at}\n".encode()
            file = f"{name}/module_{at:03}.py"
            (site / file).write_bytes(data)
            hashed = base64.urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
            rows.append(f"{file},sha256={hashed},{len(data)}\n")
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        time.sleep(0.005)  # RECORD comes last, in a tick of its own
        (info / "RECORD").write_text("".join(rows))
    return site


def snapshot(
    work: Path, count: int, files: int, verify: bool = False, times: int = 5
) -> dict[str, Any]:
    """Median milliseconds of a snapshot; sizes and times of all files are looked at.

    `verify` hashes them all.
    """
    from nightproof.provenance.snapshot import capture, request

    site = _packages(work, count, files)
    sys.path[:] = [str(site)]
    seconds, found = [], None
    for _ in range(times):
        started = time.perf_counter()
        found = capture(request("", ()), verify)
        seconds.append(time.perf_counter() - started)
    assert found is not None
    assert sum(item.startswith("package/") for item in found.strict) == count
    assert not any(item.startswith("edited/") for item in found.strict)
    return {"value": statistics.median(seconds) * 1000}
