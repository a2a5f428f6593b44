"""Who may ask a dashboard, which posts are its own, and what every answer carries."""

import http.client
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
import pytest

from nightproof.config import Settings
from nightproof.errors import ConfigError
from nightproof.model import clock
from nightproof.testing.fake import FakeClock
from nightproof.web import connections, guard
from nightproof.web.dashboard import Dashboard
from nightproof.web.pages import login
from nightproof.web.security import tokens
from nightproof.web.security.access import SESSION_SECONDS, Access, own_path
from nightproof.web.security.limits import TRIES, TRIES_IN_ALL, Limiter

TOKEN = "a-token-of-some-length"
FIELD = re.compile(r'name="csrf" value="([^"]+)"')
EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
Start = Callable[..., str]


@pytest.fixture
def start(house: Any) -> Iterator[Start]:
    """Starts dashboards that may have a token; gives their URL."""
    started: list[Dashboard] = []

    def begin(token: str = TOKEN, said: list[str] | None = None, **settings: Any) -> str:
        say = (said if said is not None else []).append
        made = Dashboard(house.settings(**settings), say, token=token)
        started.append(made)
        return f"http://127.0.0.1:{made.start('127.0.0.1', 0)}"

    yield begin
    for made in started:
        made.stop()


@pytest.fixture
def locked(start: Start) -> str:
    """The URL of a dashboard that has a token."""
    return start()


@pytest.fixture
def client() -> Iterator[Callable[[str], httpx2.Client]]:
    """Makes what is like a browser: it keeps cookies, and follows nothing."""
    made: list[httpx2.Client] = []

    def make(url: str) -> httpx2.Client:
        made.append(httpx2.Client(base_url=url, timeout=30))
        return made[-1]

    yield make
    for one in made:
        one.close()


def give(one: httpx2.Client, token: str = TOKEN, onward: str = "/audit", **headers: str) -> Any:
    """Fill in the login form."""
    found = FIELD.search(one.get("/login").text)
    assert found
    given = {"csrf": found[1], "token": token, "next": onward}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return one.post("/login", data=given, headers=named)


@dataclass
class Answer:
    """An answer, read to its end."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(url: str, method: str, path: str, **headers: str) -> Answer:
    """One request as it is written here."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)) as line:
        line.putrequest(method, path, skip_host=True)
        for name, value in ({"Host": parts.netloc} | headers).items():
            line.putheader(name.replace("_", "-"), value)
        line.endheaders()
        found = line.getresponse()
        return Answer(found.status, found.headers, found.read())


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


def test_an_old_probe(dashboard: Any):
    """HTTP/1.0 without a Host is no browser, and is answered."""
    at = urlsplit(dashboard.url)
    with socket.create_connection((at.hostname, at.port), timeout=30) as line:
        line.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b" 200 " in line.makefile("rb").readline()


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


