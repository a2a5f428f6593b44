"""Temporal on Postgres: workers of their own, which die and are replaced."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conforming.combination import PATIENCE, Combination
from conforming.embedded import read_all
from conforming.postgres import rows_of
from conforming.zygote import WORKS, Zygote

from nightproof import app
from nightproof.cli import distant
from nightproof.cli.targets import Target
from nightproof.config import Settings
from nightproof.durable.job import Job
from nightproof.engines.attempt import Options, Outcome
from nightproof.errors import AlreadyRunning
from nightproof.journal.records import run_name
from nightproof.model import clock
from nightproof.model.crash import FAIL_AT

JOBS = Path(__file__).parents[1] / "conforming" / "jobs"
EDITED = "after"
"""The module whose jobs have the names of another's: it has workers of its own."""


def _words(log: Path) -> str:
    """What a process has said so far, without blanks."""
    return "".join(log.read_text().split()) if log.exists() else ""


class Loop(asyncio.SelectorEventLoop):
    """Follows a run beside the test, in a thread: no signals arrive there."""

    def add_signal_handler(self, *_: Any) -> None:
        """Not here."""

    def remove_signal_handler(self, *_: Any) -> bool:
        """Nor away."""
        return False


class TemporalPostgres(Combination):
    """Workflows and activities in worker processes, the journal on a server."""

    name = "temporal-postgres"
    # A kill costs five seconds here: until its heartbeats are missed. One of each kind is enough.
    drills = (
        "test_equal_calls_are_told_apart",
        "test_killed_in_a_pure_step",
        "test_typed_values_are_the_same_live_and_on_replay",
        "test_ambient_parameters_are_no_part_of_the_identity[[]by_[dh]*",
        "test_an_effect_acts_once_and_is_replayed[[][!p]*",
        "test_killed_between_intent_and_confirmation[[]intend*",
        "test_killed_between_intent_and_confirmation[[]act-[sr]*",
        "test_an_effect_that_gives_up_reads_the_same_on_replay",
        "test_killed_between_and_inside_steps[[][!w]*",
        "test_killed_between_and_inside_steps[[]works:[ba]*",
        "test_killed_behind_the_end_it_is_complete",
        "test_killed_again_and_again",
        "test_collected_failures_stand_in_their_places",
        "test_equal_maps_side_by_side_are_told_apart",
        "test_a_map_survives_a_kill_anywhere",
        "test_a_failed_child_fails_alike_on_replay",
        "test_recorded_values",
        "test_refs_travel_by_digest",
        "test_large_values_are_spilled_and_replayed[[][!t]*",
        "test_short_sleeps_are_slept_and_recorded",
        "test_a_wait_that_timed_out_stays_so",
        "test_a_stopped_owner_is_fenced_off",
        "test_an_expiring_result_is_kept_while_it_is_good",
        "test_what_is_not_asked_for_again_is_a_divergence",
    )

    def start(self) -> None:
        """Both servers, and a worker for everything but what is edited."""
        self.environ["NIGHTPROOF_STORE"] = self.server("postgres_server").database(
            "conformance_temporal"
        )
        key = self.folder / "temporal.key"
        key.write_text(base64.b64encode(bytes(range(32))).decode() + "\n")
        key.chmod(0o600)
        self._temporal = self.server("temporal_server").url
        self.environ |= {
            "NIGHTPROOF_ENGINE": "temporal",
            "NIGHTPROOF_TEMPORAL": f"{self._temporal}?task_queue=main",
            "NIGHTPROOF_TEMPORAL_KEY": str(key),
            "NIGHTPROOF_LEASE": "6",
        }
        self._numbers = itertools.count(1)
        self._queues: dict[str, str] = {}  # of runs whose worker was killed, by name
        self._workers: dict[str, int] = {}  # their pids, by task queue
        self._live: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._zygote = Zygote(self.environ, self.folder / "log", WORKS)
        self._serve("main", "")

    def stop(self) -> None:
        """The workers go with the process that made them."""
        self._zygote.close()

    @property
    def embedded_settings(self) -> Settings:
        """Those of an embedded engine on the same store."""
        return self.settings.override(engine="embedded")

    def _serve(self, queue: str, module: str, **environ: str) -> int:
        """See to it that a worker is there for a task queue; its pid."""
        with self._lock:
            if queue in self._workers:
                return self._workers[queue]
            files = sorted(JOBS.glob("*.py"))
            chosen = [path for path in files if (path.stem == EDITED) == (module == EDITED)]
            targets = [str(path) for path in chosen if path.stem != "__init__"]
            log = self.folder / f"worker-{queue}-{next(self._numbers)}"
            pid = self._zygote.start(["worker", *targets, "--json"], self._on(queue) | environ, log)
            end = clock.monotonic() + PATIENCE
            # The last of what it says once it is ready: the targets that it could not load.
            while (failed := re.search(r'"failed":\[(.*?)\]\}', _words(log))) is None:
                assert self._zygote.wait(pid, 0.02) is None, log.read_text()
                assert clock.monotonic() < end, log.read_text()
            assert not failed[1], log.read_text()
            self._workers[queue] = pid
            return pid

    def _on(self, queue: str) -> dict[str, str]:
        return {**self.environ, "NIGHTPROOF_TEMPORAL": f"{self._temporal}?task_queue={queue}"}

    def run(self, job: Job[Any, Any], contract: Any, **how: Any) -> Outcome:
        """What the command does; and where a worker was killed, on to the end."""
        with asyncio.Runner(loop_factory=Loop) as runner:
            return runner.run(self._run(job, contract, **how))

    async def _run(
        self, job: Job[Any, Any], contract: Any, *, replicate: int = 0, **options: Any
    ) -> Outcome:
        module = job.fn.__module__.rpartition(".")[2]
        name = run_name(job.name, contract.digest, 0)
        queue = self._queues.get(name) or (EDITED if module == EDITED else "main")
        await asyncio.to_thread(self._serve, queue, module)
        settings = self.settings.override(temporal=self._on(queue)["NIGHTPROOF_TEMPORAL"])
        alone = not self._live[name]
        self._live[name] += 1
        journal = app.open_journal(settings)
        try:
            target = Target(job, job.target)
            try:
                return await distant.attempt(
                    journal, settings, target, contract, replicate, Options(**options)
                )
            except AlreadyRunning:
                if not alone:
                    raise
            return await self._follow(journal, settings, target, name)
        finally:
            self._live[name] -= 1
            await journal.close()

    def go_on(self, job: Job[Any, Any], contract: Any) -> Outcome:
        """Nobody needs to start it: its workers go on by themselves."""
        with asyncio.Runner(loop_factory=Loop) as runner:
            return runner.run(asyncio.wait_for(self._ended(job, contract), PATIENCE))

    async def _ended(self, job: Job[Any, Any], contract: Any) -> Outcome:
        from nightproof.engines.temporal import client
        from nightproof.engines.temporal.connection import connect
        from nightproof.engines.temporal.starting import workflow_id

        name = run_name(job.name, contract.digest, 0)
        journal = app.open_journal(self.settings)
        try:
            blobs = app.open_blobs(self.settings)
            connection = await connect(self.settings, blobs, journal.refer)
            handle = connection.client.get_workflow_handle(workflow_id(name))
            answer = await client.result(connection, client.Begun(handle, True))
            root = app.artifacts_root(self.settings)
            return await client.outcome(answer, name, job, blobs, root)
        finally:
            await journal.close()

    async def _follow(self, journal: Any, settings: Settings, target: Target, name: str) -> Outcome:
        from nightproof.engines.temporal import client
        from nightproof.engines.temporal.connection import connect
        from nightproof.engines.temporal.starting import workflow_id

        blobs = app.open_blobs(settings)
        connection = await connect(settings, blobs, journal.refer)
        handle = connection.client.get_workflow_handle(workflow_id(name))
        follower = distant.Follower(journal, connection, name, target)
        answer = await follower.follow(client.Begun(handle, True), None)
        if isinstance(answer, Outcome):
            return answer
        return await client.outcome(answer, name, target.job, blobs, app.artifacts_root(settings))

    def crash(self, job: Job[Any, Any], contract: Any, at: str, **environ: str) -> None:
        """A worker of its own, on a task queue of the run's own, is killed."""
        module = job.fn.__module__.rpartition(".")[2]
        name = run_name(job.name, contract.digest, 0)
        before = self._queues.get(name)
        queue = before or f"crash-{next(self._numbers)}"
        if before is not None and (pid := self._workers.pop(before, None)) is not None:
            os.kill(pid, signal.SIGKILL)
        pid = self._serve(queue, module, **{FAIL_AT: at, **environ})
        self._queues[name] = queue
        stop = threading.Event()
        starter = threading.Thread(target=self._started, args=(job, contract, stop), daemon=True)
        starter.start()
        code = self._zygote.wait(pid, PATIENCE)
        stop.set()
        starter.join(PATIENCE)
        del self._workers[queue]
        assert code == -9, f"{at} was not reached (exit {code})"

    def freeze(
        self, job: Job[Any, Any], contract: Any, when: Callable[[], object]
    ) -> Callable[[], None]:
        """A worker of its own, on a task queue of the run's own."""
        name = run_name(job.name, contract.digest, 0)
        queue = self._queues[name] = f"freeze-{next(self._numbers)}"
        pid = self._serve(queue, job.fn.__module__.rpartition(".")[2])
        stop = threading.Event()
        starter = threading.Thread(target=self._started, args=(job, contract, stop), daemon=True)
        starter.start()
        self.until(when)
        os.kill(pid, signal.SIGSTOP)
        stop.set()
        starter.join(PATIENCE)
        del self._workers[queue]

        def thaw() -> None:
            os.kill(pid, signal.SIGCONT)
            clock.block(3.0)  # it ends what it was at, and is told that it comes too late
            os.kill(pid, signal.SIGKILL)
            assert self._zygote.wait(pid, PATIENCE) == -signal.SIGKILL

        return thaw

    def _started(self, job: Job[Any, Any], contract: Any, stop: threading.Event) -> None:
        """Start the run, and follow it until the worker is dead."""

        async def main() -> None:
            following = asyncio.ensure_future(self._run(job, contract))
            while not (stop.is_set() or following.done()):  # noqa: ASYNC110 - of a thread
                await asyncio.sleep(0.02)
            following.cancel()
            await asyncio.wait((following,))

        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(main())

    def written(self) -> bytes:
        """Files, rows, and the histories of all workflows."""
        return b"\n".join(
            [
                read_all(self.folder),
                rows_of(self.environ["NIGHTPROOF_STORE"]),
                asyncio.run(self._histories()),
            ]
        )

    async def _histories(self) -> bytes:
        from temporalio.client import Client

        client = await Client.connect(self._temporal.split("/")[2])
        found: list[bytes] = []
        async for one in client.list_workflows():
            handle = client.get_workflow_handle(one.id, run_id=one.run_id)
            found += [event.SerializeToString() async for event in handle.fetch_history_events()]
        assert found
        return b"\n".join(found)
