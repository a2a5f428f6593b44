"""The process of an experiment: ``python -m nightproof.cli.staging``, a plan on stdin.

It runs a job again in a memory of its own, as a replicate without effects. What the
compared runs recorded is offered to it, only the step in which they part is not, so
that little more than that step runs; there the experiment ends. Nothing is written
but in a scratch folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from nightproof import app, config
from nightproof.blobs.protocol import BlobInfo, BlobRef, Blobs
from nightproof.cli import running, staged_clock, staged_files, staged_steps, targets
from nightproof.drift.goal import Goal, Reached
from nightproof.drift.normalise import Normaliser, normalisers
from nightproof.drift.offer import Offer, offer
from nightproof.engines.attempt import Launch, Run
from nightproof.engines.attempt.state import Ending
from nightproof.engines.embedded import Engine
from nightproof.errors import ContractError, NightproofError
from nightproof.journal.records import Claimed, CodeRow, Entry, LaneBatch, Owner, Recorded, Wanted
from nightproof.model.states import RunStatus
from nightproof.stores.files import FileBlobs
from nightproof.stores.sqlite import SqliteJournal

_MEMORY = "sqlite://:memory:"


class Layered:
    """Blobs of a store that is only read, and those that an experiment adds."""

    def __init__(self, below: Blobs, above: Blobs) -> None:
        self._below = below
        self._above = above

    def put(self, data: bytes) -> BlobRef:
        return self._above.put(data)

    def get(self, digest: str) -> bytes:
        return (self._above if self._above.exists(digest) else self._below).get(digest)

    def head(self, digest: str, most: int) -> bytes:
        return (self._above if self._above.exists(digest) else self._below).head(digest, most)

    def exists(self, digest: str) -> bool:
        return self._above.exists(digest) or self._below.exists(digest)

    def delete(self, digest: str, *, before: float | None = None) -> bool:
        return self._above.delete(digest, before=before)

    def iterate(self) -> Iterator[BlobInfo]:
        return self._above.iterate()

    def collecting(self) -> AbstractContextManager[None]:
        return self._above.collecting()

    def sweep(self, before: float) -> tuple[int, int]:
        return self._above.sweep(before)


class Asked(dict[bytes, Recorded]):
    """What is offered by fingerprint; remembers whether a point was asked for."""

    def __init__(self, journal: Staged) -> None:
        super().__init__()
        self._journal = journal

    def __bool__(self) -> bool:
        return True  # a map asks only what is not empty

    def pop(self, fp: bytes, default: Any = None) -> Any:
        self._journal.asked(fp)
        return super().pop(fp, default)


class Staged(SqliteJournal):
    """A journal in memory whose first run has a past: what is offered to it."""

    def __init__(self, offered: Offer, goal: Goal) -> None:
        super().__init__(":memory:", _MEMORY, "normal")
        self._offered = offered
        self._goal = goal
        self._first: int | None = None
        self._names: dict[int, str] = {}
        self._run: Run | None = None
        self.reached = Reached()

    def watch(self, run: Run) -> None:
        """Begin to look at what the run does; it has not yet loaded its past."""
        if run.row.id == self._first:
            self._run = run
            run.ledger.recorded = Asked(self)

    def asked(self, fp: bytes) -> None:
        """The body has come to the call with this fingerprint."""
        side = self._goal.side(fp)
        if side:
            self.reached.asked.add(side)
            if self._goal.ends_when_asked:
                self._stop()

    def _stop(self) -> None:
        if self._run is not None:
            self._run.stop(Ending("cancelled"))

    async def claim(self, want: Wanted, owner: Owner, takeover: int | None = None) -> Claimed:
        claimed = await super().claim(want, owner, takeover)
        if self._first is None:
            self._first = claimed.run.id
            return claimed._replace(before=RunStatus.RUNNING)
        return claimed

    async def index(self, run: int, inline: int) -> tuple[list[Recorded], list[int]]:
        if run != self._first:
            return await super().index(run, inline)
        return self._offered.recorded(inline), []

    async def outputs(self, run: int, seqs: Sequence[int]) -> dict[int, Entry]:
        if run != self._first:
            return await super().outputs(run, seqs)
        return self._offered.entries(seqs)

    def commit(self, batches: list[LaneBatch]) -> frozenset[int]:
        refused = super().commit(batches)
        for batch in batches:
            if batch.run == self._first:
                codes = [row for row in batch.writes if isinstance(row, CodeRow)]
                self._names |= {row.id: row.name for row in codes}
                if any(self._goal.met(one, self._names.get(one.code, "")) for one in batch.entries):
                    self._stop()
        return refused


class Stage:
    """Everything that one process sets up once for its runs."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.scratch = Path(plan["scratch"])
        self.goal = Goal.read(plan["goal"])
        self.settings = config.load(store=plan["store"], blobs=plan["blobs"] or None)
        own = {"store": _MEMORY, "artifacts": str(self.scratch), "keys": str(self.scratch)}
        self.own = self.settings.override(**own, durability="normal", witness=False)
        blobs = app.open_blobs(self.settings)
        self.offered = asyncio.run(offer(app.open_reader(self.settings), plan["offer"], self.goal))
        # A client of object stores has threads: none before the namespace and the forks.
        files = FileBlobs(plan["given"]) if plan["given"] else blobs
        self.contents = {
            name: None if digest is None else files.get(digest)
            for name, digest in plan["files"].items()
        }
        self.blobs = blobs
        space = self.scratch / "space"
        space.mkdir()
        staged_files.stage(self.contents, space)
        self.begin: Callable[[], None] = _nothing
        if plan["clock"] is not None:
            self.begin = staged_clock.stage(plan["clock"], still=plan["still"])
        self.job = targets.load(plan["target"]).job
        self.rules = self._rules()
        self.contract = self._contract()
        self.replaced = staged_steps.stage(plan["texts"], self.goal.name)

    def _contract(self) -> Any:
        wanted = running.contract_type(self.job)
        contract = wanted.load(self.plan["contract"].encode()).in_folder(self.plan["folder"])
        if contract.digest != self.plan["digest"]:
            raise ContractError(
                f"the class {wanted.__name__} has changed: the recorded contract would get "
                "another digest",
                "Restore the class, or explain newer runs.",
            )
        return contract

    def _rules(self) -> list[Normaliser]:
        known = dict(self.job.normalise)
        return [
            normalisers([known.get(name, name)])[0]._replace(name=name)
            for name in self.plan["rules"]
        ]

    async def play(self, folder: Path) -> Reached:
        """One run of the job; where it came to, and with what."""
        journal = Staged(self.offered, self.goal)
        blobs = Layered(self.blobs, FileBlobs(folder / "blobs", durable=False))
        engine = Engine(journal, blobs, self.own, folder)
        launch = Launch(
            self.job, self.contract, replicate=1, target=self.plan["target"],
            verify=self._verify, watch=journal.watch,
        )  # fmt: skip
        self.begin()
        try:
            outcome = await engine.run(launch)
            row = await journal.find(outcome.name)
            assert row is not None
            return await journal.reached.read(journal, blobs, row, self.goal, self.rules)
        finally:
            await engine.close()

    async def _verify(self, contract: Any) -> None:
        from nightproof.contract.dataset import verify_all  # models that most do not need

        await verify_all(contract, app.cache_folder(self.settings))

    def run(self, number: int) -> dict[str, Any]:
        """One run, with whatever ends it told in its place."""
        folder = self.scratch / str(number)
        folder.mkdir()
        staged_files.write(self.contents)
        try:
            found = asyncio.run(asyncio.wait_for(self.play(folder), self.plan["limit"]))
        except TimeoutError:
            return {"error": f"it took longer than {self.plan['limit']:g} s"}
        except NightproofError as error:
            return {"error": error.message}
        except Exception as error:  # noqa: BLE001 - user code may raise anything anywhere
            return {"error": f"{type(error).__name__}: {error}"}
        used = [name for name in self.plan["packages"] if _in_memory(name)]
        return {**found.document(), "replaced": self.replaced(), "used": used}


