"""Runs measurements one after another, each in a fresh process and a fresh directory."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.child import MARK
from bench.spec import Contender

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".bench" / "work"  # the repository's own disk: /tmp may be memory
LIMIT_SECONDS = 900


class Unavailable(Exception):
    """This contender cannot run here; the text says why."""


def missing(contender: Contender) -> str:
    """Why the contender cannot run on this machine, or an empty string."""
    if contender.needs == "strace" and not shutil.which("strace"):
        return "strace is not installed"
    if contender.needs == "satay" and importlib.util.find_spec("satay") is None:
        return "not installable on this Python (satay needs 3.12 or newer)"
    return ""


def measure(contender: Contender, *, quick: bool, profile: int = 0) -> dict[str, Any]:
    """One measurement. Raises Unavailable with the reason when it cannot be taken."""
    if why := missing(contender):
        raise Unavailable(why)
    WORK.mkdir(parents=True, exist_ok=True)
    work = tempfile.mkdtemp(prefix="m-", dir=WORK)
    params = json.dumps({**contender.arguments(quick=quick), "work": work})
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "PYTHONPATH": paths, "BENCH_PROFILE": str(profile)}
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "bench.child", contender.target, params],
            cwd=work,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as child:
            try:
                out, err = child.communicate(timeout=LIMIT_SECONDS)
            except BaseException as error:
                os.killpg(child.pid, signal.SIGKILL)
                child.communicate()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise Unavailable(f"no result within {LIMIT_SECONDS} s") from error
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    head, mark, tail = out.rpartition(MARK)
    if profile:
        print(head)
    if not mark:
        print(f"{contender.label} failed:\n{err.strip()[-600:]}", file=sys.stderr)
        last = (err.strip() or "no output").splitlines()[-1]
        raise Unavailable(f"failed: {last.partition(':')[0]}")  # no paths in the report
    result: dict[str, Any] = json.loads(tail)
    return result
