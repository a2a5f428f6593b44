"""Charts of a job's nights: what they are in, and that their numbers are those of the nights."""

import pytest

from nightproof.views.usual import CourseView, SeriesView
from nightproof.web.pages.jobs import charts


@pytest.mark.parametrize(
    ("took", "caption", "values"),
    [
        ([0.5, 1.0], "How long it took, in seconds", [0.5, 1.0]),
        ([20.0, 119.0], "How long it took, in seconds", [20.0, 119.0]),
        ([5160.0, 120.0], "How long it took, in minutes", [86.0, 2.0]),
        ([7200.0, 1800.0], "How long it took, in hours", [2.0, 0.5]),
    ],
)
def test_durations_are_told_in_a_unit_that_fits(
    took: list[float], caption: str, values: list[float]
):
    """The caption names it, and the values are in it: 5,160 s are 86 minutes."""
    at = ["2026-11-20T03:00:00+00:00", "2026-11-21T03:00:00+00:00"]
    rows = SeriesView("rows", [18_005.0, None])
    [first, second] = charts(CourseView(at, ["a", "b"], took, [rows], True))
    assert first[0] == caption
    assert first[1]["series"][0]["values"] == values
    assert second[1]["series"][0]["values"] == [18_005.0, None]