def _in_memory(name: str) -> bool:
    """Whether a module is in memory that a distribution put there; also where that is not known."""
    from importlib.metadata import PackageNotFoundError, files  # only where packages differ

    try:
        rows = files(name)
    except PackageNotFoundError:
        return False
    if rows is None:
        return True
    return not {row.parts[0].partition(".")[0] for row in rows}.isdisjoint(
        module.partition(".")[0] for module in sys.modules
    )


def _nothing() -> None:
    """The clock needs no setting."""


def _each(stage: Stage) -> list[dict[str, Any]]:
    """Every run in a process forked from this one, so that none sees what another left."""
    if threading.active_count() > 1 or stage.plan["runs"] == 1:
        # A fork of a process with threads may hang.
        return [stage.run(number) for number in range(stage.plan["runs"])]
    found = []
    for number in range(stage.plan["runs"]):
        path = stage.scratch / f"{number}.json"
        child = os.fork()
        if child == 0:
            try:
                path.write_text(json.dumps(stage.run(number)), encoding="utf-8")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        if path.exists():
            found.append(json.loads(path.read_text("utf-8")))
        else:
            found.append({"error": "its process died"})
    return found


def main() -> int:
    """Carry out the plan on stdin; the answer is one JSON document on stdout."""
    plan = json.load(sys.stdin)
    # Whatever the job prints is no part of the answer.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    document: dict[str, Any]
    try:
        stage = Stage(plan)
        document = {"runs": _each(stage)}
    except staged_files.CannotStage as error:
        document = {"error": error.message, "staging": plan["runs"]}
    except NightproofError as error:
        document = {"error": error.message, "hint": error.hint}
    json.dump(document, answer)
    answer.flush()
    # Threads of user code are not waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
