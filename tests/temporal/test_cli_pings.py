"""A worker pings the check of its jobs' runs, as the embedded engine does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.temporal.command import Place, contract


@pytest.fixture
def pinged() -> Iterator[tuple[str, list[str]]]:
    """A check's URL, and the paths that were asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    server.server_close()


def test_a_run_pings_its_check(tmp_path, temporal_server, pinged):
    """Start and end of a run under one id; a failure pings so; metrics are left in a file."""
    url, paths = pinged
    place = Place(tmp_path, temporal_server.url, textfile=str(tmp_path / "np.prom"))
    with (tmp_path / "nightproof.toml").open("a") as file:
        file.write(f'[alerts.ping]\nwork = "{url}/nightly"\n')
    try:
        place.worker()
        for boom, code in ((False, 0), (True, 1)):
            ended = place("run", "jobs.py:work", contract(boom=boom), "--engine", "temporal")
            assert ended.code == code, ended.err
        place.until(lambda: len(paths) == 4)
        assert [path.partition("?")[0] for path in paths] == [
            "/nightly/start", "/nightly", "/nightly/start", "/nightly/fail",
        ]  # fmt: skip
        assert paths[0].partition("?")[2] == paths[1].partition("?")[2] != ""
        assert "nightproof_" in (tmp_path / "np.prom").read_text()
    finally:
        place.close()
