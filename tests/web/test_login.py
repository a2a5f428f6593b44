"""Who may ask a dashboard: token, session, cookie, form, and whoever tries too often."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from web_client import FIELD, TOKEN, Start, ask, give

from nightproof.errors import ConfigError
from nightproof.model import clock
from nightproof.testing.fake import FakeClock
from nightproof.web.dashboard import Dashboard
from nightproof.web.security import tokens
from nightproof.web.security.access import SESSION_SECONDS, Access, own_path
from nightproof.web.security.limits import TRIES, TRIES_IN_ALL, Limiter


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
    """After twelve hours; also where a clock that was ahead has been put right."""
    fake = FakeClock()
    with clock.use(fake):
        access = Access(token=TOKEN)
        cookie = access.set_cookie(access.begin(signed_in=True)).partition(";")[0].partition("=")[2]
        sent = [(access.cookie(), cookie)]
        assert access.session(sent).signed_in
        assert Access(token=TOKEN).session(sent).signed_in, "it outlives a restart"
        begun = fake.now
        fake.set(begun - timedelta(minutes=10))
        assert access.session(sent).signed_in, "a clock that is corrected a little ends none"
        fake.set(begun - timedelta(days=30))
        assert not access.session(sent).signed_in, "it would last a month and twelve hours"
        fake.set(begun + timedelta(seconds=SESSION_SECONDS))
        assert not access.session(sent).signed_in


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
