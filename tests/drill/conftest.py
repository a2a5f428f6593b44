"""A killer of processes, and the witness who compares what they did with what they recorded."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import forked
import pytest

from nightproof import app, config
from nightproof.journal.records import RunFilter
from nightproof.model.states import EffectState, Kind, RunStatus

JOBS = Path(__file__).with_name("jobs")
ROUNDS = 40
"""Attempts at one night after which it is left to end undisturbed."""
STUCK_SECONDS = 60.0
STUCK_SECONDS_BROKEN = 8.0
"""Nobody waits long for a runtime that is known to be broken."""


@dataclass
class Child:
    """A process that runs the job."""

    process: forked.Fork | subprocess.Popen[str]
    out: Path

    @property
    def said(self) -> str:
        return self.out.read_text(errors="replace")


@dataclass
class Scene:
    """A store, a list of items and a diary, with processes to run the job on them."""

    folder: Path
    number: int = 0
    broken: str = ""
    pause: float = 0.02
    processes: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.contract.write_text(json.dumps({"task": "killed", "number": self.number}))
        self.diary_path.touch()

    @property
    def contract(self) -> Path:
        return self.folder / "contract.json"

    @property
    def items_path(self) -> Path:
        return self.folder / "items"

    @property
    def diary_path(self) -> Path:
        return self.folder / "diary"

    @cached_property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'journal.db'}"

    def diary(self, after: int = 0) -> list[dict[str, Any]]:
        """The diary's lines from a number on."""
        lines = self.diary_path.read_text().splitlines()[after:]
        return [json.loads(line) for line in lines]

    def listen(self) -> tuple[Path, int]:
        """A named pipe, and the end to read from: who works says so there."""
        ready = self.folder / f"ready-{self.processes}"
        os.mkfifo(ready)
        return ready, os.open(ready, os.O_RDWR)

    def start(self, ready: Path | None = None) -> Child:
        """A process with the shipped command."""
        self.processes += 1
        out = self.folder / f"out-{self.processes}"
        environ = os.environ | {
            "NIGHTPROOF_STORE": self.url,
            "KILLED_ITEMS": str(self.items_path),
            "KILLED_DIARY": str(self.diary_path),
            "KILLED_BROKEN": self.broken,
            "KILLED_PAUSE": str(self.pause),
        }
        if ready is not None:
            environ["KILLED_READY"] = str(ready)
        with out.open("wb") as file:
            process = forked.start(
                ["run", f"{JOBS / 'killed.py'}:killed", str(self.contract), "--json"],
                Path.cwd(),
                environ,
                stdout=file.fileno(),
                stderr=subprocess.STDOUT,
            )
        return Child(process, out)

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """What `question` answers of the journal."""

        async def main() -> Any:
            journal = app.open_journal(config.Settings(store=self.url))
            try:
                return await question(journal)
            finally:
                await journal.close()

        return asyncio.run(main())

    def recorded(self) -> Counter[str]:
        """How often the result of each item is in the journal."""

        async def read(journal: Any) -> Counter[str]:
            found: Counter[str] = Counter()
            for run in await journal.runs(RunFilter()):
                entries = await journal.entries(run.id, kinds=(Kind.RESULT,))
                codes = await journal.codes({entry.code for entry in entries})
                for entry in entries:
                    if codes[entry.code].name == "work":
                        inputs = json.loads(entry.inputs)
                        found[(inputs["args"] if isinstance(inputs, dict) else inputs)[0]] += 1
            return found

        return self.ask(read)

    def status(self) -> RunStatus | None:
        """The run's status; None before there is one."""

        async def read(journal: Any) -> RunStatus | None:
            runs = await journal.runs(RunFilter())
            return runs[0].status if runs else None

        return self.ask(read)

    def result(self) -> Any:
        """The recorded result."""

        async def read(journal: Any) -> Any:
            (run,) = await journal.runs(RunFilter())
            return json.loads(run.result) if run.result else None

        return self.ask(read)

    def settle(self) -> int:
        """Decide about the effects on hold as a person would who has read the diary."""
        acts = {line["item"] for line in self.diary() if line["what"] == "act"}

        async def decide(journal: Any) -> int:
            rows = [r for r in await journal.effects() if r.state is EffectState.FAILED]
            for row in rows:
                happened = row.key in acts
                output = json.dumps(row.key).encode() if happened else None
                await journal.resolve(row.key, happened, output)
            return len(rows)

        return self.ask(decide)


