"""How long the dashboard's pages take on a full store: ``python -m bench.morning``.

The store has a thousand open runs, a map of 100,000 items (--items) of which a thousandth have
failed, 900,000 steps elsewhere, and a month of nights of twenty jobs. A line is a page: the median
and the worst server time of ten answers in milliseconds (the server's own measure, header
Server-Timing; the first answer counts what the others know), its size, and the same over the time
of a bare scan of the map's history in the same store, which is what a page would take that read
everything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from urllib.parse import quote

from nightproof import app
from nightproof.config import Settings
from nightproof.journal.protocol import Journal
from nightproof.journal.records import (
    CodeRow,
    Entry,
    Finish,
    LaneBatch,
    Owner,
    RunFilter,
    RunRow,
    Wanted,
    checksum,
    event,
)
from nightproof.model import clock, identity
from nightproof.model.canonical import sha256_hex
from nightproof.model.states import Kind, RunStatus
from nightproof.web.dashboard import Dashboard

OPEN_RUNS = 1_000
OPEN_STEPS = 100
MAP_ITEMS = 100_000
MAPS = 9
JOBS = 20
NIGHTS = 30
GROUP = 5_000
TIMES = 10
LIMIT_MS = 300.0


class Past(clock.System):
    """The clock, set back while the store is filled."""

    behind = 0.0

    def wall(self) -> float:  # type: ignore[override]
        return clock.System.wall() - self.behind


class Filler:
    """Writes runs into a journal as engines do, without running anything."""

    def __init__(self, journal: Journal, past: Past) -> None:
        self._journal = journal
        self._past = past
        self._owner = Owner(identity.here(), 0, 3_600_000)
        self._random = random.Random(6)
        self._code = 100

    async def run(self, job: str, n: int, days_ago: float, **more: object) -> RunRow:
        """A run that is owned, as it is while it works."""
        self._past.behind = days_ago * 86400
        contract = json.dumps({"task": job, "n": n, "countries": ["DE", "FR"]}).encode()
        digest = "sha256:" + sha256_hex(contract)
        want = Wanted(job, digest, contract, target=f"jobs.py:{job}", **more)  # type: ignore[arg-type]
        return (await self._journal.claim(want, self._owner)).run

    async def write(self, run: RunRow, entries: Sequence[Entry], *writes: object) -> None:
        """Commit a history, some thousands of entries at a time."""
        for at in range(0, max(1, len(entries)), GROUP):
            last = at + GROUP >= len(entries)
            batch = LaneBatch(
                run.id,
                run.token,
                entries[at : at + GROUP],
                writes if last else (),  # type: ignore[arg-type]
            )
            done = self._journal.commit([batch])
            if not isinstance(done, frozenset):
                await done

    def steps(
        self, run: RunRow, code: int, count: int, keyed: bool, failing: int = 0
    ) -> list[Entry]:
        """So many results of one step; every `failing`-th is a failure."""
        now = clock.now_ms()
        found = []
        for i in range(count):
            args = [i, "2026-11-21T00:00:00+01:00"]
            inputs = {"key": f"item-{i:06}", "args": args} if keyed else args
            failed = failing and i % failing == failing - 1
            output: object = {"rows": i, "total": self._random.random()}
            if failed:
                output = {"type": "ValueError", "message": f"item {i} is broken", "attempts": []}
            data = json.dumps(output).encode()
            fp = self._random.randbytes(16)
            kind = Kind.FAILURE if failed else Kind.RESULT
            took = int(self._random.expovariate(1 / 20_000))
            found.append(
                Entry(
                    run.id, i + 1, kind, code, fp, now + i, took, json.dumps(inputs).encode(), data,
                    None, checksum(fp, data, None),
                )
            )  # fmt: skip
        return found

    def code(self, name: str) -> CodeRow:
        """A step's name and digest."""
        self._code += 1
        return CodeRow(self._code, name, sha256_hex(name.encode()))

    async def fill(self, scale: float = 1.0, items: int = MAP_ITEMS) -> None:
        """All that the benchmark asks for, times `scale`; `items` in the map that is looked at."""
        for n in reversed(range(MAPS)):  # the newest is looked at
            many = MAP_ITEMS if n else items
            await self._map("enrichment", n, int(many * scale), 0 if n else 1_000)
        for n in range(JOBS):
            for night in range(NIGHTS):
                await self._night(f"job_{n:02}", NIGHTS - night)
        for n in range(int(OPEN_RUNS * scale)):
            await self._open(n, OPEN_STEPS)
        self._past.behind = 0.0

    async def _map(self, job: str, n: int, items: int, failing: int) -> None:
        run = await self.run(job, n, 1 + n)
        code = self.code("enrich")
        told = {"kind": "map", "step": "enrich", "total": items}
        entries = [event(run.id, 0, clock.now_ms(), json.dumps(told).encode())]
        entries += self.steps(run, code.id, items, True, failing)
        end = Finish(RunStatus.COMPLETED, clock.now_ms() + items, "completed", b"1")
        await self.write(run, entries, code, end)

    async def _night(self, job: str, days_ago: int) -> None:
        run = await self.run(job, days_ago, days_ago)
        failed = self._random.random() < 0.02
        measure = {"kind": "measure", "name": "rows", "value": self._random.gauss(900, 60)}
        note = event(run.id, 0, clock.now_ms(), json.dumps(measure).encode())
        code = self.code("collect")
        status = RunStatus.FAILED if failed else RunStatus.COMPLETED
        error = b'{"type": "StepFailed", "message": "quota"}' if failed else None
        end = Finish(status, clock.now_ms() + 240_000, str(status), b"1", error=error)
        await self.write(run, [note, *self.steps(run, code.id, 5, False)], code, end)

    async def _open(self, n: int, steps: int) -> None:
        run = await self.run("reconcile", n, n / OPEN_RUNS)
        code = self.code("reconcile_account")
        entries = self.steps(run, code.id, steps, False)
        if n % 2:
            await self.write(run, entries, code)
            return
        parked = Finish(
            RunStatus.PARKED, clock.now_ms(), "parked", wake=clock.now_ms() + 86_400_000,
            waiting="quota 'admob' is used up",
        )  # fmt: skip
        await self.write(run, entries, code, parked)


