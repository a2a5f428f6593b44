"""Debian's Chromium, driven by Playwright, with an eye on everything that must not happen."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
REQUIRED = "NIGHTPROOF_BROWSER"
"""Set where a missing browser is a failure: CI installs one."""
SHOTS = os.environ.get("NIGHTPROOF_SCREENSHOTS", "")
"""The folder for pictures of what the tests see, for people; without it none are taken."""
# Frames are sandboxed: axe is not in them, and would wait for their answer. No rule that
# counts here needs the style sheets as text.
AXE = {"resultTypes": ["violations"], "iframes": False, "preload": False}
LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}
SERIOUS = {"serious", "critical"}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    # Whatever would leave loopback anyway finds nobody, and is seen as a request all the same.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
]


@dataclass
class Visitor:
    """A page, and what went wrong on it: nothing may."""

    page: Page
    name: str
    wrong: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Regular expressions of what a test means to go wrong."""

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self._note(f"script: {error}"))
        self.page.context.on("request", self._request)
        self.page.context.on("requestfailed", self._failed)

    def _console(self, message) -> None:
        if message.type in ("error", "warning"):
            self._note(f"console {message.type}: {message.text} ({message.location.get('url')})")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("data", "blob", "about"):
            return
        if parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
            self._note(f"a request left loopback: {request.url}")

    def _failed(self, request: Request) -> None:
        """What the page's own policy has stopped was never sent."""
        left = f"a request left loopback: {request.url}"
        if "csp" in (request.failure or "").lower() and left in self.wrong:
            self.wrong.remove(left)

    def _note(self, what: str) -> None:
        if not any(re.search(one, what) for one in self.expected):
            self.wrong.append(what)

    def open(self, url: str) -> Page:
        """Go to an address and wait until it is quiet there."""
        self.page.goto(url)
        self.page.wait_for_load_state("load")
        return self.page

    def shot(self, what: str = "") -> None:
        """Keep a picture of the whole page, where pictures are wanted."""
        if not SHOTS:
            return
        folder = Path(SHOTS).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^\w.-]+", "-", f"{self.name}-{what}" if what else self.name)
        self.page.screenshot(path=folder / f"{name}.png", full_page=True)

    def findings(self) -> list[str]:
        """The serious findings of axe on the page as it is."""
        found = Axe().run(self.page, options=AXE).response["violations"]
        return [
            f"{one['id']}: {one['help']}: " + "; ".join(n["html"][:160] for n in one["nodes"][:4])
            for one in found
            if one["impact"] in SERIOUS
        ]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser; while it is there, a test cannot call `asyncio.run`."""
    if CHROMIUM is None:
        if os.environ.get(REQUIRED):
            pytest.fail("there is no chromium, and this machine is meant to have one")
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Visitor]]:
    """Opens pages: ``visit(scheme="dark", width=390)``; in the end nothing went wrong on any."""
    visitors: list[Visitor] = []
    contexts: list[BrowserContext] = []

    def start(scheme: str = "light", width: int = 1280, **more) -> Visitor:
        context = browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 900},
            reduced_motion="reduce", timezone_id="Asia/Tokyo", locale="en-GB", **more,
        )  # fmt: skip
        context.set_default_timeout(15_000)
        contexts.append(context)
        visitors.append(Visitor(context.new_page(), request.node.name))
        return visitors[-1]

    yield start
    for context in contexts:
        context.close()
    assert [wrong for one in visitors for wrong in one.wrong] == []
