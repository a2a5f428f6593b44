"""A world with a real Temporal server: workers in this process, or in processes to kill."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import forked
import pytest
from tests.temporal.command import LOADED, Child

from nightproof import app
from nightproof.config import Settings
from nightproof.engines.attempt import Options, Outcome
from nightproof.engines.temporal import client, control, starting
from nightproof.engines.temporal.activities import Activities
from nightproof.engines.temporal.connection import Connection, connect
from nightproof.engines.temporal.execution import host_of
from nightproof.engines.temporal.worker import Worker
from nightproof.engines.temporal.workflow import STATE, serve
from nightproof.journal.protocol import Journal
from nightproof.journal.records import Entry, RunRow, run_name
from nightproof.model.states import RunStatus

LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 30.0


class World:
    """One journal and one task queue; what a client and workers share."""

    def __init__(self, folder: Path, url: str, **given: Any) -> None:
        self.folder = folder
        self.url = f"{url}?task_queue=t-{uuid.uuid4().hex[:12]}"
        self.store = f"sqlite:///{folder / 'journal.db'}"
        self.given = given
        self._journal: Journal | None = None
        self._connection: Connection | None = None
        self._processes: list[Child] = []

    @property
    def settings(self) -> Settings:
        """What everybody here goes by."""
        return Settings(store=self.store, engine="temporal", temporal=self.url, **self.given)

    @property
    def journal(self) -> Journal:
        """The client's own connection to the store."""
        assert self._journal is not None, "enter the world first"
        return self._journal

    @property
    def connection(self) -> Connection:
        """The client's own connection to Temporal."""
        assert self._connection is not None, "enter the world first"
        return self._connection

    async def __aenter__(self) -> World:
        self._journal = app.open_journal(self.settings)
        blobs = app.open_blobs(self.settings)
        self._connection = await connect(self.settings, blobs, self._journal.refer)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.journal.close()

    @asynccontextmanager
    async def worker(self, *jobs: Any, **host: Any) -> AsyncIterator[Activities]:
        """A worker in this process; `host` replaces fields of what it lends to workflows."""
        settings = self.settings
        journal = app.open_journal(settings)
        blobs = app.open_blobs(settings)

        async def verify(contract: Any) -> None:
            await app.verify(settings, contract)

        connection = await connect(settings, blobs, journal.refer)
        named = {one.name: one for one in jobs}
        activities = Activities(
            journal, blobs, settings, app.artifacts_root(settings), named, verify=verify
        )
        worker = Worker(connection, activities, named, blobs, settings)
        lent = host_of(settings, connection.address.task_queue, named, blobs)
        serve(lent._replace(**{"heartbeat": 2.0, **host}))
        running = asyncio.ensure_future(worker.run())
        try:
            yield activities
        finally:
            worker.stop()
            await running
            await activities.close()
            await journal.close()

    def process(self, target: Path, *options: str, **environ: str) -> Child:
        """A worker as a process of its own, to be killed."""
        environment = {
            **os.environ, "NIGHTPROOF_STORE": self.store, "NIGHTPROOF_TEMPORAL": self.url,
            **environ,
        }  # fmt: skip
        words = ["worker", str(target), *options]
        with (self.folder / "worker.log").open("ab") as log:
            made = forked.start(
                words, self.folder, environment, loaded=LOADED, stdout=log.fileno(),
                stderr=log.fileno(),
            )  # fmt: skip
        self._processes.append(made)
        return made

    def kill(self) -> None:
        """End what is left of the processes."""
        for one in self._processes:
            if one.poll() is None:
                one.send_signal(signal.SIGKILL)
            one.wait()

    async def begin(
        self, job: Any, contract: Any, *, replicate: int = 0, **options: Any
    ) -> client.Begun:
        """Start a run, or join it."""
        ask = starting.request(job, contract, replicate=replicate, options=Options(**options))
        return await client.start(self.connection, ask)

    async def end(self, begun: client.Begun, job: Any) -> Outcome:
        """The outcome of a run that was begun."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer = await client.result(self.connection, begun)
        except TimeoutError:
            raise AssertionError(await self.told(begun.handle.id)) from None
        root = app.artifacts_root(self.settings)
        name = begun.handle.id.partition("/")[2]
        return await client.outcome(answer, name, job, app.open_blobs(self.settings), root)

    async def told(self, workflow_id: str) -> str:
        """What Temporal has of a workflow's newest execution, for messages."""
        handle = self.connection.client.get_workflow_handle(workflow_id)
        lines = []
        async for event in handle.fetch_history_events():
            kind = event.WhichOneof("attributes") or ""
            lines.append(f"{event.event_id} {kind} {getattr(event, kind)}"[:600])
        described = await handle.describe()
        lines += [str(one)[:600] for one in described.raw_description.pending_activities]
        return "\n".join(lines)

    async def run(self, job: Any, contract: Any, **how: Any) -> Outcome:
        """Start a run, or join it, and wait for its end."""
        return await self.end(await self.begin(job, contract, **how), job)

    async def row(self, job: Any, contract: Any, replicate: int = 0) -> RunRow | None:
        """The run's row."""
        return await self.journal.find(run_name(job.name, contract.digest, replicate))

    async def entries(self, row: RunRow, *kinds: int) -> list[Entry]:
        """The history of a run."""
        return await self.journal.entries(row.id, kinds)

    async def said(self, row: RunRow) -> list[dict[str, Any]]:
        """The lines of a run's log."""
        return [json.loads(entry.output or b"{}") for entry in await self.entries(row, 7)]

    async def until(self, what: Callable[[], Any]) -> Any:
        """Wait until `what` gives something; it may be async."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = what()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(LOOK_SECONDS)

    async def parked(self, job: Any, contract: Any) -> RunRow:
        """The run's row, once it says that it waits."""

        async def look() -> RunRow | None:
            row = await self.row(job, contract)
            if row is None or row.status is not RunStatus.PARKED:
                return None
            # The task that parked it is over too: a worker that leaves in the middle of
            # one is waited for until the task times out.
            handle = self.connection.client.get_workflow_handle(starting.workflow_id(row.name))
            return row if (await handle.query(STATE))["idle"] else None

        try:
            found: RunRow = await self.until(look)
        except TimeoutError:
            name = run_name(job.name, contract.digest, 0)
            told = await self.told(starting.workflow_id(name))
            raise AssertionError(f"{await self.row(job, contract)}\n{told}") from None
        return found

    async def poke(self, row: RunRow) -> None:
        """Tell a run to look at what it waits for."""
        await control.poke(self.connection, row.name)


@pytest.fixture
def world(tmp_path: Path, temporal_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world of one test's own, on the session's server."""
    monkeypatch.chdir(tmp_path)
    made = World(tmp_path, temporal_server.url)
    yield made
    made.kill()


@pytest.fixture
def diary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What steps wrote with :func:`wrote`-like appends to $DIARY: who really ran, in order."""
    path = tmp_path / "diary"
    monkeypatch.setenv("DIARY", str(path))

    def read() -> list[str]:
        with suppress(FileNotFoundError):
            return path.read_text().split("\n")[:-1]
        return []

    return read
