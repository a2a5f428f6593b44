"""The proxy does to connections what it says, and nothing else."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from nightproof.testing.proxy import Proxy

SOON = 0.15
"""Seconds in which bytes that are let through have come many times over."""


class Echo:
    """A server that remembers every byte and answers each piece with `<` + it + `>`."""

    def __init__(self) -> None:
        self.heard = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.resets = 0
        self.open: list[socket.socket] = []
        self.threads: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(client)
            self.threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
            self.threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        try:
            while data := client.recv(65536):
                self.heard += data
                client.sendall(b"<" + data + b">")
        except ConnectionResetError:
            self.resets += 1
        except OSError:  # closed by the test
            return
        client.close()

    def close(self) -> None:
        if self.listener.fileno() < 0:
            return
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self.listener.close()
        for client in self.open:
            client.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    """A server to stand behind the proxy."""
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def wire(echo: Echo) -> Iterator[Proxy]:
    """The proxy before it."""
    with Proxy("127.0.0.1", echo.port) as proxy:
        yield proxy


def dial(wire: Proxy, timeout: float = 10) -> socket.socket:
    """A client's connection."""
    return socket.create_connection(("127.0.0.1", wire.port), timeout)


def ask(client: socket.socket, text: bytes) -> bytes:
    """What the server answers."""
    client.sendall(text)
    return client.recv(65536)


def silent(client: socket.socket) -> bool:
    """Whether nothing comes."""
    client.settimeout(SOON)
    try:
        return client.recv(1) is None
    except TimeoutError:
        return True
    finally:
        client.settimeout(10)


def gone(client: socket.socket) -> bool:
    """Whether the connection was reset."""
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return False


def test_bytes_pass(wire: Proxy, echo: Echo):
    """Without a fault everything arrives, large pieces too, and an end is an end."""
    with dial(wire) as client:
        assert ask(client, b"hello") == b"<hello>"
        big = bytes(range(256)) * 4096
        client.sendall(big)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert echo.heard == b"hello" + big
    assert len(answer) >= len(big)
    assert wire.accepted == 1
    assert wire.carried["up"] == len(echo.heard)


def test_url_leads_through_it(wire: Proxy):
    """Host and port are the proxy's; user, path and parameters stay."""
    there = wire.url("postgresql://me:secret@db.example:5432/nights?sslmode=disable")
    assert there == f"postgresql://me:secret@127.0.0.1:{wire.port}/nights?sslmode=disable"
    assert wire.url("http://localhost:1/x") == f"http://{wire.address}/x"


def test_dropped_bytes_come_afterwards(wire: Proxy, echo: Echo):
    """Nothing passes while it drops; open and new connections then go on where they were."""
    with dial(wire) as client:
        assert ask(client, b"a") == b"<a>"
        wire.drop()
        client.sendall(b"b")
        with dial(wire) as late:
            late.sendall(b"c")
            assert silent(client)
            assert echo.heard == b"a"
            wire.heal()
            assert client.recv(99) == b"<b>"
            assert late.recv(99) == b"<c>"


def test_one_direction_can_be_dropped(wire: Proxy, echo: Echo):
    """The server hears what it is asked, the client hears nothing; a fault ends by itself."""
    with dial(wire) as client:
        ask(client, b"a")
        wire.drop(2 * SOON, "down")
        client.sendall(b"b")
        assert silent(client)
        assert echo.heard == b"ab"
        assert client.recv(99) == b"<b>"


def test_delayed_bytes_stay_in_order(wire: Proxy):
    """Late, whatever the jitter, but as they were sent."""
    wire.delay(SOON, jitter=0.05)
    with dial(wire) as client:
        for number in range(20):
            client.sendall(b"%d," % number)
        assert silent(client)
        wire.heal()
        found = b""
        while b"19," not in found:
            found += client.recv(65536)
    assert found.replace(b"<", b"").replace(b">", b"") == b"".join(b"%d," % n for n in range(20))


def test_reset(wire: Proxy, echo: Echo):
    """Open connections get an RST on both sides; new ones work."""
    with dial(wire) as client:
        ask(client, b"a")
        assert wire.connections == 1
        assert wire.reset() == 1
        assert gone(client)
        echo.threads[0].join(10)
        assert echo.resets == 1
    with dial(wire) as again:
        assert ask(again, b"b") == b"<b>"
    assert wire.reset() in {0, 1}