@dataclass
class Killer:
    """Kills the processes of one night at random moments and judges what it finds."""

    scene: Scene
    chance: Random
    at_once: int = 1
    shuffle: bool = True
    wait: tuple[float, float] = (0.005, 0.2)
    items: list[str] = field(default_factory=list)
    kills: int = 0
    rounds: int = 0
    owners: int = 0
    turned_away: int = 0
    resolved: int = 0
    wrong: list[str] = field(default_factory=list)
    _made: int = 0

    def fill(self, count: int) -> None:
        """The items that the night begins with."""
        self.items = [self._new() for _ in range(count)]
        self._write()

    def _new(self) -> str:
        self._made += 1
        return f"i{self._made}{'xyz'[self._made % 3] * (self._made % 4)}"

    def _write(self) -> None:
        self.scene.items_path.write_text("\n".join(self.items))

    def edit(self) -> None:
        """Insert at the front, remove, reorder."""
        if not self.shuffle:
            return
        for _ in range(self.chance.randrange(3)):
            self.items.insert(0, self._new())
        for _ in range(self.chance.randrange(3)):
            self.items.pop(self.chance.randrange(len(self.items)))
        if self.chance.random() < 0.5:
            a, b = sorted(self.chance.sample(range(len(self.items)), 2))
            self.items[a:b] = self.chance.sample(self.items[a:b], b - a)
        self._write()

    def round(self, kill: bool = True) -> None:
        """Start the processes, kill whichever works, wait for the others to leave."""
        self.rounds += 1
        before = len(self.scene.diary())
        finished = set(self.scene.recorded()) if self.scene.status() else set()
        finished |= {line["item"] for line in self.scene.diary() if line["what"] == "took"}
        ready, reads = self.scene.listen()
        children = [self.scene.start(ready) for _ in range(self.at_once)]
        try:
            self._hunt(children, reads, kill)
        finally:
            os.close(reads)
            for child in children:
                if child.process.poll() is None:
                    child.process.kill()
                    child.process.wait()
        self._examine(children, finished, self.scene.diary(before))
        self.resolved += self.scene.settle()

    def _hunt(self, children: Sequence[Child], reads: int, kill: bool) -> None:
        by_pid = {child.process.pid: child for child in children}
        patience = STUCK_SECONDS_BROKEN if self.scene.broken else STUCK_SECONDS
        deadline = time.monotonic() + patience
        while any(child.process.poll() is None for child in children):
            if time.monotonic() > deadline:
                self.wrong.append(f"round {self.rounds}: stuck")
                return
            if not select.select([reads], [], [], 0.05)[0]:
                continue
            for word in os.read(reads, 4096).split():
                self.owners += 1
                if not kill:
                    continue
                time.sleep(self.chance.uniform(*self.wait))
                victim = by_pid[int(word)].process
                if victim.poll() is None:
                    victim.kill()
                    self.kills += victim.wait() == -signal.SIGKILL

    def _examine(
        self, children: Sequence[Child], finished: set[str], lines: list[dict[str, Any]]
    ) -> None:
        for line in lines:
            if line["what"] == "done" and line["item"] in finished:
                self.wrong.append(f"round {self.rounds}: {line['item']} ran again")
            if line["what"] == "took":
                if line["found"].partition(":")[0] != line["item"]:
                    found = f"{line['item']} got the result {line['found']}"
                    self.wrong.append(f"round {self.rounds}: {found} of another item")
                finished.add(line["item"])
        spans: dict[int, list[int]] = defaultdict(list)
        for line in lines:
            spans[line["pid"]].append(line["t"])
        order = sorted((min(times), max(times), pid) for pid, times in spans.items())
        for (_, end, a), (start, _, b) in pairwise(order):
            if start < end:
                self.wrong.append(f"round {self.rounds}: {a} and {b} worked at the same time")
        for child in children:
            code = child.process.returncode
            if child.process.pid not in spans and code == 0:
                if "already running" in child.said:
                    self.turned_away += 1
                elif '"completed"' not in child.said.replace(" ", ""):
                    self.wrong.append(f"round {self.rounds}: left with {child.said[-300:]}")
            elif code not in (0, 75, -signal.SIGKILL):
                self.wrong.append(f"round {self.rounds}: exit {code}: {child.said[-600:]}")

    def finish(self) -> None:
        """Leave the night alone until it is over, and compare."""
        for _ in range(ROUNDS):
            if self.scene.status() is RunStatus.COMPLETED:
                break
            self.round(kill=False)
        if self.scene.status() is not RunStatus.COMPLETED:
            self.wrong.append(f"the run is {self.scene.status()} in the end")
            return
        self._compare()

    def _compare(self) -> None:
        undisturbed = Scene(self.scene.folder / "undisturbed", self.scene.number, pause=0.001)
        undisturbed.items_path.write_text("\n".join(self.items))
        child = undisturbed.start()
        child.process.wait()
        expected, found = undisturbed.result(), self.scene.result()
        if expected != found:
            self.wrong.append(f"result {found} instead of {expected}")
        twice = [item for item, n in self.scene.recorded().items() if n > 1]
        if twice:
            self.wrong.append(f"recorded twice: {twice}")
        self._count_acts({line["item"] for line in undisturbed.diary() if line["what"] == "act"})

    def _count_acts(self, wanted: set[str]) -> None:
        keys: dict[str, list[str]] = defaultdict(list)
        for line in self.scene.diary():
            if line["what"] == "act":
                keys[line["item"]].append(line["idempotency"])
        for key, acts in keys.items():
            if len(acts) > 1 and not (key.startswith("retry/") and len(set(acts)) == 1):
                self.wrong.append(f"effect {key} was performed {len(acts)} times")
        for key in wanted - set(keys):
            if not key.startswith("skip/"):
                self.wrong.append(f"effect {key} was never performed")


