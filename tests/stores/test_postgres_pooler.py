"""Behind a transaction pooler: every transaction may be on another connection to the server."""

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from nightproof import effect, job, step, wait_for
from nightproof.journal.portable import TABLES
from nightproof.journal.records import RunFilter
from nightproof.stores.postgres import PostgresJournal, copying, direct

KEPT = (
    "SELECT (SELECT count(*) FROM pg_prepared_statements), "
    "(SELECT count(*) FROM pg_listening_channels())"
)
INI = """
[databases]
* = host=127.0.0.1 port={server} user=postgres password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 100
logfile = {folder}/log
pidfile = {folder}/pid
"""


@pytest.fixture(scope="module")
def pooler(postgres_server, tmp_path_factory) -> Iterator[int]:
    """The port of a PgBouncer in front of the server."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    folder = tmp_path_factory.mktemp("pooler")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    split = urlsplit(postgres_server.url)
    text = INI.format(server=split.port, password=split.password or "''", port=port, folder=folder)
    path = folder / "pgbouncer.ini"
    path.write_text(text)
    words = [program, str(path)]
    if os.getuid() == 0:
        for each in (folder, path):
            os.chown(each, 65534, 65534)
        for parent in folder.parents:
            if parent.stat().st_uid == 0 and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
        words[1:1] = ["--user=nobody"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            process.poll()
            assert process.returncode is None, (folder / "log").read_text()
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def pooled(pooler: int, postgres_schema: Callable[[], str]) -> str:
    """The URL of an empty store behind the pooler."""
    split = urlsplit(postgres_schema())
    return urlunsplit(split._replace(netloc=f"postgres:x@127.0.0.1:{pooler}"))


@pytest.fixture
def store(pooled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the harness runs on."""
    monkeypatch.chdir(tmp_path)
    return pooled


def test_a_job_behind_a_pooler(night, night_contract):
    """Steps, a map, an effect, a signal; killed once, and gone on with."""
    calls, dead = [], [1]

    @step
    async def work(n: int) -> int:
        calls.append(n)
        if n == 150 and dead:
            raise killed(dead.pop())
        return n

    @effect(key="k/{n}", unknown="retry")
    async def act(n: int) -> int:
        return n

    @job(name="main")
    async def main(contract: night_contract) -> list[int]:
        first = [await work(n) for n in range(3)]
        await act(1)
        rest = await work.map(range(100, 300), concurrency=8)
        return [*first, sum(rest), await wait_for("go", int)]

    class killed(BaseException):
        """The process is gone."""

    with pytest.raises(killed):
        night.run(main)

    async def both(app):
        run = asyncio.create_task(night.attempt(main))
        [row] = await night.until(lambda: app.journal.runs(RunFilter()))
        await app.journal.send(row.id, "go", b"7")
        return await run

    outcome = night.ask(both)
    assert outcome.error is None
    assert outcome.value == [0, 1, 2, sum(range(100, 300)), 7]
    assert outcome.replayed > 50


def test_the_pooler_is_noticed_and_nothing_stays_behind(pooled):
    """No prepared statements, settings or listeners on the server's connections."""

    async def main():
        journals = [PostgresJournal(pooled) for _ in range(6)]
        await asyncio.gather(*(journal.runs(RunFilter()) for journal in journals))
        assert all(journal._session.pooled for journal in journals)
        session = journals[0]._session
        found = []
        for _ in range(6):
            [answer] = await session.read((KEPT, ()))
            found.append(answer.rows[0])
        assert set(found) == {(0, 0)}
        # Outside a transaction of ours nothing is set.
        outside = await session.link.ask([("SHOW search_path", ()), ("SHOW lock_timeout", ())])
        assert [answer.rows[0][0] for answer in outside] == ['"$user", public', "0"]
        # Without notifications it is asked now and then.
        assert await journals[0].changed()
        assert not await journals[0].changed()
        for journal in journals:
            await journal.close()

    asyncio.run(main())


def test_many_processes_behind_a_pooler(postgres_schema, pooled):
    """More clients than connections to the server: all get their turn."""

    async def main():
        journals = [PostgresJournal(pooled) for _ in range(20)]
        for _ in range(3):
            await asyncio.gather(*(journal.runs(RunFilter()) for journal in journals))
        for journal in journals:
            await journal.close()

    asyncio.run(main())


def test_doctor_sees_the_pooler(pooled, postgres_server):
    """Its connections are not the server's own."""
    assert direct.examine(pooled).pooled is True
    assert direct.examine(postgres_server.url).pooled is False


def test_a_journal_is_copied_through_a_pooler(pooled, night, night_contract):
    """In one transaction, which is one connection."""

    @job
    async def alone(contract: night_contract) -> int:
        return contract.n

    night.run(alone)
    other = f"{pooled}&schema=copied" if "?" in pooled else f"{pooled}?schema=copied"

    async def prepare() -> None:
        journal = PostgresJournal(other)
        await journal.runs(RunFilter())
        await journal.close()

    asyncio.run(prepare())
    with copying.source(pooled) as source, copying.target(other) as target:
        for table in TABLES:
            target.write(table, source.rows(table))
        target.keep()
    with copying.source(pooled) as source, copying.source(other) as copy:
        for table in TABLES:
            assert list(copy.rows(table)) == list(source.rows(table))
        assert copy.count(TABLES[0]) == 1
