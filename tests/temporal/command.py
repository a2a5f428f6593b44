"""The command against a real Temporal server: clients and workers as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import forked

PATIENCE_SECONDS = 60.0
LOADED = ("nightproof.cli.working", "nightproof.cli.distant", "nightproof.engines.temporal.worker")
"""What commands on Temporal import, and what takes a second."""
Child: TypeAlias = "forked.Fork | subprocess.Popen[str]"
JOBS = '''
"""Jobs that tests start."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Literal

from nightproof import Contract, artifact, effect, job, sleep, step, wait_for


class Work(Contract):
    task: Literal["work"] = "work"
    n: int = 3
    until: str = ""
    boom: bool = False


@step
async def item(i: int, until: str) -> int:
    with Path("calls.txt").open("a") as calls:
        calls.write(f"{i}\\n")
    while until and i >= 2 and not Path(until).exists():
        await asyncio.sleep(0.01)
    return i * i


@job
async def work(contract: Work) -> int:
    squares = await item.map(range(contract.n), key=str, until=contract.until)
    await artifact("squares.txt", " ".join(map(str, squares)))
    if contract.boom:
        raise ValueError("as was asked for")
    return sum(squares)


@job
async def waiting(contract: Work) -> str:
    await item(0, "")
    return "heard " + await wait_for("go", str)


@effect(key="doubt/{n}")
def doubtful(n: int) -> str:
    raise ConnectionError("the line went dead")


@job
async def doubt(contract: Work) -> str:
    return await doubtful(contract.n)


class Night(Contract):
    task: Literal["night"] = "night"
    due: datetime


@job
async def nightly(night: Night) -> str:
    return night.due.isoformat()


@nightly.nightly("02:30", tz="Europe/Berlin")
def berlin(due: datetime) -> Night:
    return Night(due=due)


@nightly.nightly("03:00", tz="Asia/Tokyo", missed="skip")
def tokyo(due: datetime) -> Night:
    return Night(due=due)
'''


class Ended(NamedTuple):
    """A command that ran to its end."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


class Place:
    """A folder with jobs, a journal and a task queue of its own."""

    def __init__(self, folder: Path, url: str, **settings: Any) -> None:
        self.folder = folder
        self.url = f"{url}?task_queue=c-{uuid.uuid4().hex[:12]}"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("NIGHTPROOF_")}
        self.env |= {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"}
        self.env["NIGHTPROOF_TEMPORAL"] = self.url
        (folder / "jobs.py").write_text(JOBS)
        told = {"park_after": 1.0, "grace": 3.0, "witness": False, **settings}
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in told.items())
        (folder / "nightproof.toml").write_text(text)
        self._children: list[Child] = []

    def start(self, *arguments: str, **env: str) -> Child:
        """A command that goes on by itself."""
        child = forked.start(arguments, self.folder, self.env | env, loaded=LOADED)
        self._children.append(child)
        return child

    def __call__(self, *arguments: str, **env: str) -> Ended:
        """A command, to its end."""
        return self.end(self.start(*arguments, **env))

    def end(self, child: Child, number: int | None = None) -> Ended:
        """What a command said, once it has ended; sent a signal before where one is given."""
        if number is not None:
            child.send_signal(number)
        out, err = child.communicate(timeout=PATIENCE_SECONDS)
        return Ended(child.returncode, out, err)

    def worker(self, *arguments: str, **env: str) -> tuple[Child, dict[str, Any]]:
        """A worker that is ready, and what it said of itself."""
        child = self.start("worker", *(arguments or ("jobs.py",)), "--json", **env)
        assert child.stdout is not None
        lines = []
        while (line := child.stdout.readline()) and line != "}\n":
            lines.append(line)
        assert line, child.communicate()[1]
        return child, json.loads("".join([*lines, line]))

    def calls(self) -> list[str]:
        """The items that were called, in order."""
        try:
            return (self.folder / "calls.txt").read_text().split()
        except FileNotFoundError:
            return []

    def until(self, look: Any) -> Any:
        """What `look` gives once that is something."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not (found := look()):
            assert time.monotonic() < end, "it did not come to that"
            time.sleep(0.05)
        return found

    def close(self) -> None:
        """Leave no process behind."""
        for child in self._children:
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
            child.communicate()


def contract(**fields: Any) -> str:
    """The contract of a job, as JSON."""
    return json.dumps({"contractVersion": "1", "task": "work", **fields})
