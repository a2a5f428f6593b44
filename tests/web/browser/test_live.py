"""Pages that stay right while the journal changes under them."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from web_house import command

pytestmark = pytest.mark.drill


def test_a_page_shows_what_has_happened_since(
    own_house: Any, serving: Callable[..., Any], visit: Callable[..., Any]
):
    """A run that another process makes appears on an open page; what a person opened stays open."""
    running = serving(own_house)
    visitor = visit()
    page = visitor.open(running.url + "/effects")
    page.locator("#live", has_text="live").wait_for()
    page.locator("details").nth(1).locator("summary").click()
    kept = page.locator("tr", has_text="nightly/2026-11-21").element_handle()
    given = {"task": "words", "text": "news"}
    command(own_house.folder, "run", "jobs.py:doubt", "-", given=given)
    page.locator("th", has_text="doubt/news").wait_for()
    assert page.locator("details[open]").count() == 1
    assert kept.evaluate("row => row.isConnected"), "the page was changed, not replaced"
    assert "nightly/2026-11-21" in kept.inner_text(), "what comes on top moves no row's content"
    assert (
        page.locator("tr", has_text="doubt/news").locator("td.wide time").inner_text().count(":")
        == 1
    )


def test_news_wait_while_somebody_types(
    own_house: Any, serving: Callable[..., Any], visit: Callable[..., Any]
):
    """A field that was edited is not taken away; the page says that news wait."""
    running = serving(own_house)
    page = visit().open(running.url + "/effects")
    page.locator("#live", has_text="live").wait_for()
    page.get_by_label("Key or effect").fill("nightly")
    given = {"task": "words", "text": "news"}
    command(own_house.folder, "run", "jobs.py:doubt", "-", given=given)
    page.locator("#live", has_text="news wait while you edit").wait_for()
    assert page.get_by_label("Key or effect").input_value() == "nightly"
    assert page.locator("th", has_text="doubt/news").count() == 0


def test_a_page_whose_journal_is_gone_is_not_called_live(
    own_house: Any, serving: Callable[..., Any], visit: Callable[..., Any]
):
    """What is shown stays, and is said to be out of date, until the file is back."""
    running = serving(own_house)
    visitor = visit()
    visitor.expected.append("503")
    page = visitor.open(running.url + "/effects")
    page.locator("#live", has_text="live").wait_for()
    path = own_house.folder / ".nightproof" / "journal.db"
    path.rename(path.with_name("away.db"))
    page.locator("#live", has_text="out of date").wait_for()
    assert page.locator("tr", has_text="nightly/2026-11-21").count()
    path.with_name("away.db").rename(path)
    page.locator("#live", has_text="live").wait_for()


SERVE = """
import sys, json
from nightproof import config
from nightproof.web.dashboard import Dashboard
made = Dashboard(config.Settings(store=sys.argv[1]), print)
print(made.start("127.0.0.1", int(sys.argv[2])), flush=True)
sys.stdin.read()
"""


def test_a_dashboard_that_was_killed_comes_back_on_open_pages(
    own_house: Any, visit: Callable[..., Any]
):
    """The page says that nobody answers, and is right again when a dashboard is back."""

    def start(port: int) -> tuple[subprocess.Popen[str], int]:
        child = subprocess.Popen(
            [sys.executable, "-c", SERVE, own_house.store, str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return child, json.loads(child.stdout.readline())

    child, port = start(0)
    try:
        visitor = visit()
        visitor.expected += ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING"]
        page = visitor.open(f"http://127.0.0.1:{port}/effects")
        page.locator("#live", has_text="live").wait_for()
        child.kill()
        child.communicate()
        page.locator("#live", has_text="reconnecting").wait_for()
        given = {"task": "words", "text": "meanwhile"}
        command(own_house.folder, "run", "jobs.py:doubt", "-", given=given)
        child, _ = start(port)
        page.locator("th", has_text="doubt/meanwhile").wait_for(timeout=30_000)
        page.locator("#live", has_text="live").wait_for()
    finally:
        child.kill()
        child.communicate()
