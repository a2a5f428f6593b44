"""The server: one port, a service below each prefix, and a control plane below ``/_``.

=================  =====================================================================
GET /_counts       every act that was received: calls, acts by key, messages, faults met
GET /_messages     the Slack channel, with what each message said before it was edited
PUT /_script       other faults from now on
PUT /_limits       other limits, by name: ``{"admob_requests": 36, "admob_seconds": 3}``
POST /_late        ``{"date": "2026-06-15", "factor": 1.04}``: that day was not final
POST /_available   ``{"date": "2026-06-15"}``: the newest day the stores have
POST /_expire      every token handed out so far is refused
POST /_reset       start counting again
=================  =====================================================================
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from . import appstore as apple
from . import google, play, slack
from .data import Data
from .http import Refused, Request, Response, as_json, google_refusal
from .world import (
    BUCKET,
    CHANNEL,
    CLIENT_ID,
    ISSUER,
    KEY_ID,
    PUBLISHER,
    VENDOR,
    Limits,
    World,
)

SERVICES = ("admob", "oauth", "appstore", "gcs", "slack", "stripe")


class Simulator:
    """The services, in threads of this process. A context manager.

    `data` is what they report, `script` what goes wrong (see :mod:`faults`),
    `limits` how much is allowed.
    """

    def __init__(
        self,
        data: Data | None = None,
        script: dict[str, Any] | None = None,
        limits: dict[str, Any] | None = None,
        *,
        port: int = 0,
    ) -> None:
        self.world = World(data=data or Data(), limits=Limits(**(limits or {})))
        self.world.faults.load(script or {})
        key = ec.generate_private_key(ec.SECP256R1())
        self._private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.world.apple_public_key = public.decode()
        world = self.world

        class Handler(_Handler):
            pass

        Handler.world = world
        self._server = _Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The base of all services."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self, folder: Path) -> dict[str, str]:
        """Base URLs and credentials for the pipeline; secrets are written to files in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        secrets = {
            "APP_STORE_KEY_FILE": ("AuthKey.p8", self._private.decode()),
            "GOOGLE_CLIENT_SECRET_FILE": ("google_client_secret", self.world.client_secret),
            "GOOGLE_REFRESH_TOKEN_FILE": ("google_refresh_token", self.world.refresh_token),
            "SLACK_TOKEN_FILE": ("slack_token", self.world.slack_token),
        }
        found = {
            "ADMOB_BASE_URL": f"{self.url}/admob",
            "GOOGLE_OAUTH_URL": f"{self.url}/oauth/token",
            "APP_STORE_BASE_URL": f"{self.url}/appstore",
            "GCS_BASE_URL": f"{self.url}/gcs",
            "SLACK_BASE_URL": f"{self.url}/slack/api/",
            "ADMOB_PUBLISHER": PUBLISHER,
            "GOOGLE_CLIENT_ID": CLIENT_ID,
            "APP_STORE_ISSUER": ISSUER,
            "APP_STORE_KEY_ID": KEY_ID,
            "APP_STORE_VENDOR": VENDOR,
            "PLAY_BUCKET": BUCKET,
            "SLACK_CHANNEL": CHANNEL,
        }
        for variable, (name, secret) in secrets.items():
            path = folder / name
            path.touch(mode=0o600)
            path.write_text(secret, encoding="utf-8")
            found[variable] = str(path)
        return found

    def secrets(self) -> list[str]:
        """Every secret that must turn up nowhere: credentials, and tokens handed out."""
        world = self.world
        body = "".join(self._private.decode().splitlines()[1:-1])
        return [world.client_secret, world.refresh_token, world.slack_token, body, *world.grants]

    def script(self, script: dict[str, Any]) -> None:
        """Other faults from now on."""
        with self.world.lock:
            self.world.faults.load(script)

    def counts(self) -> dict[str, Any]:
        """Every act that was received."""
        with self.world.lock:
            return self.world.told()

    def messages(self) -> list[dict[str, Any]]:
        """The Slack channel, oldest first."""
        with self.world.lock:
            return [dict(one) for one in self.world.messages]

    def start(self) -> Simulator:
        """Begin to serve."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error here."""


