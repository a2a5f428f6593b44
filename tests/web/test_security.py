"""Which sites and posts are a dashboard's own, where it listens, and what every answer carries."""

import re
from typing import Any

import httpx2
import pytest
from web_client import Start, ask

from nightproof.config import Settings
from nightproof.errors import ConfigError
from nightproof.web.dashboard import Dashboard
from nightproof.web.pages import login

EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}


@pytest.mark.parametrize(
    ("path", "status"),
    [("/audit", 200), ("/none", 404), ("/static/app.css", 200), ("/static/none", 404),
     ("/healthz", 200), ("/metrics", 200), ("/api/none", 404), ("/live", 200)],
)  # fmt: skip
def test_every_answer_carries_them(dashboard: Any, path: str, status: int):
    """Policy and the rest are on pages, files, streams and errors alike."""
    with httpx2.stream("GET", dashboard.url + path, timeout=30) as answer:
        assert answer.status_code == status
        for name, value in EVERYWHERE.items():
            assert answer.headers[name] == value
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert re.fullmatch(r"app;dur=\d+\.\d", answer.headers["server-timing"])
        assert "server" not in answer.headers
        kept = "no-cache" if path == "/static/app.css" else "no-store"
        assert answer.headers["cache-control"] == kept


def test_a_versioned_file_is_kept(dashboard: Any):
    """A file that is asked for by its content is asked for once."""
    found = re.search(r"/static/app\.css\?v=\w+", dashboard.get("/none").text)
    assert found
    assert "immutable" in dashboard.get(found[0]).headers["cache-control"]
    assert "immutable" not in dashboard.get("/static/none?v=1").headers["cache-control"]


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "192.168.0.7",
     "[2001:db8::1]", "a b", "127.0.0.1@evil.example", "127.0.0.1:80:90", ""],
)  # fmt: skip
def test_another_host_is_refused(dashboard: Any, host: str):
    """A site whose name leads to this machine is not this dashboard (DNS rebinding)."""
    assert ask(dashboard.url, "GET", "/audit", Host=host).status in (400, 421)
    assert ask(dashboard.url, "GET", "/static/app.css", Host=host).status in (400, 421)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:9", "[::1]:8", "127.1.2.3"]
)
def test_every_name_of_this_machine_will_do(dashboard: Any, host: str):
    """Loopback has several names, and a tunnel another port."""
    assert ask(dashboard.url, "GET", "/audit", Host=host).status == 200


def test_nothing_is_a_part_of_another_site(dashboard: Any):
    """Frames, images, scripts and streams of other sites are refused; links are followed."""
    site = {"Sec_Fetch_Site": "cross-site"}
    for mode, dest in (("no-cors", "image"), ("no-cors", "script"), ("cors", "empty"),
                       ("navigate", "iframe"), ("navigate", "object"), ("", "")):  # fmt: skip
        for path in ("/audit", "/live", "/static/app.js", "/api/runs", "/search?q=x"):
            how = {"Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": dest} | site
            assert ask(dashboard.url, "GET", path, **how).status == 403, (path, how)
    link = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"} | site
    assert ask(dashboard.url, "GET", "/audit", **link).status == 200


@pytest.mark.parametrize(
    "path",
    ["/static/../rendering.py", "/static/%2e%2e/rendering.py", "/static/..%2frendering.py",
     "/static/%2e%2e%2f%2e%2e%2fconfig.py", "/static//etc/passwd", "/static/%00", "/static/",
     "/static/vendor", "/static/..%5crendering.py", "/static/%2Fetc%2Fpasswd"],
)  # fmt: skip
def test_only_files_beside_the_pages(dashboard: Any, path: str):
    """No other file of the package or the machine."""
    assert ask(dashboard.url, "GET", path).status == 404
    assert dashboard.said == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "WHAT"])
def test_methods_that_a_page_does_not_have(dashboard: Any, method: str):
    """405 with what it has; nothing is done on the way."""
    for path, allowed in (("/healthz", "GET, HEAD"), ("/static/app.css", "GET, HEAD")):
        answer = ask(dashboard.url, method, path, Content_Length="0")
        assert (answer.status, answer.headers["allow"]) == (405, allowed), path
    assert ask(dashboard.url, method, "/none", Content_Length="0").status == 404
    if method != "POST":
        answer = ask(dashboard.url, method, "/login", Content_Length="0")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_head(dashboard: Any):
    """A page's headers without the page."""
    for path in ("/audit", "/healthz", "/live", "/none"):
        answer = ask(dashboard.url, "HEAD", path)
        assert answer.body == b"", path
        assert "content-security-policy" in answer.headers


def test_a_page_that_fails(start: Start, monkeypatch: pytest.MonkeyPatch):
    """It says so without what only the log has to know; the log says it once."""
    said: list[str] = []
    url = start(said=said)

    def broken(*_: object) -> None:
        raise RuntimeError("the secret\n\x1b[2Jis 42")

    monkeypatch.setattr(login, "_form", broken)
    for _ in range(2):
        answer = httpx2.get(url + "/login?next=%0aforged")
        assert answer.status_code == 500
        assert "this page failed" in answer.text
        assert "42" not in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"
    [line] = said
    assert line.startswith("/login failed: RuntimeError: the secret is 42 (broken, line ")
    monkeypatch.undo()
    assert httpx2.get(url + "/login").status_code == 200


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 100, "", " ", "a\0b", "1.2.3.4.5"])
def test_what_is_no_address(house: Any, host: str):
    """It is said, with what to do, and nothing listens."""
    with pytest.raises(ConfigError) as caught:
        Dashboard(house.settings(), print, token="").start(host, 0)
    assert "--host" in str(caught.value)


def test_loopback_in_all_its_forms(house: Any):
    """No login on any of them."""
    for host in ("localhost", "::1", "127.0.0.2"):
        made = Dashboard(house.settings(), print, token="")
        made.start(host, 0)
        try:
            assert httpx2.get(made.url + "audit").status_code == 200
        finally:
            made.stop()


def test_a_public_url_is_scheme_and_host():
    """A path, a user or another scheme is refused where settings are read."""
    for text in ("nights.example.com", "https://a.example/b", "https://a@b", "ftp://a", "https://",
                 "https://a.example/", "https://a.example:x", " https://a", "https://a\n"):  # fmt: skip
        with pytest.raises(ConfigError, match="public_url"):
            Settings(public_url=text)
    for text in ("", "https://a.example", "http://a.example:8080", "https://[2001:db8::1]:8443"):
        assert Settings(public_url=text).public_url == text
