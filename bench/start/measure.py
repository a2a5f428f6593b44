"""Starts the scripts of this folder and reads what they marked."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
COMMAND = "import sys; from nightproof.cli.main import main; sys.exit(main())"


def _command(script: str, n: int, work: Path) -> list[str]:
    if script == "cli":
        contract = work / f"contract-{n}.json"
        contract.write_text(json.dumps({"contractVersion": "1", "task": "start", "n": n}))
        target = f"{HERE / 'ours_job.py'}:start"
        return [sys.executable, "-c", COMMAND, "run", target, str(contract)]
    return [sys.executable, str(HERE / f"{script}.py"), str(HERE), str(n)]


def _start(script: str, work: Path, n: int, kill_at: int = -1) -> tuple[float, float]:
    """Milliseconds from before exec to the mark, and peak MiB there. (0, 0) when killed."""
    out = work / "mark"
    out.unlink(missing_ok=True)
    env = {
        **os.environ,
        "BENCH_OUT": str(out),
        "BENCH_KILL_AT": str(kill_at),
        "PYTHONHASHSEED": "0",
    }
    if script == "absurd_job" and "BENCH_DATABASE" not in env:
        from bench.peers.absurd_postgres import database

        os.environ["BENCH_DATABASE"] = env["BENCH_DATABASE"] = database()
    command = _command(script, n, work)
    before = time.time_ns()
    done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, check=False)
    if kill_at >= 0:
        if done.returncode != -signal.SIGKILL:
            raise RuntimeError(f"{script} should have died: {done.returncode} {done.stderr}")
        return 0.0, 0.0
    if done.returncode or not out.exists():
        raise RuntimeError(f"{script} marked nothing: {done.returncode} {done.stderr}")
    at, kib = out.read_text().split()
    return (int(at) - before) / 1e6, int(kib) / 1024


def first(
    work: Path, script: str, times: int = 3, fresh: bool = False, memory: bool = False
) -> dict[str, Any]:
    """Start to first step: median milliseconds, or MiB with `memory`, of `times` starts.

    The store exists already, as on every night but the first, unless `fresh`. Either way
    one start is not counted: it compiles the modules and fills the disk cache.
    """
    _start(script, work, 1)
    seen = []
    for i in range(times):
        place = work / f"fresh-{i}" if fresh else work
        place.mkdir(exist_ok=True)
        seen.append(_start(script, place, 2 + i)[1 if memory else 0])
    return {"value": statistics.median(seen)}


def after_kill(work: Path, script: str, at: int) -> dict[str, Any]:
    """Kills with -9 in step `at` (from 0), then gives milliseconds from start to the first new step."""
    n = at + 3
    _start(script, work, n, kill_at=at)
    return {"value": _start(script, work, n)[0]}
