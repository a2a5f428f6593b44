"""What the script of the pages does beyond links and forms."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.drill


def until(page: Page, wanted: str, given: Any = None) -> None:
    """Wait for a condition; what Playwright repeats in the page itself is forbidden there."""
    for _ in range(200):
        if page.evaluate(wanted, given):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"it did not come to {wanted}")


def test_times_are_shown_in_the_zone_of_the_viewer(dashboard: Any, visit: Callable[..., Any]):
    """A time is written in UTC and shown where the viewer is (Tokyo); the title has both."""
    page = visit().open(dashboard.url + "/effects")
    time = page.locator("td.wide time").first
    hour = int(time.get_attribute("datetime")[11:13])
    assert f" {(hour + 9) % 24:02}:" in time.inner_text()
    assert time.get_attribute("datetime") in time.get_attribute("title")


def test_without_scripts_a_page_says_all_of_it(dashboard: Any, visit: Callable[..., Any]):
    """Times are there in UTC, and no button that would do nothing."""
    visitor = visit(java_script_enabled=False)
    page = visitor.open(dashboard.url + f"/runs/{dashboard.house.runs['held']}")
    assert page.locator("time").first.inner_text().endswith("UTC")
    assert page.locator("button.copy:visible").count() == 0
    assert page.get_by_text("reload for news").is_visible()


def test_a_command_is_copied(dashboard: Any, visit: Callable[..., Any]):
    """The button puts the command into the clipboard and says so."""
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    page = visitor.open(dashboard.url + f"/runs/{dashboard.house.runs['held']}")
    command = page.locator(".command").first
    command.get_by_role("button", name="Copy").click()
    command.get_by_role("button", name="Copied").wait_for()
    text = page.evaluate("navigator.clipboard.readText()")
    assert text.startswith("nightproof resolve")
    assert text == command.locator("code").inner_text()


def test_charts_are_drawn_and_follow_the_colour_scheme(dashboard: Any, visit: Callable[..., Any]):
    """A chart is drawn once, and once more where light turns into dark."""
    page = visit().open(dashboard.url + "/jobs/nightly")
    plot = page.locator("[data-chart]").first
    plot.locator("canvas").wait_for()
    before = plot.locator("canvas").evaluate("canvas => canvas.toDataURL()")
    page.emulate_media(color_scheme="dark")
    until(
        page,
        """before => {
            const all = document.querySelector("[data-chart]").querySelectorAll("canvas");
            return all.length === 1 && all[0].toDataURL() !== before;
        }""",
        before,
    )


def test_a_square_of_the_grid_leads_to_its_item(dashboard: Any, visit: Callable[..., Any]):
    """The eighth item has failed: its square says so and leads to it."""
    page = visit().open(dashboard.url + f"/runs/{dashboard.house.runs['many']}/steps/enrich")
    grid = page.locator("canvas.grid")
    until(page, "document.querySelector('canvas.grid').width !== 300")
    grid.hover(position={"x": 7 * 16 + 6, "y": 6})
    assert grid.get_attribute("title") == "8: failed"
    with page.expect_navigation():
        grid.click(position={"x": 7 * 16 + 6, "y": 6})
    assert "item-000007" in page.locator("main").inner_text()


def test_a_page_that_is_not_seen_gives_its_connection_back(
    dashboard: Any, visit: Callable[..., Any]
):
    """A browser opens six connections to a host: a hidden page closes its stream."""
    visitor = visit()
    visitor.page.add_init_script(
        """window.streams = [];
        window.EventSource = class extends EventSource {
            constructor(...given) { super(...given); window.streams.push(this); }
        };"""
    )
    page = visitor.open(dashboard.url + "/effects")
    page.locator("#live", has_text="live").wait_for()
    hide = """hidden => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    until(page, "streams.length === 1 && streams[0].readyState === EventSource.CLOSED")
    page.evaluate(hide, False)
    until(page, "streams.length === 2 && streams[1].readyState === EventSource.OPEN")
