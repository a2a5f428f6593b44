"""The pages of one run."""

import asyncio
import json
import re
from itertools import pairwise
from typing import Any

import pytest

from nightproof import app
from nightproof.views.course import Band, Bar, Course, Lane, Tick
from nightproof.web.rendering import url
from nightproof.web.strip import LANES, Axis, strip


def at(dashboard: Any, what: str, *more: object) -> str:
    """The path of a run's page."""
    return url("/runs/{}" + (more[0] if more else ""), dashboard.house.runs[what], *more[1:])


def test_a_run_that_crashed_and_resumed(dashboard: Any):
    """Its death and its resumption are in the drawing and in the table."""
    answer = dashboard.get(at(dashboard, "crashed"))
    assert answer.status_code == 200
    assert "attempt 1 died here" in answer.text
    assert "2 resumed" in answer.text
    assert re.search(r"2<span class=\"muted\">, 1 died", answer.text)
    assert "post_report [nightly/2026-11-21]: confirmed" in answer.text
    assert "/act/replicate?run=" in answer.text


@pytest.mark.parametrize(
    ("what", "status", "said", "acts"),
    [
        ("failed", "failed", "cannot read y", {"resume"}),
        ("held", "parked", "did this effect happen?", {"resolve", "cancel"}),
        ("parked", "parked", "It waits for the signal “go”", {"signal", "cancel"}),
        ("many", "completed", "297 of 300, 3 failed", {"replicate"}),
    ],
)
def test_the_next_step(dashboard: Any, what: str, status: str, said: str, acts: set[str]):
    """Each page says how the run stands, and offers what can be done."""
    text = dashboard.get(at(dashboard, what)).text
    assert f'class="status is-{status}"' in text
    assert said in text
    assert acts <= set(re.findall(r"/act/(\w+)\?", text))


def test_a_decision_is_no_longer_asked_for(own_house: Any, serving: Any):
    """Once it has been made, the run only has to be gone on with."""

    async def decide() -> None:
        journal = app.open_journal(own_house.settings())
        await journal.resolve("doubt/x", False, None)
        await journal.close()

    asyncio.run(decide())
    text = serving(own_house).get(f"/runs/{own_house.runs['held']}").text
    assert "It is decided" in text
    assert "did this effect happen?" not in text
    assert "until" not in text[text.index("It is decided") : text.index("</dl>")]


def test_the_beginning_of_a_name_leads_to_the_run(dashboard: Any):
    """A short name is answered with the address of the whole one; none of a name with 404."""
    name = dashboard.house.runs["parked"]
    answer = dashboard.get(f"/runs/{name[:-4]}")
    assert answer.status_code == 302
    assert answer.headers["location"] == f"/runs/{name}"
    assert dashboard.get("/runs/there-is-none").status_code == 404


def test_grid_and_table_of_a_map(dashboard: Any):
    """The table has the first page of what the grid draws."""
    text = dashboard.get(at(dashboard, "many", "/steps/{}", "enrich")).text
    states = re.search(r'data-states="([df]+)"', text)
    assert states is not None
    assert (states[1].count("d"), states[1].count("f")) == (297, 3)
    assert 'data-total="300"' in text
    assert len(re.findall(r'<th scope="row" class="id">item-', text)) == 50


def test_a_cell_leads_to_its_item(dashboard: Any):
    """The cell of a failure leads to the page of that failure."""
    place = at(dashboard, "many", "/steps/{}", "enrich")
    states = dashboard.get(f"{place}/cells").json()["states"]
    for index in (states.index("f"), states.index("d"), len(states) - 1):
        answer = dashboard.get(f"{place}?at={index}")
        assert answer.status_code == 303
        item = dashboard.get(answer.headers["location"]).text
        assert ("cannot be enriched" in item) is (states[index] == "f")
    assert dashboard.get(f"{place}?at=300").status_code == 404


def test_items_are_found_by_state_and_by_key(dashboard: Any):
    """Filters are the server's; what is found has a link to the page after it."""
    place = at(dashboard, "many", "/steps/{}", "enrich")
    failed = dashboard.get(f"{place}?state=failed").text
    keys = re.findall(r'class="id">(item-\d+)', failed)
    assert sorted(keys) == ["item-000007", "item-000107", "item-000207"]
    named = dashboard.get(f"{place}?q=item-000042").text
    assert re.findall(r'class="id">(item-\d+)', named) == ["item-000042"]
    first = dashboard.get(place).text
    after = re.search(r'rel="next" href="([^"]+)"', first)
    assert after is not None
    second = dashboard.get(after[1].replace("&amp;", "&")).text
    assert 'rel="prev"' in second
    assert not set(re.findall(r">(item-\d+)", first)) & set(re.findall(r">(item-\d+)", second))


def test_an_item_whole_and_as_a_file(dashboard: Any):
    """The page shows it; the bytes come as a file that no browser opens as a page."""
    place = at(dashboard, "many", "/steps/{}", "enrich")
    item = dashboard.get(f"{place}?at=0").headers["location"]
    text = dashboard.get(item).text
    assert "Fingerprint" in text
    answer = dashboard.get(f"{item}/output")
    assert json.loads(answer.content) == 0
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-security-policy"].startswith("sandbox")


