"""The command as a process, in a folder with some jobs."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from nightproof.cli.main import main

sys.path.insert(0, str(Path(__file__).parents[1] / "processes"))

import forked

JOBS = '''
"""Jobs that tests start."""

import asyncio
import time
from pathlib import Path
from typing import Literal

from nightproof import Contract, Dataset, ModelPin, Retry, Window
from nightproof import artifact, effect, expect, job, measure, step, wait_for


class Work(Contract):
    task: Literal["work"] = "work"
    n: int = 3
    until: str = ""
    boom: str = ""


@step(retry=Retry(attempts=1))
def item(i: int, boom: str, until: str) -> int:
    with Path("calls.txt").open("a") as calls:
        calls.write(f"{i}\\n")
    if boom and i == 1 and Path(boom).exists():
        raise RuntimeError("item 1 is broken")
    while until and i >= 2 and not Path(until).exists():
        time.sleep(0.01)
    return i * i


@effect(key="work/{n}")
def tell(n: int, total: int) -> str:
    with Path("told.txt").open("a") as told:
        told.write(f"{n} {total}\\n")
    return "told"


@job
async def work(contract: Work) -> int:
    squares = await item.map(
        range(contract.n), key=str, boom=contract.boom, until=contract.until, concurrency=1
    )
    measure("squares", len(squares))
    await artifact("squares.txt", " ".join(map(str, squares)))
    await tell(contract.n, sum(squares))
    return sum(squares)


@job
async def waiting(contract: Work) -> str:
    return "heard " + await wait_for("go", str)


@effect(key="doubt/{n}")
def doubtful(n: int) -> str:
    raise ConnectionError("the line went dead")


@job
async def doubt(contract: Work) -> str:
    return await doubtful(contract.n)


@step
def talk() -> int:
    print("a step prints")
    return 1


@job
async def talking(contract: Work) -> int:
    print("the job prints")
    return await talk()


@job
async def wrong(contract: Work) -> int:
    return "not a number"


@step
def lies() -> int:
    return "not a number"


@job
async def lying(contract: Work) -> int:
    return await lies()


@job
async def broken(contract: Work) -> int:
    return 1 // (contract.n - contract.n)


class Full(Contract):
    task: Literal["full"] = "full"
    window: Window
    data: Dataset
    model: ModelPin


@job
async def full(contract: Full) -> int:
    return contract.data.path.stat().st_size


async def plain(contract: Work) -> int:
    return 1
'''


# Commands that neither run jobs nor care whose process they are in.
QUIET = {
    "alerts",
    "audit",
    "metrics",
    "quotas",
    "migrate",
    "runs",
    "show",
    "steps",
    "logs",
    "verify",
    "keys",
    "doctor",
    "gc",
    "resolve",
    "signal",
    "cancel",
}


@dataclass
class Ended:
    """One command that ran."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


class Command:
    """Starts `nightproof` in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("NIGHTPROOF_")}
        self.env |= {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"}
        self.children: list[Any] = []

    def start(self, *arguments: str, stderr: int = subprocess.PIPE, **env: str) -> Any:
        """A command that goes on by itself."""
        child = forked.start(arguments, self.folder, self.env | env, stderr=stderr)
        self.children.append(child)
        return child

    def __call__(self, *arguments: str, given: str | None = None, **env: str) -> Ended:
        """A command, to its end; a process of its own where that is the point."""
        if arguments and arguments[0] in QUIET and not env:
            return self.here(*arguments)
        ran = forked.run(arguments, self.folder, self.env | env, given, timeout=60)
        return Ended(ran.returncode, ran.stdout, ran.stderr)

    def here(self, *arguments: str) -> Ended:
        """A command in this process."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.env, clear=True),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(arguments)
        return Ended(code, out.getvalue(), err.getvalue())

    def contract(self, **fields: Any) -> str:
        """A contract of the job `work`, written out."""
        return json.dumps({"contractVersion": "1", "task": "work", **fields})

    def calls(self) -> list[str]:
        """Which items ran, in order."""
        path = self.folder / "calls.txt"
        return path.read_text().split() if path.exists() else []

    def told(self) -> list[str]:
        """What the effect did."""
        path = self.folder / "told.txt"
        return path.read_text().splitlines() if path.exists() else []

    def name(self) -> str:
        """The newest run."""
        return self("runs", "--json").json["runs"][0]["run"]

    def touch(self, name: str) -> None:
        """Make a file that a job waits for."""
        (self.folder / name).touch()

    def wait_until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait for a condition that another process brings about."""
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, "it never happened"
            time.sleep(0.01)

    def ended(self, child: subprocess.Popen[str]) -> Ended:
        """A started command at its end."""
        out, err = child.communicate(timeout=60)
        return Ended(child.returncode, out, err)


@pytest.fixture
def np(tmp_path: Path) -> Iterator[Command]:
    """The command, in a fresh folder with `jobs.py`."""
    (tmp_path / "jobs.py").write_text(JOBS)
    command = Command(tmp_path)
    yield command
    for child in command.children:
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
        child.communicate()
