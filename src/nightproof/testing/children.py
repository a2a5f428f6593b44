"""Runs of a job in child processes: the shipped command, and a real SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightproof.model import crash
from nightproof.testing.outside import Outside, Surround

COMMAND = (sys.executable, "-m", "nightproof")
DRILL = "NIGHTPROOF_DRILL"
"""Set to 1 in every child, so that a job can aim its effects at a test account."""
FOLDER = "NIGHTPROOF_DRILL_DIR"
"""A folder of the case's own: for sinks that an effect's probe looks into."""

_OURS = (crash.FAIL_AT, crash.TRACE, crash.LEDGER)


@dataclass(frozen=True, slots=True)
class Job:
    """What is drilled, as the command line names it."""

    target: str
    contract: str
    command: tuple[str, ...] = COMMAND
    environ: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of every child; ``{dir}`` stands for the case's folder."""
    cwd: str | None = None
    timeout: float = 300.0
    """Seconds after which a child counts as stuck and is killed."""

    def words(self) -> list[str]:
        """The command that runs or resumes it."""
        return [*self.command, "run", self.target, self.contract, "--json"]


@dataclass(frozen=True, slots=True)
class Ended:
    """A child that has ended: `code` is negative for a signal, None where it was stuck."""

    code: int | None
    answer: dict[str, Any]
    """The JSON document on its stdout, empty where there is none."""
    said: str
    """The end of its stderr."""

    @property
    def killed(self) -> bool:
        """Whether it died by SIGKILL."""
        return self.code == -signal.SIGKILL

    @property
    def how(self) -> str:
        """How it ended, for people."""
        if self.code is None:
            return "stuck"
        if self.code < 0:
            return signal.Signals(-self.code).name
        return f"exit {self.code}"

    @property
    def status(self) -> str:
        """The run's status as it stated it, "" where it stated nothing."""
        return str(self.answer.get("status", ""))

    @property
    def reason(self) -> str:
        """Why it did not complete, as far as it said so."""
        error = self.answer.get("error")
        if isinstance(error, dict):
            error = error.get("message") or json.dumps(error)
        text = str(error or self.said.strip()[-500:] or "it said nothing")
        return " ".join(text.split())


def environ_of(folder: Path) -> dict[str, str]:
    """What the case with this folder adds to the environment of its processes.

    For who prepares a case by runs of its own: they leave what they leave in its store.
    """
    # The journals lie together, to share fetched datasets.
    store = folder.parent / "journals" / f"{folder.name}.db"
    return {
        DRILL: "1",
        FOLDER: str(folder),
        "NIGHTPROOF_ENGINE": "embedded",
        "NIGHTPROOF_STORE": f"sqlite:///{store}",
        "NIGHTPROOF_BLOBS": str(folder / "blobs"),
        "NIGHTPROOF_ARTIFACTS": str(folder / "artifacts"),
    }


@dataclass(slots=True)
class Place:
    """A case's folder below the scratch folder, with a store of its own."""

    scratch: Path
    name: str
    attempts: int = 0
    world: Outside = field(default_factory=Outside)
    """What the job acts on in this case alone."""

    @property
    def folder(self) -> Path:
        """What belongs to this case alone."""
        return self.scratch / self.name

    @property
    def store(self) -> str:
        """The URL of its journal."""
        return environ_of(self.folder)["NIGHTPROOF_STORE"]

    @property
    def ledger(self) -> Path:
        """Where the acts of its effects are counted."""
        return self.folder / "acts.jsonl"

    def trace(self, attempt: int) -> Path:
        """The crash points that the given attempt reached."""
        return self.folder / f"trace-{attempt}.jsonl"

    def environ(self, job: Job, fail_at: str = "") -> dict[str, str]:
        """The environment of its next child."""
        found = {name: value for name, value in os.environ.items() if name not in _OURS}
        found |= {
            name: text.replace("{dir}", str(self.folder)) for name, text in job.environ.items()
        }
        found |= self.world.environ
        found |= environ_of(self.folder)
        found |= {crash.TRACE: str(self.trace(self.attempts)), crash.LEDGER: str(self.ledger)}
        if fail_at:
            found[crash.FAIL_AT] = fail_at
        return found

    @contextmanager
    def within(self, outside: Surround) -> Iterator[None]:
        """While it lasts, the case's processes act on a world of their own."""
        self._make()
        with outside(self.folder) as self.world:
            yield

    def run(self, job: Job, fail_at: str = "") -> Ended:
        """One child process, from its start to its end."""
        self._make()
        self.attempts += 1
        out, err = self.folder / f"out-{self.attempts}", self.folder / f"err-{self.attempts}"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            code = _wait(job.words(), self.environ(job, fail_at), job, stdout, stderr)
        said = err.read_text("utf-8", "replace")[-4000:]
        return Ended(code, _document(out.read_text("utf-8", "replace")), said)

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.scratch / "journals").mkdir(exist_ok=True)


def _wait(
    words: Sequence[str], environ: Mapping[str, str], job: Job, stdout: Any, stderr: Any
) -> int | None:
    # A process group of its own: a stuck job's own children go with it.
    child = subprocess.Popen(
        words,
        env=dict(environ),
        cwd=job.cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    try:
        return child.wait(job.timeout)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
