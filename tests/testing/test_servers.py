"""Real servers: killed, started again, and gone with who asked for them."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nightproof.errors import NightproofError
from nightproof.testing import servers
from nightproof.testing.servers.processes import free_ports, is_alive, is_free, kill_tree

HOST = [sys.executable, "-m", "nightproof.testing.servers"]


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder that every user may reach."""
    with tempfile.TemporaryDirectory(prefix="nightproof-server-") as folder:
        yield Path(folder)


def until(holds: Callable[[], Any]) -> Any:
    """Wait for something that is about to hold."""
    end = time.monotonic() + 60
    while not (found := holds()):
        assert time.monotonic() < end, "it did not come to this"
        time.sleep(0.02)
    return found


def listening(port: int) -> bool:
    """Whether somebody answers on the port."""
    return not is_free(port)


def test_postgres_comes_back_after_a_kill(short: Path):
    """Committed rows, URL and password outlive a SIGKILL of every process; then a stop."""
    with servers.postgres(short, fast=True) as server:
        url = server.database("books")
        assert server.database("books") == url
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE t AS SELECT 7 AS n")
            connection.commit()
            server.kill()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        assert not listening(server.port)
        assert (server.pid, server.running) == (0, False)
        server.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT n FROM t").fetchall() == [(7,)]
        server.drop("books")
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            psycopg.connect(url)
    assert not listening(server.port)


def test_postgres_syncs_unless_told_otherwise(short: Path, postgres_server: Any):
    """Benchmarks get true commits; tests, which lose no power, are spared them."""
    with servers.postgres(short) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
    with psycopg.connect(postgres_server.url) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("off",)


def test_postgres_asks_for_its_password(postgres_server: Any):
    """Nobody else on the machine gets in."""
    url = postgres_server.url.replace(postgres_server.url.split(":")[2].split("@")[0], "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)


def test_temporal_comes_back_after_a_kill(short: Path):
    """The histories are in a file: the address is the same and answers again."""
    from temporalio.client import Client, WorkflowExecutionStatus

    async def begin(address: str) -> None:
        client = await Client.connect(address)
        await client.start_workflow("nobody", id="w-1", task_queue="none")

    async def look(address: str) -> Any:
        client = await Client.connect(address)
        return (await client.get_workflow_handle("w-1").describe()).status

    import asyncio

    with servers.temporal(short) as server:
        address = server.address
        assert server.url == f"temporal://{address}/default"
        asyncio.run(begin(address))
        server.kill()
        assert not listening(server.port)
        server.start()
        assert server.address == address
        assert asyncio.run(look(address)) == WorkflowExecutionStatus.RUNNING


def test_s3_comes_back_after_a_kill(short: Path):
    """Objects and keys outlive a kill; a wrong key gets nothing."""
    import obstore
    from obstore.exceptions import AlreadyExistsError, PermissionDeniedError
    from obstore.store import S3Store

    with servers.s3(short) as server:

        def store(secret: str) -> S3Store:
            return S3Store(
                "a-bucket",
                endpoint=server.url,
                region=server.region,
                access_key_id=server.access_key,
                secret_access_key=secret,
                client_options={"allow_http": True},
            )

        assert server.bucket("a-bucket") == server.bucket("a-bucket") == "a-bucket"
        right = store(server.secret_key)
        obstore.put(right, "a", b"here", mode="create")
        server.kill()
        server.start()
        assert obstore.get(right, "a").bytes().to_bytes() == b"here"
        with pytest.raises(AlreadyExistsError):
            obstore.put(right, "a", b"other", mode="create")
        with pytest.raises(PermissionDeniedError):
            obstore.get(store("wrong"), "a")
        with pytest.raises(NightproofError, match="no bucket 'X'"):
            server.bucket("X")
        ports = [str(port) for port in json.loads((short / "server.json").read_text())["ports"]]
    left = [path.name for path in Path("/tmp").glob("seaweedfs-*.sock")]
    assert [name for name in left if any(port in name for port in ports)] == []


@pytest.mark.parametrize("kind", ["postgres", "temporal", "s3"])
def test_a_server_ends_with_its_parent(short: Path, kind: str):
    """SIGKILL of the process that asked for it leaves nothing behind."""
    code = (
        "import sys; from nightproof.testing import servers\n"
        f"server = servers.{kind}({str(short)!r}).start()\n"
        "print(server.pid, server.port, server._host.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        server, port, host = map(int, parent.stdout.readline().split())
        assert is_alive(server)
        assert listening(port)
        parent.kill()
    until(lambda: not is_alive(host))
    assert not is_alive(server)
    assert not listening(port)
    assert not list(short.rglob("postmaster.pid"))


def test_a_server_ends_with_its_host(short: Path):
    """SIGKILL of the process between leaves nothing behind either."""
    server = servers.postgres(short, fast=True).start()
    os.kill(server._host.pid, signal.SIGKILL)
    until(lambda: not listening(server.port))
    server.stop()
    with server.start(), psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_command_says_one_line_and_stops_when_asked(tmp_path: Path):
    """JSON for programs; with SIGTERM the exit code is 0 and the temporary folder is gone."""
    with subprocess.Popen([*HOST, "temporal"], stdout=subprocess.PIPE, text=True) as host:
        said = json.loads(host.stdout.readline())
        assert (said["kind"], is_alive(said["pid"])) == ("temporal", True)
        assert said["url"] == f"temporal://127.0.0.1:{said['port']}/default"
        host.terminate()
        assert host.stdout.read() == ""
    assert host.returncode == 0
    assert not is_alive(said["pid"])
    assert not Path(said["folder"]).exists()


def test_the_command_says_what_to_export(short: Path):
    """For people: the URL and the settings, ready to be copied."""
    words = [*HOST, "postgres", "--fast", "--readable", "--folder", str(short)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as host:
        first, second = host.stdout.readline(), host.stdout.readline()
        host.send_signal(signal.SIGINT)
    url = second.strip().removeprefix("export NIGHTPROOF_STORE=")
    assert url.startswith("postgresql://postgres:")
    assert first == f"postgres answers at {url} (Ctrl-C stops it). To use it:\n"
    assert host.returncode == 0


def test_a_port_that_is_taken_is_said(short: Path):
    """No traceback: which port, and what to do."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(NightproofError) as caught:
            servers.temporal(short, port=port).start()
    assert f"port {port} of 127.0.0.1 is in use" in str(caught.value)
    assert "Stop what listens there, or give another --port." in str(caught.value)


def test_a_server_that_does_not_start_says_its_last_words(short: Path):
    """The end of its log is in the message."""
    (short / "temporal.db").mkdir()
    with pytest.raises(NightproofError, match="ended") as caught:
        servers.temporal(short).start()
    assert "unable to open database file" in str(caught.value)


def test_a_tree_of_processes_is_killed(tmp_path: Path):
    """Descendants that left the process group go too."""
    code = (
        "import subprocess, sys, os\n"
        "words = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "below = subprocess.Popen(words, start_new_session=True)\n"
        "print(below.pid, flush=True); below.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as above:
        below = int(above.stdout.readline())
        assert is_alive(below)
        kill_tree(above.pid)
        assert not is_alive(below)
    assert not is_alive(above.pid)


def test_free_ports_are_free_and_below_those_of_clients():
    """Nobody listens there, and no outgoing connection takes one by chance."""
    ports = free_ports(8)
    assert len(set(ports)) == 8
    assert all(is_free(port) and port < 32768 for port in ports)
