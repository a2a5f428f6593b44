"""``nightproof demo``: the weekly report, killed for real, resumed, run again; and a drift.

Every claim it prints is checked; exit 1 where one does not hold.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nightproof
from nightproof import app, config, views
from nightproof.cli.demo_drift import DemoFailed, Drifting, check, environ_of
from nightproof.cli.session import terminal
from nightproof.cli.table import local, painted
from nightproof.errors import NotFound, UsageError
from nightproof.journal.records import RunFilter, RunRow
from nightproof.model import clock

STEP = "analyse_currency"
KILL_AFTER = 15
"""So many currencies are recorded before the process is killed."""
DELAY_SECONDS = "0.25"
PATIENCE_SECONDS = 60.0
DATA = "The exchange rates come with a package: pip install 'nightproof[demo]'"
# In this week some currencies moved beyond three standard deviations.
WEEK = ("2026-10-26T00:00:00+01:00", "2026-11-02T00:00:00+01:00")
DROPPED = ("GEMINI_API_KEY",)


@dataclass(frozen=True, slots=True)
class Ended:
    """One process of the job: its JSON document, and how long it took in seconds."""

    document: dict[str, Any]
    took: float


def demo(folder: Path | None, cause: str) -> int:
    """Show it, with a drift that has the given cause; 1 where a claim does not hold."""
    check(cause)
    example = _example()
    contract = _contract(example)
    place = _fresh(folder)
    (place / "contract.json").write_text(json.dumps(contract, indent=2) + "\n", "utf-8")
    stage = _Stage(place, example / "job.py")
    stage.act()
    drifting = Drifting(place, example, stage.environ, cause, stage.claim)
    drifting.act(6)
    if stage.broken:
        print(f"\n{len(stage.broken)} claims did not hold.")
        return 1
    print(f"\nAll {stage.checked} claims were checked and hold.")
    print(f"The report:   {stage.report}")
    print(f"The journal:  cd {place} && {_command()} show {stage.run}")
    print(f"Its pages:    cd {place} && {_command()} serve")
    return 0


def _command() -> str:
    """How to call this nightproof from a shell, also where its environment is not activated."""
    beside = Path(sys.executable).with_name("nightproof")
    if shutil.which("nightproof") == str(beside):
        return "nightproof"
    return shlex.quote(str(beside)) if beside.exists() else f"{sys.executable} -m nightproof"


def _example() -> Path:
    """The weekly report: inside the installed package, or beside it in a clone."""
    package = Path(nightproof.__file__).parent
    for found in (
        package / "_examples" / "weekly_report",
        package.parents[1] / "examples" / "weekly_report",
    ):
        if (found / "job.py").is_file():
            return found
    raise NotFound(
        "the weekly report is not part of this installation",
        "Install nightproof from its wheel, or run `make demo` in a clone.",
    )


def _contract(example: Path) -> dict[str, Any]:
    sys.path.insert(0, str(example.parent))
    try:
        written = importlib.import_module("weekly_report.contract").weekly_contract(*WEEK)
    except FileNotFoundError:
        raise NotFound("the exchange rates that the demo reads are not installed", DATA) from None
    except ModuleNotFoundError as error:
        raise NotFound(f"the demo needs the package '{error.name}'", DATA) from None
    finally:
        sys.path.remove(str(example.parent))
    return dict(written)


def _fresh(folder: Path | None) -> Path:
    """A folder that is new or empty."""
    if folder is None:
        folder = Path("nightproof-demo")
        number = 1
        while folder.exists():
            number += 1
            folder = Path(f"nightproof-demo-{number}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty", "Name a new folder with --dir.")
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be used: {error.strerror}", "Name another folder with --dir."
        ) from None
    return folder.absolute()


class _Stage:
    """The demonstration in one folder."""

    def __init__(self, place: Path, job: Path) -> None:
        self.place = place
        self.broken: list[str] = []
        self.checked = 0
        self.report = self.run = ""
        self._sink = place / "outbox.jsonl"
        store = f"sqlite:///{place}/.nightproof/journal.db"
        self._settings = config.load(folder=place, environ={}, store=store)
        self._command = [sys.executable, "-m", "nightproof", "run", f"{job}:weekly_report",
                         "contract.json", "--json"]  # fmt: skip
        self.environ = environ_of(store, DROPPED)
        self._env = self.environ | {
            "NIGHTPROOF_DEMO_DELAY": DELAY_SECONDS,
            "NIGHTPROOF_SLACK_SINK": str(self._sink),
        }

    def claim(self, text: str, holds: bool) -> None:
        """Print one claim and whether it holds."""
        self.checked += 1
        print(f"   {painted('ok', 'ok ') if holds else painted('problem', 'NOT')}  {text}")
        if not holds:
            self.broken.append(text)

    def act(self) -> None:
        """All of it."""
        print(f"In {self.place}: the ECB's euro rates of one week, 41 currencies.\n")
        print("1. nightproof run …/job.py:weekly_report contract.json, and kill -9 in the middle")
        before = self._killed()
        print("\n2. The same command again: it goes on")
        resumed = self._finish()
        self._compare(before, resumed)
        print("\n3. The same command once more: the same contract is the same run")
        again = self._finish()
        steps = again.document["steps"]
        same = again.document["result"] == resumed.document["result"]
        self.claim(f"nothing was run, {steps['executed']} steps executed", steps["executed"] == 0)
        self.claim(f"the recorded result came back in {again.took:.2f} s", same)
        self._world(resumed.document)
        self._log()

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            cwd=self.place,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=None if terminal(sys.stderr) else subprocess.PIPE,
            text=True,
        )

    def _killed(self) -> list[views.ItemView]:
        """Start the job, kill it when enough is recorded; what was recorded then."""
        until = clock.monotonic() + PATIENCE_SECONDS
        with self._start() as child:
            while len(self._items()) < KILL_AFTER:
                if child.poll() is not None or clock.monotonic() > until:
                    child.kill()
                    out, err = child.communicate()
                    raise DemoFailed(f"the job ended before it could be killed: {err or out}")
                clock.block(0.02)
            child.kill()
            child.communicate()
        before = self._items()
        total = self._total()
        killed = child.returncode == -9
        self.claim(f"pid {child.pid} died of SIGKILL", killed)
        held = KILL_AFTER <= len(before) < total
        self.claim(f"the journal holds {len(before)} of {total} currencies", held)
        self.run = asyncio.run(self._row()).name
        return before

    def _finish(self) -> Ended:
        started = clock.monotonic()
        with self._start() as child:
            out, err = child.communicate(timeout=PATIENCE_SECONDS)
        took = clock.monotonic() - started
        if child.returncode != 0:
            raise DemoFailed(f"the job ended with exit {child.returncode}: {err or out}")
        return Ended(json.loads(out), took)

    def _compare(self, before: list[views.ItemView], resumed: Ended) -> None:
        after, total = self._items(), self._total()
        steps = resumed.document["steps"]
        self.claim(
            f"completed in {resumed.took:.1f} s: {steps['replayed']} replayed, "
            f"{steps['executed']} executed",
            resumed.document["status"] == "completed" and steps["replayed"] >= len(before),
        )
        kept = {one.seq: (one.key, one.output) for one in before}
        now = {one.seq: (one.key, one.output) for one in after}
        self.claim(
            f"the {len(before)} currencies on record were not computed again",
            all(now.get(seq) == found for seq, found in kept.items()),
        )
        self.claim(
            f"each of the {total} currencies was recorded exactly once",
            len(after) == len({one.key for one in after}) == total,
        )

    def _world(self, document: dict[str, Any]) -> None:
        print("\n4. What the world has seen of it")
        sent = len(self._sink.read_text("utf-8").splitlines()) if self._sink.exists() else 0
        self.claim(f"{sent} notification for 3 starts", sent == 1)
        artifacts = document["artifacts"]
        right = [
            hashlib.sha256(Path(one["path"]).read_bytes()).hexdigest() == one["sha256"]
            for one in artifacts
        ]
        names = ", ".join(Path(one["path"]).name for one in artifacts)
        self.claim(f"{names}: on disk, with the recorded sha256", bool(right) and all(right))
        self.report = next((a["path"] for a in artifacts if a["path"].endswith(".html")), "")
        result = document["result"]
        print(f"        {result['headline']}")
        for anomaly in result["anomalies"]:
            print(f"        anomaly: {anomaly}")

    def _log(self) -> None:
        print(f"\n5. nightproof logs {self.run}")
        told = ("started", "died", "resumed", "completed", "effect", "artifact")
        for line in asyncio.run(self._timeline()):
            if line.kind in told:
                print(f"   {local(line.at)}  {painted(line.kind)}  {line.text}")

    def _items(self) -> list[views.ItemView]:
        try:
            return asyncio.run(self._read_items())
        except NotFound:
            return []

    async def _row(self) -> RunRow:
        reader = app.open_reader(self._settings)
        rows = await reader.runs(RunFilter(limit=1))
        if not rows:
            raise NotFound("no run yet")
        return rows[0]

    async def _read_items(self) -> list[views.ItemView]:
        reader = app.open_reader(self._settings)
        page = await views.items(reader, await self._row(), step=STEP, limit=1000)
        return page.items

    def _total(self) -> int:
        async def read() -> int:
            reader = app.open_reader(self._settings)
            steps = await views.counts(reader, await self._row())
            return next((one.total or 0 for one in steps if one.step == STEP), 0)

        return asyncio.run(read())

    async def _timeline(self) -> list[views.Line]:
        return await views.timeline(app.open_reader(self._settings), await self._row())
