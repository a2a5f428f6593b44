"""Places where a job runs while its servers, its network and its processes are broken."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import forked
import pytest

from nightproof import app
from nightproof.config import Settings
from nightproof.journal.records import RunFilter
from nightproof.model.states import Kind
from nightproof.testing import servers

Child: TypeAlias = "forked.Fork | subprocess.Popen[str]"
LOADED = (
    "nightproof.cli.working", "nightproof.cli.distant", "nightproof.engines.temporal.worker",
    "nightproof.stores.postgres",
)  # fmt: skip
"""What commands on servers import, and what takes a second."""
JOB = Path(__file__).with_name("jobs") / "faults.py"
HOSTS = """
import sys
from nightproof.model import identity
host = sys.argv.pop(1)
identity._host = lambda: host
from nightproof.cli.main import main
sys.exit(main())
"""
"""The shipped command, on a machine whose name is its first argument."""
PATIENCE = 100.0
"""Seconds after which a night counts as stranded."""


@dataclass(frozen=True)
class Line:
    """One line of the diary."""

    what: str
    item: int
    pid: int
    at: int


@dataclass(frozen=True)
class Blow:
    """Something was broken: when, and what was on record or under way just before."""

    kind: str
    at: int
    recorded: frozenset[int]
    under_way: int
    """Items that had begun on those who died, and were not on record. Where nobody died,
    as many as may have been between their beginning and the answer to their commit."""


@dataclass
class Place:
    """A store, a diary, and processes that run the job on them."""

    folder: Path
    store: str
    """How the test itself reaches the journal, past every fault."""
    items: int
    environ: dict[str, str] = field(default_factory=dict)
    more: dict[str, int] = field(default_factory=dict)
    blows: list[Blow] = field(default_factory=list)
    processes: list[Child] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.diary_path.touch()
        self.contract.write_text(
            json.dumps({"task": "faulty", "items": self.items, **self.more}), "utf-8"
        )

    @property
    def diary_path(self) -> Path:
        return self.folder / "diary"

    @property
    def contract(self) -> Path:
        return self.folder / "contract.json"

    def diary(self, *kinds: str) -> list[Line]:
        """What was written into it, of some kinds."""
        lines = (text.split() for text in self.diary_path.read_text().splitlines())
        found = [Line(a, int(b), int(c), int(d)) for a, b, c, d in lines]
        return [line for line in found if not kinds or line.what in kinds]

    def start(self, *words: str, host: str = "", **environ: str) -> Child:
        """A process with the shipped command."""
        given = {"NIGHTPROOF_STORE": self.store, "FAULTS_DIARY": str(self.diary_path)}
        program = None
        if host:
            program = self.folder / "hosts.py"
            program.write_text(HOSTS)
            words = (host, *words)
        with (self.folder / f"out-{len(self.processes)}").open("wb") as out:
            made = forked.start(
                words,
                self.folder,
                {**os.environ, **given, **self.environ, **environ},
                stdout=out.fileno(),
                stderr=subprocess.STDOUT,
                program=program,
                loaded=LOADED,
            )
        self.processes.append(made)
        return made

    def run(self, **how: str) -> Child:
        """A process that runs the night, or follows it."""
        return self.start("run", f"{JOB}:faulty", str(self.contract), "--json", **how)

    def worker(self, **how: str) -> Child:
        """A worker of the night."""
        return self.start("worker", str(JOB), **how)

    def said(self, process: Child) -> str:
        """All that a process has printed."""
        number = self.processes.index(process)
        return (self.folder / f"out-{number}").read_text("utf-8", "replace")

    def end(self) -> None:
        """Kill what is left."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """What `question` answers of the journal."""

        async def main() -> Any:
            journal = app.open_journal(Settings(store=self.store))
            try:
                return await question(journal)
            finally:
                await journal.close()

        return asyncio.run(main())

    def recorded(self) -> Counter[int]:
        """How often the result of each item is on record; large ones have negative numbers."""

        async def read(journal: Any) -> Counter[int]:
            found: Counter[int] = Counter()
            for run in await journal.runs(RunFilter()):
                entries = await journal.entries(run.id, kinds=(Kind.RESULT,))
                codes = await journal.codes({entry.code for entry in entries})
                for entry in entries:
                    code = codes.get(entry.code)  # an owner that is not fenced off may lack it
                    name = "work" if code is None else code.name
                    if name in ("work", "enlarge"):
                        item = json.loads(entry.inputs)[0]
                        if code is None and not isinstance(item, int):
                            continue  # another step's
                        found[item if name == "work" else -1 - item] += 1
            return found

        return self.ask(read)

    def result(self) -> tuple[str, Any]:
        """The run's status and result; the status is empty before there is a run."""

        async def read(journal: Any) -> tuple[str, Any]:
            runs = await journal.runs(RunFilter())
            if not runs:
                return "", None
            (run,) = runs
            return run.status.name.lower(), json.loads(run.result) if run.result else None

        return self.ask(read)

    def done(self) -> int:
        """Items that were done so far, as the diary has it."""
        return self.diary_path.read_bytes().count(b"done ")

    def wait_for(self, count: int, *alive: Child) -> None:
        """Wait until so many items were done, while those live who do them."""
        end = time.monotonic() + PATIENCE
        while self.done() < count:
            for process in alive:
                assert process.poll() is None, self.said(process)
            assert time.monotonic() < end, f"stranded with {self.done()} of {count} items done"
            time.sleep(0.02)

    def finish(self, process: Child) -> dict[str, Any]:
        """What a process answers in the end."""
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"stranded: {self.said(process)[-3000:]}") from None
        assert process.returncode == 0, self.said(process)[-3000:]
        text = self.said(process)
        document = re.search(r"^\{$.*", text, re.MULTILINE | re.DOTALL)  # among lines of logs
        assert document is not None, text
        answer: dict[str, Any] = json.loads(document[0])
        return answer

    def strike(self, kind: str, act: Callable[[], object], *victims: Child) -> None:
        """Break something, having noted what was on record and under way (of `victims`)."""
        recorded = frozenset(self.recorded())
        at = time.monotonic_ns()
        pids = {victim.pid for victim in victims}
        act()
        begun = {x.item for x in self.diary("begin") if not pids or x.pid in pids}
        # Who lives on begins another item while the last one's commit is on its way.
        most = 2 * self.more.get("concurrency", 48)
        under_way = min(len(begun - recorded), most) if victims else most
        self.blows.append(Blow(kind, at, recorded, under_way))

    def busiest(self, *workers: Child) -> Child:
        """Who has begun the newest item."""
        newest = {line.pid: at for at, line in enumerate(self.diary("begin"))}
        return max(workers, key=lambda worker: newest.get(worker.pid, -1))

    def kill(self, victim: Child) -> None:
        """SIGKILL a process."""

        def act() -> None:
            victim.send_signal(signal.SIGKILL)
            victim.wait()

        self.strike("kill", act, victim)

    @property
    def repeats(self) -> int:
        """How many executions there were beyond one for each item."""
        begins = self.diary("begin")
        return len(begins) - len({line.item for line in begins})

    def wrong(self) -> list[str]:
        """What must not be, once the night is over."""
        found = []
        begins = self.diary("begin")
        for blow in self.blows:
            again = {x.item for x in begins if x.at > blow.at and x.item in blow.recorded}
            if again:
                found.append(
                    f"{len(again)} items were on record before a {blow.kind}, and ran again"
                )
        bound = sum(blow.under_way for blow in self.blows)
        if self.repeats > bound:
            found.append(f"{self.repeats} executions too many; only {bound} items were under way")
        recorded = self.recorded()
        if twice := [item for item, count in recorded.items() if count > 1]:
            found.append(f"{len(twice)} items are recorded twice")
        if missing := {line.item for line in begins} - set(recorded):
            found.append(f"{len(missing)} items are not on record")
        paid = Counter(line.item for line in self.diary("pay"))
        wanted = set(range(0, self.items, self.more.get("paid_every", 50)))
        if set(paid) != wanted:
            found.append(f"{len(wanted - set(paid))} effects were never performed")
        if double := [item for item, count in paid.items() if count > 1]:
            found.append(f"{len(double)} effects were performed twice")
        status, result = self.result()
        if status != "completed":
            found.append(f"the run is {status}")
        elif result != self.undisturbed():
            found.append(f"the result is {result} instead of {self.undisturbed()}")
        return found

    def undisturbed(self) -> Any:
        """The result of the same night in SQLite, with nothing broken."""
        folder = self.folder / "undisturbed"
        quiet = Place(folder, f"sqlite:///{folder / 'journal.db'}", self.items, more=self.more)
        process = quiet.run(FAULTS_PAUSE="0", NIGHTPROOF_ENGINE="embedded")
        quiet.finish(process)
        return quiet.result()[1]

    def summary(self) -> str:
        """What it came to, for people."""
        bound = sum(blow.under_way for blow in self.blows)
        kinds = dict(Counter(blow.kind for blow in self.blows))
        return f"{kinds}: {self.repeats} repeated, {bound} under way"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """Makes places, and ends their processes."""
    made: list[Place] = []

    def make(store: str, items: int, name: str = "night", **given: Any) -> Place:
        made.append(Place(tmp_path / name, store, items, **given))
        return made[-1]

    yield make
    for one in made:
        one.end()


def folder() -> tempfile.TemporaryDirectory[str]:
    """A place that pytest does not close: Postgres is another user where we are root."""
    return tempfile.TemporaryDirectory(prefix="nightproof-own-", ignore_cleanup_errors=True)


@pytest.fixture
def own_postgres() -> Iterator[servers.PostgresServer]:
    """A Postgres that a test may kill."""
    with folder() as where, servers.postgres(where) as server:
        yield server


@pytest.fixture
def own_temporal() -> Iterator[servers.TemporalServer]:
    """A Temporal server that a test may kill."""
    with folder() as where, servers.temporal(where, fast=True) as server:
        yield server


@pytest.fixture
def own_s3() -> Iterator[servers.S3Server]:
    """An S3 server that a test may kill."""
    with folder() as where, servers.s3(where) as server:
        yield server


@pytest.fixture
def chance() -> Random:
    """The random moments of a test, the same every time."""
    return Random(5)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """For what a test starts on its way."""
    with ExitStack() as opened:
        yield opened
