"""Activities without a server: called as a workflow calls them, on a journal of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.common import RawValue
from temporalio.testing import ActivityEnvironment

from nightproof import app as apps
from nightproof.config import Settings
from nightproof.durable.effect import Effect
from nightproof.engines.temporal.activities import Activities
from nightproof.model.fingerprint import fingerprint, repeated


@dataclass
class Worker:
    """One worker process: its activities, and what a workflow would know of its run."""

    activities: Activities
    head: dict[str, Any] = field(default_factory=dict)
    begun: dict[str, Any] = field(default_factory=dict)

    async def perform(self, act: Any, message: Any, environment: Any = None) -> dict[str, Any]:
        """Carry out one activity; its answer as it would travel."""
        env = environment or beating()
        if act == self.activities.call:
            message = [RawValue(env.payload_converter.to_payload(message))]
        answer = await env.run(act, message)
        return json.loads(json.dumps(answer))

    async def begin(self, job: Any, contract: Any, **more: Any) -> dict[str, Any]:
        """Own the run."""
        options = {"effects": False, "concurrency": {}, "answers": {}, **more.pop("options", {})}
        ask = {
            "job": job.name, "contract": contract.to_json(), "replicate": 0, "options": options,
            "strict": False, "remembered": "{}", "parent": None, "target": "",
            "workflow": "nightproof/it", "started_ms": 1000, "token": None, "notes": {}, **more,
        }  # fmt: skip
        self.begun = await self.perform(self.activities.begin, ask)
        if run := self.begun.get("run"):
            self.head = {
                "run": run["id"], "name": run["name"], "job": job.name, "token": run["token"],
                "n": 1, "strict": ask["strict"], "options": options, "pending": [],
            }  # fmt: skip
        return self.begun

    def ask(self, routine: Any, *args: Any, op: str = "", **more: Any) -> dict[str, Any]:
        """The message for a call of a step or effect."""
        op = op or ("effect" if isinstance(routine, Effect) else "step")
        occurrence = more.pop("occurrence", 0)
        values = routine.arguments.bind(args, more.pop("kwargs", {}))
        parts = routine.arguments.parts(values)
        prefix = b"\0effect" + routine.prefix if op == "effect" else routine.prefix
        fp = repeated(fingerprint(prefix, parts), occurrence)
        return {
            "head": self.head, "op": op, "step": routine.name, "module": routine.fn.__module__,
            "args": [part.decode() for part in parts], "fp": fp.hex(), "occurrence": occurrence,
            **more,
        }  # fmt: skip

    async def call(self, routine: Any, *args: Any, **more: Any) -> dict[str, Any]:
        """The answer to a call of a step or effect."""
        environment = more.pop("environment", None)
        message = self.ask(routine, *args, **more)
        return await self.perform(self.activities.call, message, environment)

    async def chunk(
        self, step: Any, given: list[Any], environment: Any = None, **more: Any
    ) -> dict[str, Any]:
        """The answer to some items of a map."""
        calls = [self.ask(step, item) for item in given]
        message = {
            "head": self.head, "op": "chunk", "step": step.name, "module": step.fn.__module__,
            "common": calls[0]["args"][1:], "width": 4, "on_error": "collect",
            "items": [[one["args"][0], "", one["fp"], 0] for one in calls], **more,
        }  # fmt: skip
        return await self.perform(self.activities.call, message, environment)

    async def end(self, status: str = "completed", **more: Any) -> dict[str, Any]:
        """The outcome of the run."""
        ask = {
            "head": self.head, "status": status, "resumed": False, "undoable": [], "unasked": [],
            "last_seq": -1, "executed": 0, "replayed": 0, "failed": 0, "artifacts": [],
            "divergences": [], "changed": {}, **more,
        }  # fmt: skip
        return await self.perform(self.activities.end, ask)

    async def entries(self, *kinds: int) -> list[Any]:
        """What is on record of the run."""
        return await self.activities.host.journal.entries(self.head["run"], kinds)


def beating(seconds: float = 0.2) -> ActivityEnvironment:
    """An activity whose heartbeats are due within `seconds`."""
    env = ActivityEnvironment()
    env.info = replace(env.info, heartbeat_timeout=timedelta(seconds=seconds))
    return env


@dataclass
class Workers:
    """Worker processes on one store."""

    folder: Path
    jobs: dict[str, Any]
    given: dict[str, Any] = field(default_factory=dict)

    def settings(self) -> Settings:
        url = f"sqlite:///{self.folder}/journal.db"
        return Settings(**{"store": url, "witness": False, **self.given})

    def run(self, test: Callable[..., Awaitable[Any]], count: int = 1, warm: bool = True) -> Any:
        """Run a test of so many workers in a loop of its own."""

        async def main() -> Any:
            settings = self.settings()
            workers, journals = [], []
            for _ in range(count):
                journal = apps.open_journal(settings)
                journals.append(journal)
                blobs = apps.open_blobs(settings)
                root = apps.artifacts_root(settings)
                activities = Activities(journal, blobs, settings, root, self.jobs, boot=1)
                if warm:
                    await activities.warm()
                workers.append(Worker(activities))
            try:
                return await test(*workers)
            finally:
                for worker, journal in zip(workers, journals, strict=True):
                    await worker.activities.close()
                    await journal.close()

        return asyncio.run(main())


async def until(look: Callable[[], bool]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(20):
        while True:
            if look():
                return
            await asyncio.sleep(0.005)


@pytest.fixture(name="until")
def until_() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """See :func:`until`."""
    return until


@pytest.fixture(name="beating")
def beating_() -> Callable[..., ActivityEnvironment]:
    """See :func:`beating`."""
    return beating


@pytest.fixture
def workers(tmp_path: Path, request: pytest.FixtureRequest) -> Workers:
    """Workers for the jobs of the test's module."""
    from nightproof import Job

    jobs = {one.name: one for one in vars(request.module).values() if isinstance(one, Job)}
    return Workers(tmp_path, jobs)