def test_without_a_login_nothing_is_shown(locked: str, client: Any):
    """Pages lead to the login, programs are refused, files and a bare probe are open."""
    one = client(locked)
    name = quote(quote("a/b", safe=""), safe="")
    answer = one.get(f"/runs/{name}?x=1&y=2")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=" + quote(f"/runs/{name}?x=1&y=2", safe="")
    for path in ("/api/runs", "/metrics", "/live"):
        answer = one.get(path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path
    assert one.post("/logout").status_code == 401
    assert one.get("/static/app.css").status_code == 200
    assert one.get("/healthz").json() == {"status": "ok"}
    for path in ("/loginx", "/login/../audit", "//audit", "/static", "/healthz/", "/apix", "/"):
        assert ask(locked, "GET", path).status in (303, 404), path


def test_programs_give_the_token(locked: str, client: Any):
    """Bearer opens the API and the metrics, and no page."""
    bearer = {"authorization": f"Bearer {TOKEN}"}
    one = client(locked)
    assert one.get("/metrics", headers=bearer).status_code == 200
    assert one.get("/audit", headers=bearer).status_code == 303
    assert one.get("/metrics", headers={"authorization": "Bearer x"}).status_code == 401
    assert one.get("/metrics", headers={"authorization": f"Basic {TOKEN}"}).status_code == 401


def test_a_session(locked: str, client: Any):
    """It begins with the token and ends with the logout, also for a copy of the cookie."""
    one = client(locked)
    answer = give(one)
    assert (answer.status_code, answer.headers["location"]) == (303, "/audit")
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={SESSION_SECONDS}"):
        assert word in cookie
    assert "Secure" not in cookie
    page = one.get("/audit")
    assert page.status_code == 200
    assert 'action="/logout"' in page.text
    assert one.get("/login?next=/quotas").headers["location"] == "/quotas"
    copied = {"cookie": cookie.partition(";")[0]}
    found = FIELD.search(page.text)
    assert found
    gone = one.post("/logout", data={"csrf": found[1]})
    assert (gone.status_code, gone.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in gone.headers["set-cookie"]
    assert httpx2.get(locked + "/audit", headers=copied).status_code == 303


def test_a_cookie_that_is_not_ours(locked: str, start: Start, client: Any):
    """Altered, of a guest, or signed with another token: none opens a page."""
    one = client(locked)
    cookie = give(one).headers["set-cookie"].partition(";")[0]
    name, _, value = cookie.partition("=")
    guest = client(locked).get("/login").headers["set-cookie"].partition(";")[0]
    kind, _, rest = guest.partition("=")[2].partition(".")
    assert kind == "g"
    other = start("another-token-of-some-length")
    foreign = give(client(other), "another-token-of-some-length").headers["set-cookie"]
    foreign = foreign.partition(";")[0].partition("=")[2]
    forged = [guest.partition("=")[2], f"s.{rest}", value[:-1], value + "0", "", "s", "s.1.x.y",
              value.replace("s.", "s.9", 1), foreign, "s.é.é.é"]  # fmt: skip
    for text in forged:
        answer = ask(locked, "GET", "/audit", Cookie=f"{name}={text}")
        assert answer.status == 303, text
    # One that another page of this machine has set besides does not shut its owner out.
    assert ask(locked, "GET", "/audit", Cookie=f"{name}=s.1.x.y; {name}={value}").status == 200


def test_a_form_of_our_own_only(locked: str, client: Any):
    """Without its field, with one of another session, altered, or sent by another site: refused."""
    one, other = client(locked), client(locked)
    give(one)
    give(other)
    good, foreign = (FIELD.search(each.get("/audit").text)[1] for each in (one, other))
    for token in ("", "x", "é", "a.b.c", "a.1.c", foreign, good[:-1], good + "0"):
        refused = one.post("/logout", data={"csrf": token})
        assert (refused.status_code, "no longer valid" in refused.text) == (403, True), token
    elsewhere = [
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "null"},
        {"origin": "http://evil.example"}, {"origin": "http://127.0.0.1:1"},
        {"origin": locked.replace("http:", "https:")}, {"sec-fetch-site": "none"},
    ]  # fmt: skip
    for headers in elsewhere:
        refused = one.post("/logout", data={"csrf": good}, headers=headers)
        assert (refused.status_code, "another site" in refused.text) == (403, True), headers
    assert one.get("/audit").status_code == 200
    # A body that is no form needs the header; the header alone will do.
    assert one.post("/logout", content=f"csrf={good}").status_code == 403
    ours = {"origin": locked, "sec-fetch-site": "same-origin", "x-csrf-token": good}
    assert one.post("/logout", headers=ours).status_code == 303


def test_a_form_is_acted_upon_once():
    """The second time that it comes is told from the first."""
    access = Access()
    session = access.begin(signed_in=False)
    form = access.form_id(session, access.form_token(session))
    assert form
    assert [access.take(form), access.take(form)] == [True, False]


def test_nobody_is_led_elsewhere(locked: str, client: Any):
    """After the login only a path of the dashboard's own is gone to."""
    for place in ("//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example",
                  "javascript:alert(1)", "/a b", "", "/é", "/x\r\nSet-Cookie: a=b"):  # fmt: skip
        assert own_path(place) == "/"
        one = client(locked)
        assert give(one, onward=place).headers["location"] == "/", place
        answer = one.get("/login", params={"next": place})
        assert answer.headers["location"] == "/", place
    assert own_path("/runs/a%252Fb?x=1#y") == "/runs/a%252Fb?x=1#y"


def test_wrong_tokens_are_counted(start: Start, client: Any):
    """After some, even the right one has to wait; sessions go on, and a proxy's clients are apart."""
    url = start(public_url="http://nights.example.com")
    inside = client(url)
    give(inside, x_forwarded_for="10.0.0.1")
    one = client(url)
    for _ in range(TRIES):
        assert give(one, "wrong", x_forwarded_for="10.0.0.2").status_code == 403
    refused = give(one, TOKEN, x_forwarded_for="10.0.0.2")
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    bearer = {"authorization": f"Bearer {TOKEN}", "x-forwarded-for": "10.0.0.2"}
    assert one.get("/metrics", headers=bearer).status_code == 429
    assert inside.get("/audit").status_code == 200
    assert give(one, TOKEN, x_forwarded_for="10.0.0.3").status_code == 303


def test_nobody_is_believed_without_a_proxy(locked: str, client: Any):
    """Where there is no proxy, X-Forwarded-For makes no other client of one."""
    one = client(locked)
    for n in range(TRIES):
        assert give(one, "wrong", x_forwarded_for=f"10.0.0.{n}").status_code == 403
    assert give(one, x_forwarded_for="10.0.0.99").status_code == 429


def test_limits_fill_up_again():
    """One address waits for itself, strangers for all; who has given the right one does not."""
    fake = FakeClock()
    with clock.use(fake):
        limiter = Limiter()
        for _ in range(TRIES):
            assert limiter.wait("2001:db8::1") == 0
            limiter.failed("2001:db8::1")
        assert limiter.wait("2001:db8::ffff") == 30  # of the same network
        assert limiter.wait("2001:db8:1::1") == 0
        fake.advance(30)
        assert limiter.wait("2001:db8::1") == 0
        limiter.passed("192.0.2.1")
        for n in range(TRIES_IN_ALL + 20):
            limiter.failed(f"10.1.{n}.1")
        assert limiter.wait("10.200.0.1") == 2
        assert limiter.wait("192.0.2.1") == 0
        assert limiter.wait("::ffff:192.0.2.1") == 0
        limiter.failed("192.0.2.1")
        assert limiter.wait("192.0.2.1") == 0
        for n in range(10_000):
            limiter.failed(f"10.{n // 250}.{n % 250}.1")
        assert len(limiter._by) < 5000


def test_a_session_ends_by_itself():
    """After twelve hours; a cookie of the future is no other one."""
    fake = FakeClock()
    with clock.use(fake):
        access = Access(token=TOKEN)
        cookie = access.set_cookie(access.begin(signed_in=True)).partition(";")[0].partition("=")[2]
        sent = [(access.cookie(), cookie)]
        assert access.session(sent).signed_in
        assert Access(token=TOKEN).session(sent).signed_in, "it outlives a restart"
        fake.advance(SESSION_SECONDS)
        assert not access.session(sent).signed_in


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


def test_the_token_is_made_for_its_owner_only(tmp_path: Path):
    """Two that make it at once have one; others cannot read it, and a bad one is refused."""
    folder = tmp_path / "keys"
    token, path = tokens.kept(folder)
    assert (len(token) >= tokens.SHORTEST, tokens.kept(folder)) == (True, (token, path))
    assert (path.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [one.name for one in folder.iterdir()] == [path.name]
    tokens._make(path)
    assert tokens.kept(folder)[0] == token
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="may be read by others"):
        tokens.kept(folder)
    path.chmod(0o600)
    for text in ("short", "", "é" * 30, "a" * 20 + "\x07"):
        path.write_text(text)
        with pytest.raises(ConfigError):
            tokens.kept(folder)
    path.unlink()
    path.mkdir(mode=0o700)
    with pytest.raises(ConfigError, match="cannot be kept"):
        tokens.kept(folder)


def test_the_variable_is_taken_out_of_the_environment():
    """What a job starts with does not hold the dashboard's token."""
    environ = {tokens.VARIABLE: f" {TOKEN}\n", "PATH": "/bin"}
    assert tokens.taken(environ) == TOKEN
    assert environ == {"PATH": "/bin"}
    with pytest.raises(ConfigError, match="at least 16"):
        tokens.taken({tokens.VARIABLE: "guess"})


def test_other_machines_need_a_token(house: Any, tmp_path: Path):
    """Any address but loopback, and any public one, asks for the kept token, which is not told."""
    for host, settings in (("0.0.0.0", {}), ("127.0.0.1", {"public_url": "https://n.example"})):
        said: list[str] = []
        made = Dashboard(house.settings(keys=str(tmp_path), **settings), said.append, token="")
        url = f"http://127.0.0.1:{made.start(host, 0)}"
        try:
            token = (tmp_path / tokens.FILE).read_text().strip()
            assert said == [
                f"the dashboard asks for a login; its token is in {tmp_path / tokens.FILE}"
            ]
            assert token not in "".join(said)
            assert httpx2.get(url + "/audit").status_code == 303
            assert httpx2.get(url + "/healthz").json() == {"status": "ok"}
            assert ask(url, "GET", "/healthz", Host="evil.example").status == 421
        finally:
            made.stop()


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


def test_behind_a_proxy(start: Start, client: Any):
    """The public name and origin are its own; the cookie is for https only."""
    url = start(public_url="https://nights.example.com")
    one = client(url)
    host = {"host": "nights.example.com"}
    page = one.get("/login", headers=host)
    assert page.status_code == 200
    guest = page.headers["set-cookie"]
    assert guest.startswith("__Host-nightproof-guest=")
    assert "; Secure" in guest
    given = {"csrf": FIELD.search(page.text)[1], "token": TOKEN}
    for origin, status in (("https://nights.example.com", 303), ("https://evil.example", 403)):
        headers = {"origin": origin, "cookie": guest.partition(";")[0], **host}
        headers["sec-fetch-site"] = "same-origin"
        answer = httpx2.post(url + "/login", data=given, headers=headers)
        assert answer.status_code == status, origin
    assert "public_url" in answer.text
    assert ask(url, "GET", "/login", Host="other.example.com").status == 421


def test_the_page_with_the_login_form_is_quiet(locked: str, client: Any):
    """It asks for no news: there are none for a guest."""
    assert 'data-live="/live' not in client(locked).get("/login").text