async def fill(settings: Settings, scale: float, items: int) -> None:
    """Make the store that `settings` name."""
    past = Past()
    with clock.use(past):
        journal = app.open_journal(settings)
        try:
            await Filler(journal, past).fill(scale, items)
        finally:
            await journal.close()


async def named(settings: Settings) -> dict[str, str]:
    """The runs that pages are asked for, and what a bare scan of the map's history takes (ms)."""
    reader = app.open_reader(settings)
    maps = await reader.runs(RunFilter(job="enrichment", limit=1))
    nights = await reader.runs(RunFilter(job="job_07", limit=2))
    opened = await reader.runs(RunFilter(job="reconcile", limit=2))
    began = perf_counter()
    await reader.entries(maps[0].id)
    scan = (perf_counter() - began) * 1000
    return {
        "map": maps[0].name, "night": nights[0].name, "before": nights[1].name,
        "open": opened[0].name, "parked": opened[1].name, "scan": f"{scan:.1f}",
    }  # fmt: skip


def pages(runs: dict[str, str]) -> dict[str, str]:
    """Every page, by what it is."""
    one = {name: quote(run) for name, run in runs.items()}
    found = {
        "home": "/",
        "runs": "/runs",
        "runs: open ones": "/runs?status=open",
        "runs: by contract text": "/runs?q=FR",
        "job": "/jobs/job_07",
        "job with 1,000 open runs": "/jobs/reconcile",
        "schedule": "/schedule",
        "effects": "/effects",
        "quotas": "/quotas",
        "audit": "/audit",
        "search": "/search",
        "search: an item's key": "/search?q=item-000007",
        "search: a contract field": "/search?q=countries%3DFR",
        "search: a digest": "/search?q=" + "ab" * 32,
        "drift": f"/drift?a={one['night']}&b={one['before']}",
        "budget": "/jobs/job_07/budget",
    }
    for what in ("night", "open", "parked", "map"):
        found[f"run ({what})"] = f"/runs/{one[what]}"
    found["map: grid"] = f"/runs/{one['map']}/steps/enrich"
    found["map: failed items"] = f"/runs/{one['map']}/steps/enrich?state=failed"
    found["map: search by key"] = f"/runs/{one['map']}/steps/enrich?q=item-099"
    for part in ("log", "artifacts", "input", "environment", "reads", "cost"):
        found[f"map: {part}"] = f"/runs/{one['map']}/{part}"
    for path in ("runs", "nights", "effects", "incidents", "quotas", "schedules"):
        found[f"api: {path}"] = f"/api/{path}"
    found["api: run (map)"] = f"/api/runs/{one['map']}"
    found["api: steps (map)"] = f"/api/runs/{one['map']}/steps"
    return found