def test_refused(wire: Proxy):
    """Open connections are reset, new ones refused, until it is healed or over."""
    with dial(wire) as client:
        ask(client, b"a")
        wire.refuse()
        assert gone(client)
    with pytest.raises(ConnectionRefusedError):
        dial(wire)
    wire.heal()
    with dial(wire) as again:
        assert ask(again, b"b") == b"<b>"
    wire.refuse(SOON)
    code = errno.ECONNREFUSED
    while code == errno.ECONNREFUSED:
        with socket.socket() as probe:
            code = probe.connect_ex(("127.0.0.1", wire.port))
    assert code == 0


@pytest.mark.parametrize(
    ("when", "heard"), [("before", b"INSERT; COMMI"), ("sent", b"INSERT; COMMIT")]
)
def test_cut_at_a_match(wire: Proxy, echo: Echo, when: str, heard: bytes):
    """The connection ends before or after the bytes are forwarded, and only the first time."""
    rule = wire.cut(b"COMMIT", when=when)  # type: ignore[arg-type]
    with dial(wire) as client:
        assert ask(client, b"BEGIN") == b"<BEGIN>"
        echo.heard = b""
        client.sendall(b"INSERT; COMMIT; more")
        assert gone(client)
    assert rule.hits == 1
    assert echo.heard in {heard, b""}  # an RST may overtake what it follows
    with dial(wire) as again:
        assert ask(again, b"COMMIT") == b"<COMMIT>"


def test_cut_when_answered(wire: Proxy, echo: Echo):
    """The server has heard and answered; the client never learns of it."""
    rule = wire.cut(b"COMMIT", when="answered", answer=b"COMMIT>")
    with dial(wire) as client:
        assert ask(client, b"BEGIN") == b"<BEGIN>"
        client.sendall(b"COMMIT")
        with pytest.raises(ConnectionResetError):
            assert client.recv(99) == b""
    assert echo.heard == b"BEGINCOMMIT"
    assert rule.hits == 1


def test_match_across_pieces(wire: Proxy, echo: Echo):
    """The bytes of a point may come in pieces; what came before it does not count twice."""
    rule = wire.cut(b"COMMIT", when="answered", times=2)
    for _ in range(2):
        with dial(wire) as client:
            ask(client, b"x COM")
            client.sendall(b"MIT")
            assert gone(client)
    with dial(wire) as client:
        ask(client, b"COM")
        assert ask(client, b"MIT") == b"<MIT>"
    assert rule.hits == 2


def test_cut_after_bytes(wire: Proxy, echo: Echo):
    """A number of bytes in one direction, then silence on a connection that stays."""
    rule = wire.cut(after=8, direction="down", how="drop")
    with dial(wire) as client:
        assert ask(client, b"123") == b"<123>"
        client.sendall(b"45678")
        assert client.recv(99) == b"<45"
        assert silent(client)
        assert rule.hits == 1
        wire.heal()
        assert gone(client)  # bytes are missing: it cannot go on


def test_cut_needs_a_point(wire: Proxy):
    """One of the two ways to name it."""
    with pytest.raises(ValueError, match="match="):
        wire.cut()
    with pytest.raises(ValueError, match="match="):
        wire.cut(b"x", after=3)


def test_a_server_that_is_down(wire: Proxy, echo: Echo):
    """A client is reset when nobody listens behind the proxy."""
    echo.close()
    try:
        client = dial(wire)
    except ConnectionResetError:  # sooner than it was connected
        return
    with client:
        assert gone(client)


def test_a_port_in_use(echo: Echo):
    """It says so at the start."""
    with pytest.raises(OSError, match="in use"), Proxy("127.0.0.1", 1, listen=echo.port):
        pass


def test_as_a_program(echo: Echo):
    """Commands come from its standard input; it says what it did, and ends with it."""
    command = [sys.executable, "-m", "nightproof.testing.proxy", f"127.0.0.1:{echo.port}"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        port = json.loads(program.stdout.readline())["port"]

        def tell(line: str) -> None:
            assert program.stdin is not None
            assert program.stdout is not None
            program.stdin.write(line + "\n")
            program.stdin.flush()
            assert program.stdout.readline() == line + "\n"

        with socket.create_connection(("127.0.0.1", port), 10) as client:
            assert ask(client, b"a") == b"<a>"
            tell("drop 60 up")
            client.sendall(b"b")
            assert silent(client)
            tell("heal")
            assert client.recv(99) == b"<b>"
            program.stdin.write("explode\n\n")
            tell("reset")
            assert gone(client)
        _, said = program.communicate(timeout=10)
    assert program.returncode == 0
    assert "'explode'" in said


@pytest.mark.parametrize("words", [[], ["localhost"], ["localhost:x"], ["h:1", "y"]])
def test_usage(words: list[str]):
    """Anything else gets one line that says how."""
    done = subprocess.run(
        [sys.executable, "-m", "nightproof.testing.proxy", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")
