"""The dashboard behind a real nginx, set up as docs/dashboard.md has it."""

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2
import pytest
from web_client import FIELD, TOKEN, give

from nightproof.web.dashboard import Dashboard

GUIDE = Path(__file__).parents[2] / "docs" / "dashboard.md"
CONF = """
daemon off; master_process off; pid nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u;
    scgi_temp_path s;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate cert.pem; ssl_certificate_key key.pem;
        {location}
    }}
}}
"""

pytestmark = pytest.mark.skipif(
    not (shutil.which("nginx") and shutil.which("openssl")), reason="nginx or openssl is missing"
)


def free() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@pytest.fixture
def public(own_house: Any, tmp_path: Path) -> Iterator[str]:
    """The address at which people open a dashboard behind nginx."""
    found = re.search(r"```nginx\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found
    port = free()
    url = f"https://localhost:{port}"
    made = Dashboard(own_house.settings(public_url=url), print, token=TOKEN)
    inside = made.start("127.0.0.1", 0)
    location = found[1].replace("127.0.0.1:8642", f"127.0.0.1:{inside}")
    (tmp_path / "nginx.conf").write_text(CONF.format(port=port, location=location))
    words = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    )
    subprocess.run(
        ["openssl", *words.split(), "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    nginx = subprocess.Popen(
        ["nginx", "-p", str(tmp_path), "-e", "stderr", "-c", str(tmp_path / "nginx.conf")],
        stderr=sys.stderr,
    )
    try:
        until = time.monotonic() + 20
        while nginx.poll() is None and time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield url
    finally:
        nginx.terminate()
        nginx.wait(20)
        made.stop()


def browser(url: str) -> httpx2.Client:
    """Somebody elsewhere; a browser says where its requests come from."""
    headers = {"origin": url, "sec-fetch-site": "same-origin", "x-forwarded-for": "192.0.2.7"}
    return httpx2.Client(base_url=url, verify=False, timeout=30, headers=headers)


def test_people_sign_in_look_and_act(public: str, own_house: Any):
    """Secure cookie, pages, an act with its form, news as they come, a large file."""
    parked = own_house.runs["parked"]
    with browser(public) as one:
        assert one.get("/").headers["location"] == "/login?next=%2F"
        answer = give(one)
        assert (answer.status_code, answer.headers["location"]) == (303, "/audit")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-nightproof=")
        assert "; Secure" in cookie
        page = one.get(f"/act/signal?run={parked}")
        token = FIELD.search(page.text)
        assert token
        form = {"csrf": token[1], "run": parked, "name": "go", "payload": '"x"'}
        with one.stream("GET", "/live") as news:
            lines = news.iter_lines()
            assert next(lines).startswith("retry")
            done = one.post("/act/signal", data=form)
            assert (done.status_code, "told=" in done.headers["location"]) == (303, True)
            assert any(line.startswith("event: changed") for line in islice(lines, 50))
        assert "dashboard, 192.0.2.7" in one.get("/audit").text
        search = one.get("/search")
        given = re.search(r'data-csrf="([^"]+)"', search.text) or FIELD.search(search.text)
        assert given
        sent = one.post(
            "/search/file", content=b"x" * 5_000_000, headers={"x-csrf-token": given[1]}
        )
        assert sent.status_code == 200, sent.text


def test_programs_give_the_token(public: str):
    """/metrics and /api with Bearer; a form of another site does nothing."""
    with browser(public) as one:
        assert one.get("/metrics").status_code == 401
        bearer = {"authorization": f"Bearer {TOKEN}"}
        assert "nightproof_runs" in one.get("/metrics", headers=bearer).text
        assert one.get("/api/runs", headers=bearer).status_code == 200
        wrong = give(one, origin="https://evil.example", sec_fetch_site="cross-site")
        assert wrong.status_code == 403
        assert one.get("/healthz").json() == {"status": "ok"}
