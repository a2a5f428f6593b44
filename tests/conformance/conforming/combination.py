"""What a combination of engine and store offers to the suite."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from unittest import mock

from nightproof import app, config
from nightproof.cli import commands
from nightproof.cli.main import guarded
from nightproof.config import Settings
from nightproof.durable.job import Job
from nightproof.engines.attempt import Outcome
from nightproof.journal.records import Entry, RunRow, run_name
from nightproof.model import clock
from nightproof.model.states import Kind

T = TypeVar("T")
PARK_AFTER = 1.0
"""Seconds after which a wait parks a run, in every combination."""
PATIENCE = 30.0
"""Seconds after which something that another process should do counts as never done."""


class Combination:
    """An engine on a store. To join, write a file in ``combinations/`` with a class of this kind.

    `name` is what tests call it. `differs` names tests (function names) that cannot hold
    here, each with the reason; they are run all the same and must fail. `drills` are
    patterns (``test_x``, ``test_x[*act*]``) of those that are too slow here for every day:
    other tests hold the same, and `make drill` runs them.
    """

    name: ClassVar[str]
    differs: ClassVar[Mapping[str, str]] = {}
    drills: ClassVar[tuple[str, ...]] = ()

    def __init__(self, folder: Path, server: Callable[[str], Any]) -> None:
        """`folder` is the session's own; `server` gives its fixtures by name."""
        self.folder = folder
        self.server = server
        self.environ = {
            name: text for name, text in os.environ.items() if not name.startswith("NIGHTPROOF_")
        }
        self.environ |= {
            "NIGHTPROOF_PARK_AFTER": str(PARK_AFTER),
            "NIGHTPROOF_BLOBS": str(folder / "blobs"),
            "NIGHTPROOF_ARTIFACTS": str(folder / "artifacts"),
            "NIGHTPROOF_FILES": str(folder),
            "NIGHTPROOF_VARIABLES": "CONFORMANCE_*",
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "NO_COLOR": "1",
        }

    # What a combination has to say for itself.

    def start(self) -> None:
        """Once a session, before the first test: servers, workers; sets NIGHTPROOF_STORE."""
        raise NotImplementedError

    def stop(self) -> None:
        """Once a session, after the last test: nothing may be left."""
        raise NotImplementedError

    def run(self, job: Job[Any, Any], contract: Any, **how: Any) -> Outcome:
        """Run or resume until the run has ended or is parked.

        `how`: replicate (0, -1), effects, strict, concurrency; `version` names the module
        whose jobs are in force, where there are several of one name.
        """
        raise NotImplementedError

    def crash(self, job: Job[Any, Any], contract: Any, at: str, **environ: str) -> None:
        """Run in a process that is killed (kill -9) at a crash point (see model/crash.py)."""
        raise NotImplementedError

    def freeze(
        self, job: Job[Any, Any], contract: Any, when: Callable[[], object]
    ) -> Callable[[], None]:
        """Run in a process that is stopped (SIGSTOP) `when` something is seen, for longer than
        its lease. What is returned lets it go on, until it has noticed that the run is not its own.
        """
        raise NotImplementedError

    def written(self) -> bytes:
        """Every byte that was written anywhere for the runs so far: store, blobs, logs, history."""
        raise NotImplementedError

    # What follows from it.

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return config.load(self.folder, self.environ)

    @property
    def embedded_settings(self) -> Settings:
        """Those of an embedded engine on the same store."""
        return self.settings

    def begin(self, job: Job[Any, Any], contract: Any, **how: Any) -> Future[Outcome]:
        """The same as :meth:`run`, beside the test."""
        import threading

        future: Future[Outcome] = Future()

        def work() -> None:
            try:
                future.set_result(self.run(job, contract, **how))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        return future

    def value(self, job: Job[Any, Any], contract: Any, **how: Any) -> Any:
        """The result of a run that must complete."""
        outcome = self.run(job, contract, **how)
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    def go_on(self, job: Job[Any, Any], contract: Any) -> Outcome:
        """The end of a run that was parked, once what it waits for is there."""

        def look() -> Outcome | None:
            outcome = self.run(job, contract)
            return None if outcome.status == "parked" else outcome

        found = self.until(look)
        assert found is not None
        return found

    @contextlib.contextmanager
    def surroundings(self) -> Iterator[None]:
        """The environment and the working folder of a user of this combination."""
        with (
            mock.patch.dict(os.environ, self.environ, clear=True),
            contextlib.chdir(self.folder),
        ):
            yield

    def command(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output of the command, here."""
        out = io.StringIO()
        with (
            self.surroundings(),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
        ):
            code = guarded(lambda: commands.invoke(arguments))
        return code, out.getvalue()

    def signal(self, name: str, signal: str, payload: Any) -> None:
        """``nightproof signal``."""
        code, said = self.command("signal", name, signal, json.dumps(payload))
        assert code == 0, said

    def cancel(self, name: str) -> None:
        """``nightproof cancel``."""
        code, said = self.command("cancel", name)
        assert code == 0, said

    def resolve(self, name: str, key: str, *decision: str) -> None:
        """``nightproof resolve RUN KEY --happened [RESULT] | --retry``."""
        code, said = self.command("resolve", name, key, *decision)
        assert code == 0, said

    def ask(self, question: Callable[[Any], Awaitable[T]]) -> T:
        """What `question` answers of the journal."""

        async def main() -> T:
            journal = app.open_journal(self.settings)
            try:
                return await question(journal)
            finally:
                await journal.close()

        return asyncio.run(main())

    def row(self, job: Job[Any, Any], contract: Any, replicate: int = 0) -> RunRow | None:
        """The run's row; None where there is none yet."""
        name = run_name(job.name, contract.digest, replicate)
        return self.ask(lambda journal: journal.find(name))

    def entries(self, name: str, *kinds: int) -> list[Entry]:
        """The history of a run."""

        async def read(journal: Any) -> list[Entry]:
            row = await journal.find(name)
            found: list[Entry] = await journal.entries(row.id, kinds)
            return found

        return self.ask(read)

    def notes(self, name: str, kind: str) -> list[dict[str, Any]]:
        """The events of one kind in a run's log."""
        found = [json.loads(entry.output or b"{}") for entry in self.entries(name, Kind.EVENT)]
        return [note for note in found if note["kind"] == kind]

    def until(self, look: Callable[[], T]) -> T:
        """What `look` returns once that is something."""
        end = clock.monotonic() + PATIENCE
        while not (found := look()):
            assert clock.monotonic() < end, "it never happened"
            clock.block(0.02)
        return found
