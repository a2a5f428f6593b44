"""The stores and engines that the conformance suite runs on.

A store joins by one more parameter of :func:`store`; a test that takes ``night``
then runs on it as well.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import hypothesis
import pytest

from nightproof import Contract
from nightproof.app import App
from nightproof.config import Settings
from nightproof.engines.attempt import Options, Outcome
from nightproof.journal.records import Entry, Owner, RunRow
from nightproof.model import clock, crash, identity
from nightproof.model.identity import ProcessIdentity
from nightproof.testing import servers

sys.path.insert(0, str(Path(__file__).parent / "processes"))
sys.path.insert(0, str(Path(__file__).parent / "shared"))

import forked

T = TypeVar("T")
hypothesis.settings.register_profile("explore", max_examples=5000, deadline=None)
_schemas = itertools.count(1)
_dead_pids = itertools.count(2**22 + 1)  # above the kernel's highest pid


class Night(Contract):
    """The contract of most tests."""

    task: Literal["night"] = "night"
    n: int = 0
    names: tuple[str, ...] = ()


class Killed(BaseException):
    """Raised by a test's step: the process is gone at this point."""


@dataclass
class Harness:
    """Runs jobs on one store, each attempt as if it were a process of its own."""

    url: str
    folder: Path
    given: dict[str, Any] = field(default_factory=dict)

    def settings(self, **more: Any) -> Settings:
        beside: dict[str, Any] = {}
        if not self.url.startswith("sqlite"):
            # Where they are beside a journal that is a file.
            beside = {"blobs": str(self.folder / "blobs")}
            beside["artifacts"] = str(self.folder / "artifacts")
        return Settings(store=self.url, **{**beside, **self.given, **more})

    def app(self, alive: bool = False, **more: Any) -> App:
        """An app; unless `alive`, its process looks dead as soon as it stops writing."""
        app = App(self.settings(**more))
        if not alive:
            dead = ProcessIdentity(identity.here().host, next(_dead_pids), 1)
            app.engine._owner = Owner(dead, 0, int(app.settings.lease * 1000))
        return app

    async def attempt(self, job: Any, contract: Any = None, **more: Any) -> Outcome:
        """One attempt, in the running loop."""
        known = {"replicate", "target", "watch"}
        options = Options(**{k: more.pop(k) for k in list(more) if k in Options._fields})
        how = {k: more.pop(k) for k in list(more) if k in known}
        app = self.app(**more)
        try:
            return await app.run(job, contract or Night(), options=options, **how)
        finally:
            await app.close()

    def run(self, job: Any, contract: Any = None, **more: Any) -> Outcome:
        """One attempt, in a loop of its own; raises only what the engine raises."""
        return asyncio.run(self.attempt(job, contract, **more))

    def value(self, job: Any, contract: Any = None, **more: Any) -> Any:
        """The result of one attempt; its error is raised."""
        outcome = self.run(job, contract, **more)
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    def die(self, job: Any, contract: Any = None, **more: Any) -> None:
        """One attempt in which some step raises :class:`Killed`."""
        with pytest.raises(Killed):
            self.run(job, contract, **more)

    def ask(self, question: Callable[[App], Awaitable[T]]) -> T:
        """What `question` answers of an app on this store."""

        async def main() -> T:
            app = self.app()
            try:
                return await question(app)
            finally:
                await app.close()

        return asyncio.run(main())

    async def until(self, look: Callable[[], Any]) -> Any:
        """What `look` (plain or async) returns once that is something."""
        while True:
            found = look()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.01)

    def row(self, name: str) -> RunRow:
        """The run's row."""

        async def find(app: App) -> RunRow:
            found = await app.journal.find(name)
            assert found is not None
            return found

        return self.ask(find)

    def entries(self, name: str, *kinds: int) -> list[Entry]:
        """The history of a run."""

        async def read(app: App) -> list[Entry]:
            row = await app.journal.find(name)
            assert row is not None
            return await app.journal.entries(row.id, kinds)

        return self.ask(read)

    def notes(self, name: str, kind: str) -> list[dict[str, Any]]:
        """The events of one kind in the run's log."""
        import json

        found = [json.loads(entry.output or b"{}") for entry in self.entries(name, 7)]
        return [note for note in found if note["kind"] == kind]

    def resolve(self, key: str, happened: bool, output: bytes | None = None) -> None:
        """A person's decision about an effect."""
        self.ask(lambda app: app.journal.resolve(key, happened, output))

    def send(self, name: str, signal: str, payload: bytes = b"null") -> None:
        """Leave a signal for a run."""
        row = self.row(name)
        self.ask(lambda app: app.journal.send(row.id, signal, payload))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever asks for a store runs on every kind of it, unless it is marked `sqlite_only`."""
    if "store" in metafunc.fixturenames and not hasattr(metafunc.module, "store"):
        only = metafunc.definition.get_closest_marker("sqlite_only") is not None
        kinds = ["sqlite"] if only else ["sqlite", "postgres"]
        metafunc.parametrize("store", kinds, indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'journal.db'}"
    make: Callable[[], str] = request.getfixturevalue("postgres_schema")
    # What is beside a journal of SQLite is below the working folder otherwise.
    monkeypatch.chdir(tmp_path)
    return make()


@pytest.fixture
def night(store: str, tmp_path: Path) -> Iterator[Harness]:
    """A harness on each kind of store."""
    yield Harness(store, tmp_path)
    crash.disarm()


@pytest.fixture
def killed() -> type[Killed]:
    """What a step raises to be gone."""
    return Killed


@pytest.fixture
def night_contract() -> type[Night]:
    """The contract's class."""
    return Night


