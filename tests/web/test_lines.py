"""Connections that are slow, full, too many or no HTTP hold nobody up."""

import json
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from web_client import ask

from nightproof.model import clock
from nightproof.web import connections, guard
from nightproof.web.dashboard import Dashboard


def test_an_old_probe(dashboard: Any):
    """HTTP/1.0 without a Host is no browser, and is answered."""
    at = urlsplit(dashboard.url)
    with socket.create_connection((at.hostname, at.port), timeout=30) as line:
        line.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b" 200 " in line.makefile("rb").readline()


def test_a_large_body_is_refused(dashboard: Any):
    """Announced or sent in pieces, before anybody has to hold it."""
    announced = {"content-length": str(guard.MOST_BYTES + 1)}
    assert ask(dashboard.url, "POST", "/logout", **announced).status in (403, 413)
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert ask(dashboard.url, "POST", "/logout", **announced, **form).status == 413
    pieces = (b"x" * 65536 for _ in range(20))
    answer = httpx2.post(dashboard.url + "/logout", content=pieces, headers=form)
    assert answer.status_code == 413
    fields = "&".join(f"a{n}=1" for n in range(2000))
    assert httpx2.post(dashboard.url + "/logout", content=fields, headers=form).status_code == 400


def test_a_refusal_arrives(dashboard: Any):
    """Whoever is refused with a body still under way reads why, and no reset."""
    form = {"content-type": "application/octet-stream"}
    for size in (10, 70_000, 200_000):
        for _ in range(10):
            answer = httpx2.post(dashboard.url + "/logout", content=b"x" * size, headers=form)
            assert answer.status_code == 403


@pytest.mark.parametrize("size", [400_000, 1_000_000])
@pytest.mark.parametrize("where", ["/api/runs/{}", "/api/runs?job={}", "/runs HTTP/1.1\r\nX: {}"])
def test_a_head_that_is_too_long(dashboard: Any, size: int, where: str):
    """It is refused as the API describes it, and whoever sent it reads that."""
    at = urlsplit(dashboard.url)
    with socket.create_connection((at.hostname, at.port), timeout=30) as line:
        line.sendall(
            f"GET {where.format('a' * size)} HTTP/1.1\r\nHost: {at.netloc}\r\n\r\n".encode()
        )
        head, _, body = line.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    assert (json.loads(body)["status"], json.loads(body)["hint"]) == (431, "Shorten the address.")
    described = dashboard.get("/api/openapi.json").json()["paths"]["/runs/{run}"]["get"]
    assert "431" in described["responses"]


def test_a_slow_client_holds_nobody_up(dashboard: Any, monkeypatch: pytest.MonkeyPatch):
    """Half a request is waited for, a while; others are answered meanwhile."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.3)
    at = urlsplit(dashboard.url)
    head = f"POST /logout HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: 9\r\n"
    head += "Content-Type: application/x-www-form-urlencoded\r\n\r\ncsrf"
    lines = [socket.create_connection((at.hostname, at.port)) for _ in range(3)]
    for line, text in zip(lines, ("", "GET / HTTP/1.1\r\nHost:", head), strict=True):
        line.sendall(text.encode())
    assert dashboard.get("/healthz").status_code == 200
    ends = [line.makefile("rb").read() for line in lines]
    assert ends[:2] == [b"", b""]
    assert b" 408 " in ends[2].split(b"\r\n", 1)[0]
    for line in lines:
        line.close()


def test_too_many_connections(dashboard: Any, monkeypatch: pytest.MonkeyPatch):
    """Those that ask nothing make room: whoever asks is answered in the middle of a flood."""
    monkeypatch.setattr(connections, "MOST", 2)
    at = urlsplit(dashboard.url)
    lines = [socket.create_connection((at.hostname, at.port)) for _ in range(8)]
    for _ in range(5):
        assert dashboard.get("/healthz").status_code == 200
    for line in lines:
        line.settimeout(0.2)
    gone = 0
    for line in lines:
        try:
            gone += line.recv(1) == b""
        except ConnectionResetError:
            gone += 1
        except TimeoutError:
            pass
        line.close()
    assert gone >= 6
    monkeypatch.undo()
    assert dashboard.get("/healthz").status_code == 200


def test_an_answer_that_nobody_reads(house: Any, monkeypatch: pytest.MonkeyPatch):
    """Its line is let go after a while, with what was to be written."""
    monkeypatch.setattr(connections, "WRITE_SECONDS", 0.2)
    made = Dashboard(house.settings(), print, token="")
    port = made.start("127.0.0.1", 0)
    try:
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            asked = f"GET /static/vendor/htmx.min.js HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
            line.sendall(asked.encode() * 200)
            open_lines = made._uvicorn.server_state.connections
            while not open_lines or any(one.cycle is None for one in list(open_lines)):
                clock.block(0.01)
            while open_lines:
                clock.block(0.01)
    finally:
        made.stop()


@pytest.mark.parametrize(
    "text",
    ["\x00\xff\r\n\r\n", "GET /" + "a" * 1_000_000, "GET / HTTP/1.1\r\n\r\n", "G\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + "a" * 1_000_000 + "\r\n\r\n",
     "POST /logout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
     "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_request(dashboard: Any, text: str):
    """Garbage is refused or dropped, and never fatal."""
    at = urlsplit(dashboard.url)
    with socket.create_connection((at.hostname, at.port), timeout=30) as line:
        try:
            line.sendall(text.encode("latin-1"))
            answer = line.makefile("rb").readline()
        except ConnectionError:
            answer = b""
    assert answer == b"" or answer.split()[1][:1] == b"4"
    assert dashboard.get("/healthz").status_code == 200
    assert dashboard.said == []


def test_garbage_behind_a_request(dashboard: Any, capfd: pytest.CaptureFixture[str]):
    """A body that is none, or a second request that is none, ends the line and is no line in a log."""
    at = urlsplit(dashboard.url)
    head = f"POST /logout HTTP/1.1\r\nHost: {at.netloc}\r\nTransfer-Encoding: chunked\r\n\r\n"
    good = f"GET /healthz HTTP/1.1\r\nHost: {at.netloc}\r\n\r\n"
    for text in (head + "zz\r\n", good + "\x00\r\n\r\n", good * 3 + "no\r\n\r\n"):
        with socket.create_connection((at.hostname, at.port), timeout=30) as line:
            line.sendall(text.encode())
            with suppress(ConnectionResetError):
                line.makefile("rb").read()
    assert dashboard.get("/healthz").status_code == 200
    assert (dashboard.said, capfd.readouterr().err) == ([], "")
