"""Pages whose blob store does not answer."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from nightproof.web import dashboard as dashboards
from nightproof.web.dashboard import Dashboard


@pytest.fixture
def cut_off(house: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a dashboard on the house, with blobs in a bucket where nobody listens."""
    with socket.socket() as taken:  # bound, and not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        options = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{taken.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }
        for name, value in options.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(dashboards, "BLOBS_SECONDS", 0.1)
        made = Dashboard(house.settings(blobs="s3://bucket/blobs"), print, token="")
        made.start("127.0.0.1", 0)
        try:
            yield made.url
        finally:
            made.stop()


def test_a_bucket_out_of_reach(house: Any, cut_off: str):
    """Pages show what the journal has, and say what is missing, before anybody gives up."""
    run = house.runs["night 0"]
    for page in ("", f"runs/{run}", f"runs/{run}/artifacts", f"runs/{run}/log"):
        assert httpx2.get(cut_off + page, timeout=30).status_code == 200
    around = httpx2.get(f"{cut_off}runs/{run}/environment", timeout=30)
    assert around.status_code == 200
    assert "out of reach: the connection was refused" in around.text
    assert "Strict" in around.text


def test_what_is_only_there_is_asked_for_again_later(house: Any, cut_off: str):
    """A document that is in the bucket as a whole: 503, with what to do."""
    run = house.runs["night 0"]
    answer = httpx2.get(f"{cut_off}api/runs/{run}/environment", timeout=30)
    assert answer.status_code == 503
    assert "out of reach" in answer.json()["detail"]