class FakeClock(clock.System):
    """Wall time moves only as the test says; a sleep moves it by itself."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at = at
        self.slept: list[float] = []

    def wall(self) -> float:  # type: ignore[override]
        return self.at

    def monotonic(self) -> float:  # type: ignore[override]
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        # A run that can park does so before a long wait is over.
        await asyncio.sleep(0.2 if seconds >= 30 else 0)
        self.at += seconds


@pytest.fixture
def fake_clock() -> Iterator[FakeClock]:
    """A clock that stands still."""
    source = FakeClock()
    with clock.use(source):
        yield source


@dataclass
class Program:
    """A file of jobs, run in real processes."""

    path: Path
    url: str

    def start(self, *args: str, **environ: str) -> forked.Fork | subprocess.Popen[str]:
        """A process that runs the file's ``main``."""
        env = {**os.environ, **environ}
        loaded = ("nightproof.stores.postgres",)
        return forked.start([self.url, *args], Path.cwd(), env, program=self.path, loaded=loaded)

    def run(self, *args: str, **environ: str) -> tuple[int, str]:
        """Exit code and output of a process; its errors are part of the output."""
        process = self.start(*args, **environ)
        out, err = process.communicate(timeout=60)
        return process.returncode, out + err


HEAD = """
import asyncio, os, signal, sys, time
from pathlib import Path
from typing import Any, Literal
import nightproof
from nightproof import *
from nightproof.app import App
from nightproof.config import Settings

STORE, ARGS = sys.argv[1], sys.argv[2:]
HERE = Path(__file__).parent

class Night(Contract):
    task: Literal["night"] = "night"
    n: int = 0
    names: tuple[str, ...] = ()

def log(line):
    # One write with O_APPEND: whole even where several processes write.
    with open(HERE / "log", "ab", buffering=0) as file:
        file.write(f"{line}\\n".encode())
"""
TAIL = """
async def _main():
    app = App(Settings(store=STORE, **globals().get("SETTINGS", {})))
    try:
        outcome = await app.run(main, globals().get("CONTRACT") or Night())
        if outcome.error is not None:
            raise outcome.error
        print("result", outcome.value, outcome.executed, outcome.replayed)
    finally:
        await app.close()

if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except NightproofError as error:
        print(type(error).__name__, error)
        sys.exit(error.exit_code)
"""


@pytest.fixture
def program(store: str, tmp_path: Path) -> Callable[[str], Program]:
    """Make a program of the text of a job called ``main``."""

    def make(text: str) -> Program:
        path = tmp_path / "program.py"
        path.write_text(HEAD + text + TAIL)
        return Program(path, store)

    return make


@pytest.fixture
def log(tmp_path: Path) -> Callable[[], list[str]]:
    """What programs have logged so far."""

    def read() -> list[str]:
        path = tmp_path / "log"
        return path.read_text().splitlines() if path.exists() else []

    return read


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.PostgresServer]:
    """A real Postgres for all tests of this process; each takes a database of its own."""
    # Not below pytest's folders: Postgres runs as another user where the tests run as root.
    with (
        tempfile.TemporaryDirectory(prefix="nightproof-postgres-") as folder,
        servers.postgres(folder, fast=True) as server,
    ):
        yield server


@pytest.fixture
def postgres_schema(postgres_server: servers.PostgresServer) -> Callable[[], str]:
    """Makes URLs of empty stores, each in a schema of its own of one Postgres."""
    # Tables are made faster than databases; the server goes away with all of them.
    return lambda: f"{postgres_server.url}?schema=s{next(_schemas)}_{os.getpid()}"


@pytest.fixture(scope="session")
def temporal_server() -> Iterator[servers.TemporalServer]:
    """A real Temporal server for all tests of this process; each takes names of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="nightproof-temporal-") as folder,
        servers.temporal(folder, fast=True) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[servers.S3Server]:
    """A real S3 server for all tests of this process; each takes a bucket of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="nightproof-s3-") as folder,
        servers.s3(folder) as server,
    ):
        yield server
