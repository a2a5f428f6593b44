"""The login in a real browser, and what pages of other sites can do to it."""

import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from nightproof.web.dashboard import Dashboard

pytestmark = pytest.mark.drill

TOKEN = "a-token-of-some-length"


@pytest.fixture
def locked(own_house: Any) -> Iterator[str]:
    """The URL of a dashboard that has a token."""
    made = Dashboard(own_house.settings(), print, token=TOKEN)
    made.start("127.0.0.1", 0)
    yield made.url.rstrip("/")
    made.stop()


@pytest.fixture
def elsewhere(locked: str) -> Iterator[str]:
    """The URL of another site: it links to the dashboard, posts to it, and frames it."""
    body = f"""<!doctype html><title>elsewhere</title><a href="{locked}/audit">look</a>
    <form method="post" action="{locked}/logout"><input name="csrf" value="x"><button>out</button></form>
    <form method="post" action="{locked}/login"><input name="token" value="x"><button>in</button></form>
    <iframe src="{locked}/audit"></iframe>"""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that the server calls
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    # To a browser this name is another site than 127.0.0.1.
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_open_page_of_a_session_that_is_over(own_house: Any, visit: Callable[..., Any]):
    """A dashboard that comes back with another token leads its open pages to the login."""
    first = Dashboard(own_house.settings(), print, token=TOKEN)
    port = first.start("127.0.0.1", 0)
    try:
        visitor = visit()
        visitor.expected = ["net::ERR_", "status of 401"]
        page = visitor.open(f"{first.url}runs")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        page.locator("#live", has_text="live").wait_for()
    finally:
        first.stop()
    second = Dashboard(own_house.settings(), print, token=f"{TOKEN}-of-today")
    second.start("127.0.0.1", port)
    try:
        page.wait_for_url("**/login?next=*")
    finally:
        second.stop()


def test_in_and_out(locked: str, visit: Callable[..., Any]):
    """A page leads to the login and back; a wrong token is told; logging out ends it."""
    visitor = visit(width=390)
    visitor.expected = ["status of 403"]
    page = visitor.open(locked + "/runs?q=nightly")
    assert "/login?next=" in page.url
    assert visitor.findings() == []
    visitor.shot("form")
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()
    assert visitor.findings() == []
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_url(locked + "/runs?q=nightly")
    page.locator("#live", has_text="live").wait_for()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(locked + "/login")
    page.go_back()
    page.wait_for_url(re.compile("/login"))


def test_a_link_from_elsewhere(locked: str, elsewhere: str, visit: Callable[..., Any]):
    """A link in a message leads to the page although the cookie is SameSite=Strict; a stranger's
    post and a frame lead nowhere.
    """
    visitor = visit()
    visitor.expected = [
        "frame-ancestors|Framing|X-Frame-Options",
        "status of 40[13]",
        "ERR_BLOCKED",
        "favicon",
        "status of 404",
    ]
    page = visitor.open(locked + "/login")
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_url(locked + "/")
    for press in ("out", "in"):
        visitor.open(elsewhere)
        assert "Audit" not in page.frames[1].content()
        page.get_by_role("button", name=press).click()
        page.wait_for_url(re.compile(locked))
        assert page.locator("h1").inner_text() in (
            "this was sent by a page of another site",
            "this needs a login",
        )
    visitor.open(elsewhere)
    page.get_by_role("link", name="look").click()
    page.wait_for_url(locked + "/audit")
    page.get_by_role("button", name="Log out").wait_for()


def test_a_session_that_ends_under_a_page(locked: str, visit: Callable[..., Any]):
    """An open page whose session has ended elsewhere leads to the login at once."""
    visitor = visit()
    visitor.expected = ["status of 40[13]"]
    page = visitor.open(locked + "/login")
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_url(locked + "/")
    other = page.context.new_page()
    other.goto(locked + "/audit")
    other.get_by_role("button", name="Log out").click()
    other.wait_for_url(locked + "/login")
    page.bring_to_front()
    page.wait_for_url(re.compile("/login"))
