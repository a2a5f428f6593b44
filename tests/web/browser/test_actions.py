"""Every action, by clicking: confirmation, the act itself, its trace."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from web_house import command


@pytest.fixture
def mine(own_house: Any, serving: Callable[..., Any]) -> Any:
    """A dashboard on a house that a test may change."""
    return serving(own_house)


def status(mine: Any, run: str) -> str:
    """A run's status on record."""
    return command(mine.house.folder, "show", run)["run"]["status"]


def until(wanted: Callable[[], Any]) -> Any:
    """What `wanted` returns once that is something."""
    for _ in range(300):
        found = wanted()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come to that")


def at(mine: Any, what: str) -> str:
    """The address of a run."""
    return f"{mine.url}/runs/{quote(mine.house.runs[what])}"


def confirm(page: Any, button: str) -> None:
    """Press the button of a confirmation page, which shows the command first."""
    assert page.locator("main").get_by_text("nightproof", exact=False).count() >= 1
    page.get_by_role("button", name=button).click()
    page.wait_for_load_state("load")


def test_resolve_from_the_morning_page(mine: Any, visit: Any):
    """A held effect stands on the home page; the decision leads to a run that completes."""
    visitor = visit()
    page = visitor.open(mine.url)
    page.get_by_role("link", name="Decide").first.click()
    page.get_by_label("It happened: take it as done").check()
    page.get_by_label("Its result as JSON", exact=False).fill('"posted by hand"')
    assert visitor.findings() == []
    visitor.shot("confirm")
    page.locator("main form button").first.click()
    page.wait_for_url("**/runs/**")
    visitor.shot("done")
    page.goto(mine.url + "/audit")
    assert "resolve" in page.locator("main table").inner_text()
    run = mine.house.runs["held"]
    if status(mine, run) != "completed":
        page.goto(at(mine, "held"))
        page.get_by_role("link", name="Resume").first.click()
        page.locator("main form button").first.click()
        page.wait_for_url("**/runs/**")
    until(lambda: status(mine, run) == "completed")


def test_signal(mine: Any, visit: Any):
    """A parked run is told what it waits for, and completes."""
    visitor = visit()
    page = visitor.open(at(mine, "parked"))
    page.get_by_role("link", name="Send go").first.click()
    page.locator("textarea").fill("not JSON")
    visitor.expected = ["status of 422"]
    page.locator("main form button").first.click()
    assert page.locator("textarea").input_value() == "not JSON", "what was typed is kept"
    assert visitor.findings() == []
    page.locator("textarea").fill('"hello"')
    page.locator("main form button").first.click()
    page.wait_for_url("**/runs/**")
    run = mine.house.runs["parked"]
    if status(mine, run) != "completed":
        page.goto(at(mine, "parked"))
        page.get_by_role("link", name="Resume").first.click()
        page.locator("main form button").first.click()
    until(lambda: status(mine, run) == "completed")


def test_resume_replicate_and_cancel(mine: Any, visit: Any):
    """A failed run is resumed, a completed one replicated, a parked one cancelled."""
    visitor = visit()
    page = visitor.open(at(mine, "failed"))
    page.get_by_role("link", name="Resume").first.click()
    visitor.shot("resume")
    page.locator("main form button").first.click()
    page.wait_for_url("**/runs/**")
    until(
        lambda: (
            command(mine.house.folder, "show", mine.house.runs["failed"])["run"]["attempts"] == 2
        )
    )

    page.goto(at(mine, "night 0"))
    page.get_by_role("link", name="Replicate").first.click()
    visitor.shot("replicate")
    page.locator("main form button").first.click()
    page.wait_for_url("**/runs/**")
    until(lambda: status(mine, mine.house.runs["night 0"] + ".1") == "completed")
    posted = (mine.house.folder / "posted.txt").read_text().splitlines()
    assert len(posted) == len(set(posted)), "a replicate performs no effects"

    page.goto(at(mine, "parked"))
    page.get_by_role("link", name="Cancel").first.click()
    visitor.shot("cancel")
    page.locator("main form button").first.click()
    page.wait_for_url("**/runs/**")
    until(lambda: status(mine, mine.house.runs["parked"]) == "cancelled")
    page.goto(mine.url + "/audit")
    told = page.locator("main table").inner_text()
    assert all(word in told for word in ("resume", "replicate", "cancel")), told
    visitor.shot("audit")


def test_backfill(own_house: Any, serving: Any, visit: Any):
    """Nights of a schedule that did not run are run."""
    command(own_house.folder, "serve", "jobs.py", "--once")
    mine = serving(own_house)
    visitor = visit()
    page = visitor.open(mine.url + "/schedule")
    page.get_by_role("link", name="Backfill", exact=False).first.click()
    page.locator("input[name=from]").fill("2026-11-10")
    page.locator("input[name=to]").fill("2026-11-11")
    assert visitor.findings() == []
    visitor.shot("backfill")
    page.locator("main form button").first.click()
    page.wait_for_load_state("load")
    nights = lambda: command(own_house.folder, "runs", "--job", "nightly", "--limit", "99")["runs"]  # noqa: E731
    until(lambda: len([one for one in nights() if one["status"] == "completed"]) >= 6)


def test_a_form_acts_once(mine: Any, visit: Any):
    """Going back and pressing the button again does nothing more."""
    visitor = visit()
    visitor.expected = ["status of 409", "status of 40"]
    page = visitor.open(at(mine, "night 1"))
    page.get_by_role("link", name="Replicate").first.click()
    page.evaluate("""() => { const form = document.querySelector('main form');
        window.first = fetch(form.action, {method: 'POST', body: new URLSearchParams(new FormData(form))});
        window.second = fetch(form.action, {method: 'POST', body: new URLSearchParams(new FormData(form))}); }""")
    page.evaluate(
        "() => Promise.all([window.first, window.second]).then(all => all.map(a => a.status))"
    )
    until(lambda: status(mine, mine.house.runs["night 1"] + ".1") == "completed")
    listed = command(mine.house.folder, "runs", "--job", "nightly", "--limit", "99")["runs"]
    assert [one for one in listed if one["run"].startswith(mine.house.runs["night 1"] + ".")][
        1:
    ] == []
