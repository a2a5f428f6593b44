"""Drift and search in a browser: what their script does, and what they look like to axe."""

from typing import Any
from urllib.parse import quote

import pytest

from nightproof.web import comparing

DROP = """([place, text]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([text], "dropped.txt"));
  for (const kind of ["dragover", "drop"])
    place.dispatchEvent(new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }));
}"""


def pair(house: Any) -> str:
    """The address of two runs that differ."""
    return f"/drift?a={quote(house.runs['styled'])}&b={quote(house.runs['drifted'])}"


def test_a_comparison_appears_by_itself(
    visit: Any, serving: Any, house: Any, monkeypatch: pytest.MonkeyPatch
):
    """A page that says "not yet" becomes the verdict without a hand."""
    monkeypatch.setattr(comparing, "SHORT", 0)
    page = visit().open(serving(house).url + pair(house))
    assert page.get_by_text("Two runs are being compared").count() == 1
    page.get_by_role("heading", name="Drift in house_style").wait_for()
    assert page.get_by_text("variable HOUSE_STYLE").count() == 1


def test_a_dropped_file_finds_its_run(visit: Any, dashboard: Any, house: Any):
    """Dropped or chosen: the page of the run that made it is one link away."""
    folder = house.folder / ".nightproof" / "artifacts" / house.runs["styled"]
    page = visit().open(dashboard.url + "/search")
    text = (folder / "styled.txt").read_text()
    page.eval_on_selector("[data-drop]", f"(place, text) => ({DROP})([place, text])", text)
    page.get_by_role("heading", name="Delivered by").wait_for()
    assert page.get_by_text("dropped.txt").count() == 1
    page.goto(dashboard.url + "/search")
    page.set_input_files("input[type=file]", folder / "styled.txt")
    page.get_by_role("heading", name="Delivered by").wait_for()
    page.get_by_role("link", name=house.runs["styled"], exact=True).first.click()
    page.wait_for_url(f"**/runs/{house.runs['styled']}")


def test_enter_searches(visit: Any, dashboard: Any):
    """The box takes several lines, and yet Enter is enough."""
    page = visit().open(dashboard.url + "/search")
    page.get_by_label("Run, job, effect key").fill("item-000107")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Items").wait_for()


@pytest.mark.drill
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_no_serious_finding(visit: Any, dashboard: Any, house: Any, scheme: str, width: int):
    """Text and table, found and not found, on a desktop and on a phone."""
    visitor = visit(scheme=scheme, width=width)
    for path in (
        pair(house), f"/drift?a={quote(house.runs['styled'])}", "/drift", "/jobs/styled/budget",
        "/search", "/search?q=countries%3DDE", "/search?q=nightly", "/search?q=" + "ab" * 32,
        f"/drift?a={quote(house.runs['night 0'])}&b={quote(house.runs['night 1'])}",
    ):  # fmt: skip
        page = visitor.open(dashboard.url + path)
        assert visitor.findings() == [], path
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, path


def test_without_scripts(visit: Any, dashboard: Any, house: Any):
    """The verdict is a page, and so is a search."""
    visitor = visit(java_script_enabled=False)
    page = visitor.open(dashboard.url + pair(house))
    assert page.get_by_role("heading", name="Drift in house_style").count() == 1
    page.goto(dashboard.url + "/search")
    page.get_by_label("Run, job, effect key").fill("n=300")
    page.get_by_role("button", name="Search").click()
    assert page.get_by_text(house.runs["many"]).count() == 1
