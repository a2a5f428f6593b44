"""Plays a pair: run A, the planted change, run B, then what diff and explain say of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

JOBS = Path(__file__).parent / "jobs"
AT_ONCE = 2
"""So many pairs are played at the same time."""
STUCK_SECONDS = 120.0
ALWAYS, NEVER, UNNAMED = "always", "never", "unnamed"

Act = Callable[["Stage"], None]


def nothing(stage: Stage) -> None:
    """Plant nothing."""


@dataclass(frozen=True)
class Pair:
    """Two runs of one contract, and the one cause planted between them.

    `job` is "file:function" below `jobs`; `start` prepares run A, `change` plants the
    cause before run B. `a` and `b` are environment variables of one run only.
    `cause` is None where the runs are to be the same.
    """

    name: str
    cause: str | None
    job: str
    start: Act = nothing
    change: Act = nothing
    a: Mapping[str, str] = field(default_factory=dict)
    b: Mapping[str, str] = field(default_factory=dict)
    contract: Mapping[str, Any] = field(default_factory=dict)
    tries: int = 1
    """So many replicates are made until one differs: for what varies at a low rate."""
    seed: int = 0
    """Seed of the model server's draws."""
    after: Act = nothing
    """What has changed again before `explain` looks."""
    today: Mapping[str, str] | None = None
    """Variables in force when `explain` looks; None: those of run B."""
    words: tuple[str, ...] = ()
    """More words of the command that runs B."""


class Broken(Exception):
    """A command of a pair did not do what the corpus needs."""


class Stage:
    """The folder that a pair is played in, with a store, a home and packages of its own."""

    def __init__(self, folder: Path, pair: Pair) -> None:
        self.folder = folder
        self.pair = pair
        self.work = folder / "work"
        self.home = folder / "home"
        self.site = folder / "venv" / "site-packages"
        self.bin = folder / "bin"
        for made in (self.work, self.home, self.site, self.bin):
            made.mkdir(parents=True)
        file, _, self.function = pair.job.partition(":")
        self.code = folder / "code"
        self.code.mkdir()
        shutil.copy(JOBS / file, self.code)
        self.target = f"{self.code / file}:{self.function}"
        self.contract: dict[str, Any] = {"contractVersion": "1", "task": "work", **pair.contract}
        self.environ = {
            "PATH": f"{self.bin}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(self.site),
            "NIGHTPROOF_STORE": f"sqlite:///{folder / 'journal.db'}",
            "NO_COLOR": "1",
        }
        self.cleanup = ExitStack()
        self.runs: list[str] = []
        self.first: dict[str, Any] = {}
        self.host: Any = None
        self.models: Any = None

    def command(
        self, *words: str, environ: Mapping[str, str], cwd: Path | None = None
    ) -> tuple[int, str, str]:
        """The exit code, stdout and stderr of one nightproof command."""
        ran = subprocess.run(
            [sys.executable, "-m", "nightproof", *words],
            cwd=cwd or self.work,
            env={**self.environ, **self.placed(environ)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STUCK_SECONDS,
        )
        return ran.returncode, ran.stdout, ran.stderr

    def placed(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Variables of a pair, with the stage's folder put in for ``{folder}``."""
        return {name: text.replace("{folder}", str(self.folder)) for name, text in environ.items()}

    def document(self, *words: str, environ: Mapping[str, str], codes: Sequence[int]) -> Any:
        """The JSON document of a command. Raises Broken where it ends otherwise."""
        code, out, err = self.command(*words, "--json", environ=environ)
        if code not in codes:
            raise Broken(f"{' '.join(words)}: exit {code}: {(err or out).strip()[-1500:]}")
        return json.loads(out)

    def run(self, environ: Mapping[str, str]) -> Any:
        """One run of the job: the first one of the contract, or a replicate of it."""
        words = ["run", self.target, json.dumps(self.contract)]
        if self.runs:
            words += ["--replicate", *self.pair.words]
        found = self.document(*words, environ=environ, codes=(0, 1))
        self.runs.append(found["run"])
        self.first = self.first or found
        return found


@dataclass
class Verdict:
    """What was said of a pair, and by which command."""

    pair: Pair
    drift: bool
    cause: str | None
    by: str
    documents: list[dict[str, Any]]
    seconds: float
    trouble: str = ""

    @property
    def right(self) -> bool:
        """Whether the planted cause was named, or a clean pair left alone."""
        if self.trouble or self.drift != (self.pair.cause is not None):
            return False
        if self.pair.cause is None:
            said = [set(one["verdicts"].values()) for one in self.documents]
            return self.cause is None and all(one == {"excluded"} for one in said)
        return self.cause == self.pair.cause

    @property
    def spared(self) -> bool:
        """Whether `diff` named the planted cause or none."""
        return self.documents[0]["cause"] in (None, self.pair.cause)

    def told(self) -> str:
        """One line."""
        how = "right" if self.right else "WRONG"
        cause = self.pair.cause or "none"
        said = f"{self.cause or 'none'} by {self.by}" if self.drift else "no drift"
        runs = [one["runs"] for doc in self.documents for one in doc.get("experiments", ())]
        said += f" in {sum(runs)} runs" if runs else ""
        line = f"{how}  {self.seconds:5.1f} s  {cause:11} {self.pair.name}: {said}"
        return line + (f" ({self.trouble})" if self.trouble else "")


def play(pairs: Sequence[Pair], folder: Path, explain: str = UNNAMED) -> list[Verdict]:
    """Every pair to its verdict; first all runs A, so that time passes before runs B.

    `explain` is ALWAYS, NEVER, or UNNAMED: where `diff` names no cause.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = list(pool.map(lambda pair: _begin(pair, folder), pairs))
        return list(pool.map(lambda one: _end(*one, explain), begun))


def _begin(pair: Pair, folder: Path) -> tuple[Stage, str]:
    place = folder / "".join(c if c.isalnum() else "-" for c in pair.name)
    stage = Stage(place, pair)
    try:
        pair.start(stage)
        stage.run(pair.a)
    except Exception as error:
        return stage, f"{type(error).__name__}: {error}"
    return stage, ""


def _end(stage: Stage, trouble: str, explain: str) -> Verdict:
    began = time.perf_counter()
    found = Verdict(stage.pair, False, None, "nobody", [], 0.0, trouble)
    with stage.cleanup:
        try:
            if not trouble:
                _judge(stage, found, explain)
        except Exception as error:
            found.trouble = f"{type(error).__name__}: {error}"
    found.seconds = time.perf_counter() - began
    return found


def _judge(stage: Stage, found: Verdict, explain: str) -> None:
    pair = stage.pair
    pair.change(stage)
    for _ in range(pair.tries):
        told = stage.run(pair.b)
        if told["status"] != stage.first["status"] or told["result"] != stage.first["result"]:
            break
    words = (stage.runs[0], stage.runs[-1])
    document = stage.document("diff", *words, environ=pair.b, codes=(0, 3))
    found.documents.append(document)
    found.drift, found.cause, found.by = document["drift"], document["cause"], "diff"
    if found.drift and (explain == ALWAYS or (explain == UNNAMED and found.cause is None)):
        pair.after(stage)
        today = pair.b if pair.today is None else pair.today
        document = stage.document("explain", *words, "--yes", environ=today, codes=(0, 3))
        found.documents.append(document)
        found.cause, found.by = document["cause"], "explain"