def measured(base: str, path: str) -> tuple[list[float], int, int]:
    """Server times in milliseconds, the answer's status and its size."""
    took, status, size = [], 0, 0
    for _ in range(TIMES):
        try:
            with urllib.request.urlopen(base + path, timeout=60) as answer:
                status, size = answer.status, len(answer.read())
                timing = answer.headers.get("Server-Timing", "")
        except urllib.error.HTTPError as error:
            status, size = error.code, len(error.read())
            timing = error.headers.get("Server-Timing", "")
        told = re.search(r"dur=([0-9.]+)", timing)
        took.append(float(told[1]) if told else float("nan"))
    return took, status, size


def main(words: Sequence[str]) -> int:
    """Fill a store, ask for every page, and tell; 1 where a page took longer than the limit."""
    given = argparse.ArgumentParser(prog="python -m bench.morning")
    given.add_argument("--scale", type=float, default=1.0, help="of the store's size")
    given.add_argument("--items", type=int, default=MAP_ITEMS, help="of the map looked at")
    given.add_argument("--store", help="a store to fill (or to use again, where it is filled)")
    given.add_argument("--again", action="store_true", help="the store is filled already")
    given.add_argument("--fill-only", action="store_true")
    options = given.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="nightproof-morning-") as folder:
        store = options.store or f"sqlite:///{Path(folder) / 'journal.db'}"
        settings = Settings(store=store, blobs=f"{folder}/blobs", artifacts=f"{folder}/artifacts")
        if not options.again:
            began = perf_counter()
            asyncio.run(fill(settings, options.scale, options.items))
            print(f"filled in {perf_counter() - began:.0f} s")
        if options.fill_only:
            return 0
        runs = asyncio.run(named(settings))
        dashboard = Dashboard(settings, print)
        base = f"http://127.0.0.1:{dashboard.start('127.0.0.1', 0)}"
        slow = [what for what, path in pages(runs).items() if not _told(base, what, path, runs)]
        dashboard.stop()
    print(f"a bare scan of the map's history: {runs['scan']} ms")
    print(f"over {LIMIT_MS:.0f} ms: {', '.join(slow) or 'none'}")
    return int(bool(slow))


def _told(base: str, what: str, path: str, runs: dict[str, str]) -> bool:
    took, status, size = measured(base, path)
    ratio = statistics.median(took) / float(runs["scan"])
    print(
        f"{what:28} {status}  median {statistics.median(took):7.1f} ms  worst {max(took):7.1f} ms  "
        f"{ratio:6.2f} x scan  {size / 1024:8.1f} KiB"
    )
    return status == 200 and max(took) < LIMIT_MS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
