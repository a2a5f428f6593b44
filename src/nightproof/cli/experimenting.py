"""Starts the processes of experiments and reads what they answer."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nightproof import app, config
from nightproof.config import Settings
from nightproof.drift.compare import Comparison
from nightproof.drift.factors import Staging
from nightproof.drift.goal import Goal, Outcome, judged
from nightproof.errors import NightproofError, UsageError
from nightproof.provenance.isolation.surroundings import carried, declared, fixed
from nightproof.stores.files import FileBlobs

AT_ONCE = 2
LEAST_SECONDS = 60.0
"""An experiment has at least so long, and ten times what its step took."""
START_SECONDS = 60.0
"""So long importing a job may take beside that."""


class Laboratory:
    """Where the experiments about one divergence are made.

    `environ` is what their processes have where nothing is put back: today's variables,
    or, where run B was isolated, what every isolated attempt has.
    """

    def __init__(self, settings: Settings, found: Comparison) -> None:
        inner = found.innermost
        assert inner.first is not None
        self._settings = settings
        self._found = inner
        self._first = inner.first
        # A child run is isolated as the run is that it belongs to.
        self._options = json.loads(found.b.run.options or b"{}")
        self._limit = LEAST_SECONDS
        self._packages: list[str] = []
        self._used: set[str] = set()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._folder = tempfile.TemporaryDirectory(prefix="nightproof-explain-")
        self._number = 0
        self._children: set[subprocess.Popen[bytes]] = set()
        self._work = str(self.folder("work")) if self.level else None
        self.environ = self._surroundings()

    @property
    def level(self) -> str:
        """At which level run B was isolated, "" for none."""
        return str(self._options.get("isolate") or "").replace("L0", "")

    def expect(self, seconds: float, packages: Iterable[str]) -> None:
        """Allow a run ten times what its step took, and look which `packages` it uses."""
        self._limit = max(LEAST_SECONDS, 10 * seconds)
        self._packages = sorted(packages)

    def used(self) -> frozenset[str]:
        """The expected packages that were in memory after the step of some experiment."""
        return frozenset(self._used)

    def folder(self, name: str) -> Path:
        """A new folder that is gone when the experiments are over."""
        folder = Path(self._folder.name, name)
        folder.mkdir()
        return folder

    def _surroundings(self) -> dict[str, str]:
        if not self.level:
            return {**os.environ, "NIGHTPROOF_DEBUG": ""}
        beside = str(Path(sys.executable).parent)
        settings = self._settings.override(
            store=app.absolute(self._settings.store), blobs=_blobs(self._settings)
        )
        zone = settings.timezone
        return {
            **fixed(str(self.folder("home")), beside, str(self.folder("tmp")), zone),
            **carried(os.environ),
            **declared(os.environ, settings.variables),
            config.HANDED_OVER: config.hand_over(settings),
        }

    def close(self) -> None:
        """End what still runs, and remove what it wrote."""
        for child in self._children:
            _kill(child)
        with suppress(OSError):
            self._folder.cleanup()

    async def run(self, staging: Staging, runs: int, together: int) -> list[Outcome]:
        """See :class:`nightproof.drift.swap.Run`."""
        sizes = [min(together, runs - at) for at in range(0, runs, together)]
        found = await asyncio.gather(*(self._process(staging, size) for size in sizes))
        return [outcome for part in found for outcome in part]

    async def _process(self, staging: Staging, runs: int) -> list[Outcome]:
        async with self._turn:
            self._number += 1
            scratch = self.folder(str(self._number))
            plan = self._plan(staging, runs, scratch)
            told = await asyncio.to_thread(self._start, plan, staging)
        found = []
        for one in told["runs"]:
            self._used.update(one.get("used", ()))
            if staging.texts and not one.get("replaced", True):
                one = {"error": "the model's name is not among what the step is given"}  # noqa: PLW2901
            found.append(judged(self._first, one))
        return found

    def _plan(self, staging: Staging, runs: int, scratch: Path) -> dict[str, Any]:
        a, b = self._found.a.run, self._found.b.run
        row = a if "contract" in staging.a else b
        return {
            "target": b.target,
            "contract": row.contract.decode(),
            "digest": row.digest,
            "folder": json.loads(row.options or b"{}").get("folder"),
            "store": app.absolute(self._settings.store),
            "blobs": _blobs(self._settings),
            "goal": Goal.of(self._first).document(),
            "offer": {"runs": [a.id, b.id], "world": a.id if "world" in staging.a else b.id},
            "rules": list(self._found.rules),
            "files": dict(staging.files),
            "given": "",
            "clock": staging.clock,
            "still": staging.still,
            "texts": dict(staging.texts),
            "packages": self._packages,
            "limit": self._limit,
            "runs": runs,
            "scratch": str(scratch),
        }

    def _give(self, plan: dict[str, Any]) -> None:
        """Files that are in an object store are laid beside the experiment."""
        if app.blobs_folder(self._settings) is None:
            plan["given"] = str(Path(plan["scratch"], "given"))
            kept, given = app.open_blobs(self._settings), FileBlobs(plan["given"], durable=False)
            for digest in filter(None, plan["files"].values()):
                given.put(kept.get(digest))

    def _start(self, plan: dict[str, Any], staging: Staging) -> dict[str, Any]:
        self._give(plan)
        environ = dict(self.environ)
        for name, value in staging.variables.items():
            if value is None:
                environ.pop(name, None)
            else:
                environ[name] = value
        child = subprocess.Popen(
            [sys.executable, "-m", "nightproof.cli.staging"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
            cwd=self._work,
            start_new_session=True,
        )
        self._children.add(child)
        patience = START_SECONDS + self._limit * plan["runs"]
        try:
            out, err = child.communicate(json.dumps(plan).encode(), timeout=patience)
        except subprocess.TimeoutExpired:
            _kill(child)
            child.communicate()
            return {"runs": [{"error": f"it took longer than {patience:g} s"}]}
        finally:
            self._children.discard(child)
        return _answer(child, out, err)


def _answer(child: subprocess.Popen[bytes], out: bytes, err: bytes) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(out)
    except ValueError:
        last = err.decode("utf-8", "replace").strip().splitlines()[-1:]
        what = last[0] if last else f"exit code {child.returncode}"
        raise NightproofError(
            f"an experiment's process failed: {what}", "Nothing was changed."
        ) from None
    if told.get("staging"):
        return {"runs": [{"error": told["error"]}] * told["staging"]}
    if "error" in told:
        raise UsageError(f"an experiment cannot be made: {told['error']}", told["hint"])
    return told


def _kill(child: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)


def _blobs(settings: Settings) -> str:
    """The setting, for a process with another working folder."""
    folder = app.blobs_folder(settings)
    return settings.blobs if folder is None else str(folder.absolute())
