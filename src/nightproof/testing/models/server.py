"""The HTTP side: threads on loopback, one request a connection."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from os import PathLike
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from nightproof.errors import UsageError
from nightproof.testing.models import anthropic, gemini, openai
from nightproof.testing.models.answering import Answered, Answerer, Asked, Refused
from nightproof.testing.models.script import Script

Source = Script | Mapping[str, Any] | str | PathLike[str]
LARGEST = 32 * 1024 * 1024
_GENERATE = re.compile(r"/v1(?:beta|alpha)?/(?:models/)?(?P<name>[^:]+):(?P<method>\w+)")


class _Wire(NamedTuple):
    """A wire format: reads a request, writes an answer or an error."""

    asked: Callable[[dict[str, Any]], Asked]
    response: Callable[[Asked, Answered], dict[str, Any]]
    error: Callable[[Refused], dict[str, Any]]


_WIRES = {
    "/v1/chat/completions": _Wire(openai.asked, openai.response, openai.error),
    "/v1/responses": _Wire(openai.asked_responses, openai.answer_responses, openai.error),
    "/v1/messages": _Wire(anthropic.asked, anthropic.response, anthropic.error),
}


class Request(NamedTuple):
    """A request that was served: the name asked for, who answered, and what was said.

    `version` is "" where the request was refused; `status` 0 where the connection
    was closed.
    """

    name: str
    version: str
    status: int
    body: dict[str, Any]
    text: str


class ModelServer:
    """A model server on loopback, for a ``with`` block.

    `script` is a :class:`Script`, a mapping, or the path of a JSON file (default:
    every name serves itself); port 0 takes a free one. Raises UsageError for a script or a port that cannot be used.
    """

    def __init__(self, script: Source | None = None, port: int = 0) -> None:
        self._answerer = Answerer(Script.load({} if script is None else script))
        self._requests: list[Request] = []
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The address, without a path: the base URL of clients of Gemini and Anthropic."""
        if self._server is None:
            raise UsageError("the model server does not run", "Ask for its address inside `with`.")
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def openai_url(self) -> str:
        """What OpenAI clients take as base URL: it ends in ``/v1``."""
        return f"{self.url}/v1"

    @property
    def requests(self) -> list[Request]:
        """What has been served so far, oldest first; refusals too."""
        return list(self._requests)

    def script(self, script: Source) -> None:
        """Behave like this from now on. Raises UsageError, and then nothing changes."""
        self._answerer.script = Script.load(script)

    def start(self) -> Self:
        """Begin to serve, in a thread."""
        try:
            self._server = _Server(self._port, self._answerer, self._requests.append)
        except OSError as error:
            raise UsageError(
                f"port {self._port} cannot be used: {error.strerror or error}",
                "Give another one, or 0 for any that is free.",
            ) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="model server", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving and free the port."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, answerer: Answerer, note: Callable[[Request], None]) -> None:
        self.answerer = answerer
        self.note = note
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "nightproof-models"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        if self.path == "/_script":
            self._send(200, self.server.answerer.script.to_json())
        else:
            self._json(404, {"error": {"message": "there is nothing here", "code": 404}})

    def do_PUT(self) -> None:
        if self.path != "/_script":
            self._json(404, {"error": {"message": "only /_script can be put", "code": 404}})
            return
        try:
            self.server.answerer.script = Script.load(self._content())
        except (UsageError, Refused) as error:
            self._json(400, {"error": {"message": str(error), "code": 400}})
        else:
            self._send(200, self.server.answerer.script.to_json())

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        if (found := _GENERATE.fullmatch(path)) is not None:
            name, method = unquote(found["name"]), found["method"]
            gemini_wire = _Wire(
                lambda body: _generate(name, method, body), gemini.response, gemini.error
            )
            self._serve(gemini_wire)
        elif path in _WIRES:
            self._serve(_WIRES[path])
        else:
            self._json(404, {"error": {"message": f"there is no {path} here", "code": 404}})

    def _serve(self, wire: _Wire) -> None:
        body: dict[str, Any] = {}
        name = version = text = ""
        headers: dict[str, str] = {}
        try:
            body = _object(self._content())
            request = wire.asked(body)
            name = request.name
            answered = self.server.answerer.answer(request)
        except Refused as refused:
            status, answer = refused.status, wire.error(refused)
            if refused.retry_after is not None:
                headers["Retry-After"] = f"{max(1, round(refused.retry_after))}"
        else:
            version, text = answered.version, answered.text
            status, answer = 200, wire.response(request, answered)
        self.server.note(Request(name, version, status, body, text))
        if status == 0:
            self.close_connection = True
            return
        self._json(status, answer, headers)

    def _content(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LARGEST:
            raise Refused(400, "the request has no usable Content-Length")
        return self.rfile.read(int(length))

    def _json(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps(body).encode(), headers)

    def _send(self, status: int, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a test's output is its own."""


def _generate(name: str, method: str, body: dict[str, Any]) -> Asked:
    if method != "generateContent":
        raise Refused(404, f"the model server for tests has no {method}; use generateContent")
    return gemini.asked(name, body)


def _object(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except ValueError:
        raise Refused(400, "the request is not JSON") from None
    if not isinstance(body, dict):
        raise Refused(400, "the request is not a JSON object")
    return body
