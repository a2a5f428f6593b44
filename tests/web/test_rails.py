"""What surrounds every page."""

from typing import Any

from nightproof.web.rendering import coded


def test_a_wrong_address_has_a_page(dashboard: Any):
    """An address that is none answers 404 with a page that says so."""
    answer = dashboard.get("/there/is/nothing")
    assert answer.status_code == 404
    assert "there is no such page" in answer.text


def test_commands_in_a_hint():
    """What stands between backticks is shown as code; all of it is text still."""
    assert coded("run `a <b>` & go") == "run <code>a &lt;b&gt;</code> &amp; go"
    assert coded("a `b") == "a `b"


def test_files_beside_the_pages(dashboard: Any):
    """Style and scripts come from the package."""
    assert dashboard.get("/static/app.css").status_code == 200