@pytest.mark.parametrize("query", ["at=x", "after=-1", "before=1e9", "at=" + "9" * 30])
def test_numbers_that_are_none(dashboard: Any, query: str):
    """An address with a wrong number is said to be wrong, and breaks nothing."""
    answer = dashboard.get(at(dashboard, "many", "/steps/{}", "enrich") + "?" + query)
    assert answer.status_code == 400
    assert "is no number" in answer.text


def test_the_log(dashboard: Any):
    """Oldest first on its page; narrowed to one kind on request."""
    text = dashboard.get(at(dashboard, "crashed", "/log")).text
    kinds = re.findall(r'<th scope="row">([\w-]+)</th>', text)
    assert kinds[0] == "started"
    assert kinds[-1] == "completed"
    assert kinds.index("died") < kinds.index("resumed")
    assert "every artifact has its manifest beside it, not signed" in text
    only = dashboard.get(at(dashboard, "crashed", "/log") + "?what=attempts").text
    assert set(re.findall(r'<th scope="row">([\w-]+)</th>', only)) == {
        "started", "died", "resumed", "completed",
    }  # fmt: skip


def test_what_is_not_there(dashboard: Any):
    """A step, an item and a file that a run does not have are 404."""
    for path in (
        at(dashboard, "many", "/steps/{}", "<b>none</b>"),
        at(dashboard, "many", "/steps/{}/items/{}", "enrich", 99_999),
        at(dashboard, "many", "/steps/{}/items/{}/output", "enrich", 99_999),
    ):
        answer = dashboard.get(path)
        assert answer.status_code == 404
        assert "<b>none" not in answer.text


def course(*bands: tuple[float, float, str], length: float, lanes: int = 1) -> Course:
    """A course with these attempts."""
    made = [
        Band(n + 1, outcome, "vm (pid 1)", None, None, begin, end)
        for n, (begin, end, outcome) in enumerate(bands)
    ]
    bars = [Bar(one.n, one.begin, one.end, 1, 0, 0.1) for one in made]
    rows = [Lane(f"step-{n}", "step", 1, bars=list(bars)) for n in range(lanes)]
    return Course(None, length, made, rows, [], [], 0, False)


@pytest.mark.parametrize(
    "bands",
    [
        [(0.0, 0.0, "completed")],
        [(0.0, 10.0, "completed")],
        [(0.0, 5.0, "died"), (86_400.0, 86_405.0, "completed")],
        [(float(n * 60), n * 60 + 0.01, "died") for n in range(100)],
        [(3.0, 4.0, "parked"), (4.0, 5.0, "parked"), (5.0, 5.0, "held")],
    ],
)
def test_moments_lie_in_order(bands: list[tuple[float, float, str]]):
    """Later is never further left, everything is on the drawing, and idle days are short."""
    made = course(*bands, length=bands[-1][1] + 100_000)
    axis = Axis(made)
    last = made.length
    moments = [last * n / 500 for n in range(501)] + [edge for one in bands for edge in one[:2]]
    places = [axis.x(moment) for moment in sorted(moments)]
    assert places == sorted(places)
    assert places[0] >= 0
    assert places[-1] <= 100.01
    worked = sum(piece.right - piece.left for piece in axis.pieces if not piece.gap)
    assert worked >= 60
    drawing = strip(made)
    assert all(-0.01 <= shape.x <= 100.01 for shape in drawing.shapes)


def test_many_steps_and_many_retries_stay_a_drawing():
    """What is drawn does not grow with what there is."""
    made = course((0.0, 10.0, "completed"), length=10.0, lanes=300)
    made.lanes[0].retries.extend(Tick(n / 100, None, "step-0", "again") for n in range(900))
    drawing = strip(made)
    assert drawing.left_out == 300 - LANES
    assert len(drawing.shapes) < 400


def test_an_effect_that_was_not_performed_is_drawn_too():
    """What a replicate would have done has a line, though the ledger has nothing of it."""
    made = course((0.0, 10.0, "completed"), length=10.0)
    made.lanes[0].kind = "effect"
    assert "step-0" in [shape.text for shape in strip(made).shapes]


@pytest.mark.parametrize("second", [(60.0, 60.4), (5.0, 5.6), (86_400.0, 86_460.0)])
def test_times_have_room_on_a_phone(second: tuple[float, float]):
    """What is not marked as tight does not lie on another text of its line, 300 pixels wide."""
    made = course((0.0, 0.1, "died"), (*second, "completed"), length=second[1])
    drawing = strip(made)
    texts = [one for one in drawing.shapes if one.kind == "text" and "tight" not in one.look]
    for line in {drawing.high - 6, 10.0}:
        edges = []
        for one in texts:
            if one.y == line:
                long = len(one.text) * 6.3
                left = one.x * 3 - {"start": 0, "middle": long / 2, "end": long}[one.anchor]
                edges.append((left, left + long))
        edges.sort()
        assert all(right <= left for (_, right), (left, _) in pairwise(edges)), edges
    assert any("tight" in one.look for one in drawing.shapes)
