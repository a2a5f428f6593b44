"""Which points a drill tries, and what their repetition means."""

from __future__ import annotations

import json
from pathlib import Path

from nightproof.model import crash
from nightproof.testing.points import Point, choose, read_trace, repeated


def items(count: int, moment: str = "after") -> list[Point]:
    """The points of a keyed map."""
    return [Point(f"item:{moment}", f"fetch[{n}]", 1) for n in range(count)]


def test_of_many_items_first_middle_and_last_are_tried():
    """A map of a thousand items costs three cases a moment, not a thousand."""
    chosen = choose(items(1000))
    assert [point.detail for point in chosen] == ["fetch[0]", "fetch[500]", "fetch[999]"]
    assert len(choose(items(2))) == 2


def test_everything_is_tried_where_asked():
    """`everything` leaves nothing out."""
    assert len(choose(items(100), everything=True)) == 100


def test_calls_of_one_step_are_a_group_and_of_two_steps_are_two():
    """A loop of equal calls is thinned out; each step keeps points of its own."""
    loop = [Point("step:before", "load", n) for n in range(1, 101)]
    chosen = choose([*loop, Point("step:before", "save", 1)])
    assert [(point.detail, point.n) for point in chosen] == [
        ("load", 1),
        ("load", 51),
        ("load", 100),
        ("save", 1),
    ]


def test_late_batches_are_left_out():
    """How many commits there are depends on timing, so the last may never come again."""
    batches = [Point("batch:after", "", n) for n in range(1, 41)]
    assert [point.n for point in choose(batches)] == [1, 11, 21]


def test_patterns_keep_what_fits():
    """A place, a name, a moment, an item's key, or a wildcard."""
    trace = [
        Point("step:before", "load", 1),
        Point("step:after", "load", 1),
        Point("item:mid", "fetch[JP]", 1),
        Point("effect:act", "post", 1),
        Point("complete:before", "night", 1),
    ]

    def fitting(*patterns: str) -> list[str]:
        return [point.point for point in choose(trace, patterns=patterns)]

    assert fitting("load") == ["step:before", "step:after"]
    assert fitting("load:after") == ["step:after"]
    assert fitting("step load:before", "complete") == ["step:before", "complete:before"]
    assert fitting("effect:*") == ["effect:act"]
    assert fitting("fetch:mid") == fitting("fetch") == ["item:mid"]
    assert fitting("*") == [point.point for point in trace]
    assert fitting("nothing") == []


def test_a_limit_thins_out_evenly_or_by_seed():
    """The same seed draws the same points, in the order of the run."""
    trace = [Point("step:before", f"s{n}", 1) for n in range(100)]
    even = choose(trace, limit=4)
    assert [point.detail for point in even] == ["s0", "s25", "s50", "s75"]
    drawn = choose(trace, limit=10, seed=7)
    assert drawn == choose(trace, limit=10, seed=7) != choose(trace, limit=10, seed=8)
    assert [trace.index(point) for point in drawn] == sorted(trace.index(p) for p in drawn)


def test_a_trace_is_read_back(tmp_path: Path):
    """What crash points write is what a drill reads; a missing trace is an empty one."""
    path = tmp_path / "trace"
    assert read_trace(path) == []
    crash.arm_from_environment({"NIGHTPROOF_CRASH_TRACE": str(path)})
    try:
        crash.hit("item:after", 'fetch["ü#:]')
        crash.hit("step:after", "sum", lazy=True)
    finally:
        crash.disarm()
    assert read_trace(path) == [
        Point("item:after", 'fetch["ü#:]', 1),
        Point("step:after", "sum", 1, True),
    ]


def test_every_point_can_be_died_at():
    """The fail-at of a point means that point."""
    for point in (Point("item:mid", "fetch[a:b#2]", 1), Point("batch:after", "", 4)):
        meant = crash.parse(point.fail_at)
        assert meant.matches(point.point, point.detail)
        assert meant.n == point.n


def test_acknowledged_work_that_is_done_again_is_found():
    """Each call is acknowledged once over all attempts; a pure step may be repeated."""
    once = [Point("step:after", "load", 1), Point("step:after", "sum", 1, True)]
    assert repeated(once, [once[:1], once[1:]]) == []
    assert repeated(once, [once, once[1:]]) == []
    assert repeated(once, [once[:1], once[:1]]) == [("step:after", "load")]
    assert repeated([*once, Point("step:after", "load", 2)], [once[:1], once[:1]]) == []


def test_json_lines_of_a_trace_are_whole(tmp_path: Path):
    """Each line of a trace stands alone."""
    path = tmp_path / "trace"
    path.write_text(json.dumps({"point": "complete:before", "detail": "night", "n": 1}) + "\n")
    assert read_trace(path) == [Point("complete:before", "night", 1)]
