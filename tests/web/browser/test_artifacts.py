"""Artifacts that mean harm, in a real browser, with a server that waits for what they send."""

import socket
import threading
from collections.abc import Callable, Iterator
from html import unescape
from re import findall
from typing import Any

import httpx2
import pytest
from parts_house import build

from nightproof.web.dashboard import Dashboard

pytestmark = pytest.mark.drill

ACTING = (".html", ".svg", ".md", ".png", "typed.txt", "plain.txt", "wide.csv")
EXPECTED = [r"/sandbox\)", r"frame-src", r"Refused to frame", r"Framing 'http"]
"""What Chromium says of its own of what it has stopped in a frame."""


class Listener:
    """Counts connections to a port of its own."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.count = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                found, _ = self._socket.accept()
            except OSError:
                return
            self.count += 1
            found.close()

    def close(self) -> None:
        """Listen no more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture(scope="module")
def evil() -> Iterator[Listener]:
    """Where the artifacts want to send something."""
    made = Listener()
    yield made
    made.close()


@pytest.fixture(scope="module")
def parts(tmp_path_factory: Any, serving: Any, house: Any, evil: Listener) -> Any:
    """A dashboard on runs that mean harm."""
    folder = tmp_path_factory.mktemp("parts")
    return serving(type(house)(folder, build(folder, evil.url)))


def pages(parts: Any) -> dict[str, str]:
    """The addresses of the harmful run's artifacts, by name."""
    body = parts.get(f"/runs/{parts.house.runs['harmful']}/artifacts").text
    found = findall(r'<a href="(/runs/[^"]*/artifacts/\d+)">([^<]*)</a>', body)
    return {unescape(name): parts.url + path for path, name in found}


def test_no_artifact_does_what_it_means_to(parts: Any, visit: Callable[..., Any], evil: Listener):
    """No script, request, navigation, connection or cookie, whatever kind of file it is."""
    visitor = visit()
    visitor.expected = EXPECTED
    for name, address in pages(parts).items():
        if not name.endswith(ACTING):
            continue
        page = visitor.open(address)
        page.wait_for_timeout(150)
        assert page.url == address
        assert "stolen" not in page.title(), name
        for frame in page.frames[1:]:
            assert frame.evaluate("self.origin") == "null", name
            assert frame.evaluate("document.title") in ("", "Picture"), name
            with pytest.raises(Exception, match="sandboxed"):
                frame.evaluate("document.cookie")
            with pytest.raises(Exception, match="cross-origin"):
                frame.evaluate("top.document.title")
    assert evil.count == 0


def test_what_is_pressed_in_a_frame_stays_there(
    parts: Any, visit: Callable[..., Any], evil: Listener
):
    """Links to scripts, new windows, downloads and forms do nothing; the page stays."""
    visitor = visit()
    visitor.expected = [
        *EXPECTED,
        r"sandbox",
        r"chrome-error",
        r"ERR_BLOCKED",
        r"violates the following",
    ]
    address = pages(parts)["page.html"]
    opened: list[Any] = []
    for element in ("#script", "#pop", "#own", "#send", "#load", "#away"):
        page = visitor.open(address)
        if element == "#script":
            for source, event in ((page.context, "page"), (page, "download")):
                source.on(event, lambda one: opened.append(one.url))
        page.frames[1].evaluate(f"document.querySelector('{element}').click()")
        page.wait_for_timeout(200)
        assert page.url == address, element
        assert "stolen" not in page.title(), element
        assert all(
            "/runs/" not in one.url or one.url.endswith("/sandbox") for one in page.frames[1:]
        )
    assert opened == []


def test_a_login_counts_for_frames_and_pictures(parts: Any, visit: Callable[..., Any]):
    """Behind a token both are shown to whoever signed in, and to nobody else."""
    token = "a-token-of-some-length"
    made = Dashboard(parts.house.settings(), parts.said.append, token=token)
    url = f"http://127.0.0.1:{made.start('127.0.0.1', 0)}"
    try:
        files = {name: url + at.removeprefix(parts.url) for name, at in pages(parts).items()}
        for more in ("", "/file", "/sandbox"):
            assert httpx2.get(files["page.html"] + more).status_code == 303
        visitor = visit()
        visitor.expected = EXPECTED
        page = visitor.open(files["page.html"])
        page.fill("input[name=token]", token)
        page.press("input[name=token]", "Enter")
        page.wait_for_url(files["page.html"])
        assert page.frames[1].text_content("h1") == "framed"
        page = visitor.open(files["real.png"])
        assert page.evaluate("document.images[0].naturalWidth") == 2
    finally:
        made.stop()


def test_pictures_and_drawings_are_seen(parts: Any, visit: Callable[..., Any]):
    """A picture has its size; an SVG is drawn as one."""
    visitor = visit()
    page = visitor.open(pages(parts)["real.png"])
    size = "[document.images[0].naturalWidth, document.images[0].naturalHeight]"
    assert page.evaluate(size) == [2, 2]
    frame = visitor.open(pages(parts)["drawing.svg"]).frames[1]
    frame.wait_for_load_state("load")
    assert frame.evaluate("document.images[0].complete")


@pytest.mark.drill
def test_the_parts_are_accessible_on_every_screen(
    parts: Any, dashboard: Any, visit: Callable[..., Any]
):
    """No serious finding, nothing wider than the screen, light and dark."""
    night, secretive = dashboard.house.runs["crashed"], parts.house.runs["secretive"]
    files = pages(parts)
    shown = [files[name] for name in ("prose.md", "page.html", "one.json", "real.png")]
    shown += [f"{parts.url}/runs/{secretive}/{one}" for one in ("cost", "reads", "input")]
    shown += [f"{dashboard.url}/runs/{night}/{one}" for one in ("artifacts", "environment")]
    for scheme, width in (("light", 1280), ("dark", 390)):
        visitor = visit(scheme, width)
        visitor.expected = EXPECTED
        for at, address in enumerate(shown):
            page = visitor.open(address)
            assert visitor.findings() == [], address
            visitor.shot(f"{scheme}-{at}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, address
