"""Two values side by side."""

from nightproof.drift.showing import (
    FEW_LINES,
    FEW_PATHS,
    LINES,
    NARROW,
    PATHS,
    WIDTH,
    brief,
    side_by_side,
)


def places(a, b):
    """The differing places as triples."""
    return [(one.path, one.a, one.b) for one in side_by_side(a, b).places]


def test_paths_are_json_pointers():
    """Slashes and tildes in keys are escaped (RFC 6901); absent is not null."""
    assert places({"a/b": {"~": [1, 2]}}, {"a/b": {"~": [1, 3]}}) == [("/a~1b/~0/1", "2", "3")]
    assert places([1], [1, None]) == [("/1", None, "null")]
    assert places({"x": 1}, {"y": 1}) == [("/x", "1", None), ("/y", None, "1")]
    assert places(1, 1.0) == [("", "1", "1.0")]
    assert places(True, 1) == [("", "true", "1")]


def test_text_is_a_unified_diff():
    """Lines that are the same far before the difference are left out."""
    a = "\n".join([*map(str, range(1000)), "end", ""])
    found = side_by_side(a, a.replace("end", "END"))
    assert "-end" in found.text
    assert "+END" in found.text
    assert "-0" not in found.text
    assert found.text[2] == "@@ -998,4 +998,4 @@"


def test_text_inside_a_value_is_told_with_its_place():
    """The path, and then the lines."""
    found = side_by_side({"body": "one\ntwo"}, {"body": "one\n2"})
    assert found.places[0].path == "/body"
    assert found.text[-2:] == ["-two", "+2"]


def test_never_much():
    """Places, lines and their width are bounded, and what is left out is counted."""
    found = side_by_side(list(range(500)), list(range(1, 501)))
    assert (len(found.places), found.more) == (PATHS, 500 - PATHS)
    (one,) = side_by_side("x" * 5000, "y" * 5000).places
    assert len(one.a) == WIDTH
    found = side_by_side("a\n" * 5000, "b\n" * 5000)
    assert len(found.text) == LINES
    assert found.more > 0


def test_long_values_are_shown_where_they_part():
    """What both share before is cut, so that the difference can be seen."""
    (one,) = side_by_side("x" * 5000 + "A" + "z" * 5000, "x" * 5000 + "B" + "z" * 5000).places
    assert "xA" in one.a
    assert "xB" in one.b
    assert one.a.startswith("…x")


def test_little_room():
    """A terminal gets less, and is told how much is left out."""
    found = brief(side_by_side(list(range(500)), list(range(1, 501))))
    assert (len(found.places), found.more) == (FEW_PATHS, 500 - FEW_PATHS)
    found = brief(side_by_side("a\n" * 5000, "b\n" * 5000))
    assert len(found.text) == FEW_LINES
    (one,) = brief(side_by_side("x" * 1500 + "A", "x" * 1500 + "B")).places
    assert len(one.a) <= NARROW
    assert "A" in one.a
    assert brief(side_by_side({"x": "y" * 999}, {})).places[0].b is None


def test_same_values_say_so():
    """Only the order of keys, or the last newline, differs."""
    assert "another order" in side_by_side({"a": 1, "b": 2}, {"b": 2, "a": 1}).remark
    assert "endings" in side_by_side("a\nb", "a\nb\n").remark
