"""What it costs a step that reads many small files to be witnessed."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

from bench.peers.ours import Bench, store_of
from nightproof import job, step
from nightproof.app import App
from nightproof.config import Settings

SIZE = 2048
"""Bytes of a file: a page of text, a small configuration."""

_folder = Path()
_count = 0


@step
async def load(i: int) -> tuple[float, float]:
    """Read every file once; the seconds that took, and the time at its end."""
    assert i >= 0
    paths = [_folder / str(number) for number in range(_count)]
    size = 0
    started = time.perf_counter()
    for path in paths:
        size += len(path.read_text(encoding="utf-8"))
    ended = time.perf_counter()
    assert size == SIZE * _count
    return ended - started, ended


@job
async def reading(contract: Bench) -> tuple[float, float]:
    return await load(contract.n)


def read(work: Path, count: int, witness: bool, times: int = 7) -> dict[str, Any]:
    """The least milliseconds in which a step reads `count` files, each in a run of its own.

    `detail` is the median from there to the end of the run: files are hashed then.
    """
    global _folder, _count
    _folder, _count = work / "files", count
    _folder.mkdir()
    for number in range(count):
        (_folder / str(number)).write_text(f"{number:08}" * (SIZE // 8))

    async def runs() -> list[tuple[float, float]]:
        app = App(Settings(store=store_of(work), witness=witness))
        found = []
        for n in range(times):
            outcome = await app.run(reading, Bench(n=n))
            took, ended = outcome.value
            found.append((took, time.perf_counter() - ended))
        await app.close()
        return found

    found = asyncio.run(runs())
    after = statistics.median(rest for _, rest in found[1:] or found) * 1000
    detail = f"({after:.0f} ms more until the run is over)"
    return {"value": min(took for took, _ in found) * 1000, "detail": detail}