@pytest.fixture
def scene(tmp_path: Path) -> Callable[..., Scene]:
    """Makes scenes."""
    return lambda name="night", **options: Scene(tmp_path / name, **options)


@dataclass
class Toll:
    """What many nights of killing came to."""

    kills: int = 0
    rounds: int = 0
    nights: int = 0
    owners: int = 0
    turned_away: int = 0
    resolved: int = 0
    wrong: list[str] = field(default_factory=list)


@pytest.fixture
def massacre(tmp_path: Path) -> Callable[..., Toll]:
    """Kills until `kills` processes have died, over as many nights as that takes."""

    def until(
        kills: int,
        *,
        seed: int = 1,
        items: int = 150,
        at_once: int = 1,
        broken: str = "",
        until_told: str = "",
        pause: float = 0.02,
        **options: Any,
    ) -> Toll:
        toll, chance = Toll(), Random(seed)

        def told(wrong: list[str]) -> bool:
            return bool(until_told) and any(until_told in text for text in wrong)

        while toll.kills < kills and not told(toll.wrong):
            toll.nights += 1
            place = Scene(tmp_path / f"night-{toll.nights}", toll.nights, broken, pause)
            killer = Killer(place, chance, at_once, **options)
            killer.fill(items)
            while toll.kills + killer.kills < kills and killer.rounds < ROUNDS:
                killer.round()
                if place.status() is RunStatus.COMPLETED or told(killer.wrong):
                    break
                killer.edit()
            if not told(killer.wrong):
                killer.finish()
            for name in ("kills", "rounds", "owners", "turned_away", "resolved"):
                setattr(toll, name, getattr(toll, name) + getattr(killer, name))
            toll.wrong += [f"night {toll.nights}: {text}" for text in killer.wrong]
        return toll

    return until
