"""Without a mouse: where the Tab key leads, and what arrow keys do in a calendar."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page
from web_house import command

pytestmark = pytest.mark.drill


def focused(page: Page) -> str:
    """What has the focus, in words."""
    return page.evaluate("document.activeElement.innerText.trim()")


def stops(page: Page) -> list[str]:
    """What the Tab key leads to, from the beginning of the page until it leaves it."""
    page.evaluate("document.activeElement.blur()")
    found = []
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            return found
        found.append(page.evaluate("document.activeElement.className.split(' ')[0]"))
    raise AssertionError(found)


def test_a_calendar_is_one_stop(dashboard: Any, visit: Callable[..., Any]):
    """Twenty jobs of a month are not seven hundred times Tab; every night can still be reached."""
    page = visit().open(dashboard.url)
    assert page.locator("a.cell").count() > 3
    assert stops(page).count("cell") == 1
    cells = page.locator("table.calendar a.cell")
    names = [one.strip() for one in cells.all_inner_texts()]
    cells.last.focus()
    seen = [focused(page)]
    for _ in range(len(names) - 1):
        page.keyboard.press("ArrowUp")
        seen.append(focused(page))
    assert seen == names[::-1], "a night a row"
    page.keyboard.press("ArrowUp")
    assert focused(page) == names[0], "there is nothing above"
    page.keyboard.press("ArrowDown")
    assert focused(page) == names[1]
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert focused(page) == names[1], "Tab comes back to where one was"
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "/runs/" in page.url


def test_news_leave_the_focus_where_it_was(
    own_house: Any, serving: Callable[..., Any], visit: Callable[..., Any]
):
    """A need that comes on top does not turn a button into another one under somebody's finger."""
    page = visit().open(serving(own_house).url)
    page.locator("#live", has_text="live").wait_for()
    page.locator(".need", has_text="failing").get_by_role("link", name="Resume").focus()
    before = page.evaluate("document.activeElement.href")
    command(own_house.folder, "run", "jobs.py:doubt", "-", given={"task": "words", "text": "news"})
    page.locator(".need", has_text="doubt/news").wait_for()
    assert page.evaluate("document.activeElement.href") == before
    assert stops(page).count("cell") == 1, "nights that came with the news are no stops either"


def test_links_that_are_called_alike_say_of_what(dashboard: Any, visit: Callable[..., Any]):
    """Whoever has the links of a page read out hears what each is about."""
    page, runs = visit().page, dashboard.house.runs
    page.goto(dashboard.url)
    for name in (f"Resume {runs['failed']}", f"Compare {runs['drifted']}", "Decide doubt/x"):
        assert page.get_by_role("link", name=name, exact=True).count() == 1, name
    for path in ("/", "/schedule", "/effects", "/drift", "/jobs/styled", "/jobs/styled/budget"):
        page.goto(dashboard.url + path)
        buttons = page.locator("main :is(table, .needs) a.button")
        names = [" ".join(one.split()) for one in buttons.all_inner_texts()]
        assert len(names) == len(set(names)), (path, names)


def test_who_had_the_focus_when_it_went_is_at_the_content(
    own_house: Any, serving: Callable[..., Any], visit: Callable[..., Any]
):
    """A button that makes no sense any more takes nobody back to the top of the page."""
    page = visit().open(serving(own_house).url)
    page.locator("#live", has_text="live").wait_for()
    page.get_by_role("link", name="Decide doubt/x").focus()
    command(own_house.folder, "resolve", own_house.runs["held"], "doubt/x", "--retry")
    page.get_by_role("link", name="Decide doubt/x").wait_for(state="detached")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_the_title_of_a_tab_has_the_news(
    own_house: Any, serving: Callable[..., Any], visit: Callable[..., Any]
):
    """Whoever looks at another tab sees what needs somebody, and how a run stands."""
    running, held = serving(own_house), own_house.runs["held"]
    visitor = visit()
    page = visitor.open(running.url)
    assert page.title() == "(4) Last night · nightproof"
    page.locator("#live", has_text="live").wait_for()
    command(own_house.folder, "run", "jobs.py:doubt", "-", given={"task": "words", "text": "news"})
    page.locator(".need", has_text="doubt/news").wait_for()
    assert page.title() == "(5) Last night · nightproof"
    assert page.locator("[role=status]", has_text="5 things").count() == 1, "it is read out too"
    page = visitor.open(f"{running.url}/runs/{held}")
    assert page.title() == f"{held}: parked · nightproof"
    page.locator("#live", has_text="live").wait_for()
    command(own_house.folder, "cancel", held)
    page.locator(".title .status", has_text="cancelled").wait_for()
    assert page.title() == f"{held}: cancelled · nightproof"
