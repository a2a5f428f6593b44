"""Where nightproof's time goes in a row."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import runner
from bench.spec import Row
from bench.start.measure import HERE

LINES = 30


def show(row: Row, quick: bool) -> None:
    """Prints a profile of every nightproof contender of the row."""
    for contender in row.contenders:
        if not contender.ours or contender.needs:
            continue
        print(f"== {row.title}: {contender.label}")
        if contender.target.startswith("bench.start."):
            start_up(contender.params.get("modules", ""))
            return
        runner.measure(contender, quick=quick, profile=LINES)


def start_up(modules: str = "") -> None:
    """Import times of a whole start (or of `modules`), then its functions under cProfile."""
    what = ["-c", f"import {modules}"] if modules else [str(HERE / "ours_job.py"), str(HERE), "5"]
    runner.WORK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=runner.WORK) as work:
        env = {**os.environ, "BENCH_OUT": str(Path(work) / "mark")}
        timed = [sys.executable, "-X", "importtime", *what]
        for attempt in range(2):  # the first compiles
            done = subprocess.run(
                timed, cwd=work, env=env, capture_output=True, text=True, check=False
            )
            if attempt:
                print(*_slowest(done.stderr), sep="\n")
        if not modules:
            profiled = [sys.executable, "-m", "cProfile", "-s", "tottime", *what[:2], "9"]
            done = subprocess.run(
                profiled, cwd=work, env=env, capture_output=True, text=True, check=False
            )
            print(*done.stdout.splitlines()[: LINES + 8], sep="\n")


def _slowest(text: str) -> list[str]:
    """The modules with the largest own time, from -X importtime."""
    rows = []
    for line in text.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[0].strip().isdigit():
            rows.append((int(parts[0]), int(parts[1]), parts[2].strip()))
    total = sum(row[0] for row in rows)
    rows.sort(reverse=True)
    head = f"{total / 1000:.1f} ms of imports; own ms, ms with children, module"
    return [head, *(f"{a / 1000:8.1f} {b / 1000:8.1f}  {name}" for a, b, name in rows[:LINES])]
