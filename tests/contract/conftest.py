"""The weekly report's contract, as issue and users write it."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Literal

import pytest

from nightproof.contract import Contract, ContractModel, ModelPin, Moment, PromptId, Sha256, Uri

BYTES = b"Date,USD\n2026-10-19,1.08\n"
SHA256 = hashlib.sha256(BYTES).hexdigest()
WEEKLY: dict[str, Any] = {
    "contractVersion": "1",
    "task": "weekly-report",
    "inputs": {
        "siteId": "fx-desk",
        "periodStart": "2026-10-19T00:00:00+02:00",
        "periodEnd": "2026-10-26T00:00:00+01:00",
        "datasetUri": "file:rates.csv",
        "datasetSha256": SHA256,
    },
    "model": {
        "id": "gemini-3.5-flash",
        "pinnedVersion": "gemini-3.5-flash-002",
        "temperature": 0,
        "seed": 7,
    },
    "promptTemplateId": "weekly-report@7",
}


class Inputs(ContractModel):
    site_id: str
    period_start: Moment
    period_end: Moment
    dataset_uri: Uri
    dataset_sha256: Sha256


class WeeklyReport(Contract):
    task: Literal["weekly-report"] = "weekly-report"
    inputs: Inputs
    model: ModelPin
    prompt_template_id: PromptId


@pytest.fixture
def weekly() -> Callable[..., dict[str, Any]]:
    """The weekly contract's JSON, with fields at dotted paths replaced."""

    def make(**changes: Any) -> dict[str, Any]:
        document = copy.deepcopy(WEEKLY)
        for path, value in changes.items():
            holder = document
            *parents, last = path.split("__")
            for part in parents:
                holder = holder[part]
            if value is ...:
                del holder[last]
            else:
                holder[last] = value
        return document

    return make


class Site:
    """A loopback server: what each path answers, and how often it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[str, list[tuple[int, dict[str, str], bytes]]] = {}
        self.asked: list[str] = []

    def serve(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> str:
        """Answer `path` so; called again, the last answer is the one that stays."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        self.answers.setdefault(path, []).append((status, named, body))
        return self.url + path


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            answers = server.answers[self.path.partition("?")[0]]
            status, headers, body = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Site(f"http://127.0.0.1:{listener.server_port}")
    thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.fixture
def rates(tmp_path: Path) -> Path:
    """The dataset that the weekly contract names, in a folder of its own."""
    path = tmp_path / "rates.csv"
    path.write_bytes(BYTES)
    return path


@pytest.fixture
def weekly_class() -> type[WeeklyReport]:
    return WeeklyReport


@pytest.fixture(autouse=True)
def _forget_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts as a fresh process: nothing verified yet."""
    from nightproof.contract import dataset

    monkeypatch.setattr(dataset, "_verified", {})