class _Handler(BaseHTTPRequestHandler):
    world: World
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        _, service, rest = [*parts.path.split("/", 2), "", ""][:3]
        request = Request(
            self.command,
            service,
            "/" + rest,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            body,
        )
        if service.startswith("_"):
            with self.world.lock:
                self._send(_control(self.world, request))
            return
        if service not in SERVICES:
            self._send(as_json({"error": f"no service at /{service}"}, 404))
            return
        self._serve(request)

    def _serve(self, request: Request) -> None:
        world = self.world
        with world.lock:
            world.calls[request.service] += 1
            fault = world.faults.of(request) or {}
        kind = fault.get("kind", "")
        if kind == "hang":
            time.sleep(float(fault.get("seconds", 30)))
        if kind == "reset-before":
            self._reset()
            return
        with world.lock:
            if kind == "expired":
                world.expire_tokens()
            answer = _instead(request, fault)
            if answer is None:
                answer = _answer(world, request, fault)
            if not isinstance(answer.body, bytes):
                answer.body = list(answer.body)
        if kind == "reset-after-processing":
            self._reset()
        elif kind == "unknown":
            self._send(as_json({"ok": False, "error": "internal_error"}))
        elif kind == "truncated":
            self._send(answer, cut=True)
        else:
            self._send(answer, slowly=float(fault.get("seconds", 2)) if kind == "drip" else 0.0)

    def _send(self, answer: Response, *, slowly: float = 0.0, cut: bool = False) -> None:
        parts: Iterable[bytes] = [answer.body] if isinstance(answer.body, bytes) else answer.body
        chunks = list(parts)
        with suppress(OSError):
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            whole = isinstance(answer.body, bytes)
            if whole:
                self.send_header("Content-Length", str(len(chunks[0])))
            else:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if cut:
                self.wfile.write(chunks[0][: len(chunks[0]) // 2] if whole else b"")
                self.wfile.flush()
                self._reset()
                return
            for chunk in chunks:
                if slowly:
                    time.sleep(slowly / len(chunks))
                self.wfile.write(chunk if whole else b"%x\r\n%s\r\n" % (len(chunk), chunk))
            if not whole:
                self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()

    def _reset(self) -> None:
        """End the connection with a RST, as a proxy that dies does."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with suppress(OSError):
            self.connection.close()


def _instead(request: Request, fault: dict[str, Any]) -> Response | None:
    """What a fault answers before anything is done; None where it is processed."""
    kind = fault.get("kind", "")
    if kind == "401":
        if request.service == "appstore":
            return apple.unauthorised()
        if request.service == "slack":
            return as_json({"ok": False, "error": "invalid_auth"})
        return google_refusal(401, "Request had invalid authentication credentials.")
    if kind in ("500", "503"):
        status = int(kind)
        if request.service in ("admob", "gcs"):
            message = "The service is currently unavailable."
            return google_refusal(status, message, array=request.service == "admob")
        return Response(status, b"upstream connect error", {"Content-Type": "text/plain"})
    if not kind.startswith("429"):
        return None
    seconds = float(fault.get("seconds", 1))
    told = kind == "429-retryinfo"
    if request.service in ("admob", "gcs"):
        return google.quota_refusal(seconds if told else None)
    answer = (
        as_json({"ok": False, "error": "ratelimited"}, 429)
        if request.service == "slack"
        else apple.refusal(429, "RATE_LIMIT_EXCEEDED", "The request rate limit was reached.", "")
    )
    if told:
        answer.headers["Retry-After"] = f"{seconds:g}"
    return answer


def _answer(world: World, request: Request, fault: dict[str, Any]) -> Response:
    try:
        if request.service == "admob":
            return google.admob(world, request, fault)
        act = {
            "oauth": google.oauth, "appstore": apple.appstore, "gcs": play.storage,
            "slack": slack.slack, "stripe": slack.stripe,
        }[request.service]  # fmt: skip
        return act(world, request)
    except Refused as refused:
        return refused.response


def _control(world: World, request: Request) -> Response:
    try:
        given = request.json() if request.body else {}
        match (request.method, request.service):
            case ("GET", "_counts"):
                return as_json(world.told())
            case ("GET", "_messages"):
                return as_json(world.messages)
            case ("PUT", "_script"):
                world.faults.load(given)
            case ("PUT", "_limits"):
                world.limits = Limits(**{**vars(world.limits), **given})
            case ("POST", "_late"):
                world.data.late[date.fromisoformat(given["date"])] = float(given["factor"])
            case ("POST", "_available"):
                world.available = date.fromisoformat(given["date"])
            case ("POST", "_expire"):
                world.expire_tokens()
            case ("POST", "_reset"):
                world.forget()
            case _:
                return as_json({"error": f"nothing at {request.method} /{request.service}"}, 404)
    except (ValueError, KeyError, TypeError) as error:
        return as_json({"error": str(error)}, 400)
    return as_json({"ok": True})


def described(simulator: Simulator, folder: Path) -> str:
    """One line of JSON for who started it as a process."""
    environment = simulator.environment(folder)
    told = {"url": simulator.url, "port": simulator.port, "environment": environment}
    return json.dumps(told)
