"""A server that is killed and started again while a job commits."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time

import pytest

from nightproof.journal.records import Entry, LaneBatch, Owner, Wanted, checksum
from nightproof.model import identity
from nightproof.stores.postgres import PostgresJournal
from nightproof.testing import servers

OWNER = Owner(identity.here(), 1, 30_000)


@pytest.fixture
def mortal(tmp_path_factory):
    """A server of this test's own, which syncs."""
    with (
        tempfile.TemporaryDirectory(prefix="nightproof-mortal-") as folder,
        servers.postgres(folder) as server,
    ):
        yield server


def entry(run, seq):
    """A result."""
    fp, output = b"%016d" % seq, b"%d" % seq
    return Entry(run, seq, 1, 7, fp, 10**12, 5, b"[1]", output, None, checksum(fp, output, None))


@pytest.mark.drill
def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(mortal):
    """kill -9 of the whole server, again and again, between any two bytes of a commit."""

    async def write(journal, run, stop, acknowledged):
        seq = 0
        while not stop.is_set():
            size = 1 + seq % 3
            batch = [entry(run[0], seq + n) for n in range(size)]
            assert await journal.commit([LaneBatch(*run, batch)]) == frozenset()
            acknowledged.extend(one.seq for one in batch)
            seq += size

    async def share(journal, run, stop, acknowledged):
        n = 0
        while not stop.is_set():
            log = entry(run[0], 0)._replace(kind=7, fp=b"", output=b"%d" % n, crc=0)
            batch = LaneBatch(*run, [entry(run[0], n), log], shared=True)
            assert await journal.commit([batch]) == frozenset()
            acknowledged.append(n)
            n += 1

    async def main():
        journals = [PostgresJournal(mortal.url) for _ in range(2)]
        runs = []
        for n, journal in enumerate(journals):
            row = (await journal.claim(Wanted("main", f"sha256:{n}", b"{}"), OWNER)).run
            runs.append((row.id, row.token))
        await journals[1].share(*runs[1], False)
        stop, own, shared = asyncio.Event(), [], []
        tasks = [
            asyncio.create_task(write(journals[0], runs[0], stop, own)),
            asyncio.create_task(share(journals[1], runs[1], stop, shared)),
        ]
        counts = []
        for _ in range(4):
            before = len(own), len(shared)
            while len(own) < before[0] + 50 or len(shared) < before[1] + 50:
                await asyncio.sleep(0.01)
                for task in tasks:
                    assert not task.done() or task.result() is None
            await asyncio.to_thread(mortal.kill)
            await asyncio.to_thread(mortal.start)
            counts.append((len(own), len(shared)))
        stop.set()
        await asyncio.gather(*tasks)
        entries = [one.seq for one in await journals[0].entries(runs[0][0])]
        assert entries == list(range(len(own))) == own
        found = await journals[1].entries(runs[1][0])
        assert [one.seq for one in found] == list(range(2 * len(shared)))
        logs = [int(one.output) for one in found if one.kind == 7]
        assert logs == shared == list(range(len(shared)))
        for journal in journals:
            await journal.close()

    asyncio.run(main())


JOB = """
import asyncio, sys
from typing import Literal
from nightproof import *
from nightproof.app import App
from nightproof.config import Settings

class Night(Contract):
    task: Literal["night"] = "night"

@step
async def work(n: int) -> int:
    await asyncio.sleep(0.01)
    with open("log", "ab", buffering=0) as file:
        file.write(b"%d\\n" % n)
    return n

@effect(key="sent/{n}", unknown="retry")
async def send(n: int) -> int:
    with open("sent", "ab", buffering=0) as file:
        file.write(b"%d\\n" % n)
    return n

@job
async def main(contract: Night) -> int:
    total = 0
    for n in range(3):
        total += sum(await work.map(range(n * 100, n * 100 + 100), concurrency=4))
        await send(n)
    return total

async def run():
    app = App(Settings(store=sys.argv[1], witness=False))
    try:
        outcome = await app.run(main, Night())
        if outcome.error is not None:
            raise outcome.error
        print(outcome.value)
    finally:
        await app.close()

asyncio.run(run())
"""


@pytest.mark.drill
def test_a_job_outlives_its_server(mortal, tmp_path):
    """The server is killed every second: the process waits, and repeats no more than is in flight."""
    (tmp_path / "job.py").write_text(JOB)
    process = subprocess.Popen(
        [sys.executable, "job.py", mortal.url],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    kills = 0
    while process.poll() is None:
        time.sleep(1)
        if process.poll() is None:
            mortal.kill()
            mortal.start()
            kills += 1
    out = process.communicate()[0]
    assert out.strip() == str(sum(range(300))), out
    assert kills >= 1
    done = [int(line) for line in (tmp_path / "log").read_text().split()]
    assert sorted(done) == list(range(300))
    assert (tmp_path / "sent").read_text().split() == [str(n) for n in range(3)]
