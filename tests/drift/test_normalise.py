"""What normalisers make equal, and what they leave different."""

import pytest

from nightproof.drift.normalise import declared, digest, normalised, normalisers
from nightproof.errors import MisuseError


def same(names, a, b):
    """Whether two values are one after normalising."""
    rules = normalisers(names)
    return digest(normalised(a, rules)) == digest(normalised(b, rules))


@pytest.mark.parametrize(
    ("name", "a", "b"),
    [
        ("times", "at 2026-11-21T03:00:00Z", "at 2026-11-22 04:10:59.123+01:00"),
        ("ids", {"id": "chatcmpl-9aBcDeFgHiJkLmNoP"}, {"id": "chatcmpl-8ZyXwVuTsRqPoNmLk"}),
        ("ids", "0d7f1d2c-53f1-4a8e-9d55-3f3ad0f6b001", "9d7f1d2c-53f1-4a8e-9d55-3f3ad0f6b0ff"),
        ("key-order", {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}),
        ("float", [0.1 + 0.2], [0.3]),
        ("float", -0.0, 0.0),
        ("float:3", 1.2341, 1.2339),
        ("whitespace", " a \n b", "a b"),
    ],
)
def test_named_normaliser_makes_its_difference_none(name, a, b):
    """Each name covers its difference, which without it is one."""
    assert not same([], a, b)
    assert same([name], a, b)


@pytest.mark.parametrize(
    ("name", "a", "b"),
    [
        ("times", "2026-11-21", "2026-11-22"),
        ("ids", "order 1234567890123456", "order 1234567890123457"),
        ("ids", "deadbeef", "deadbee0"),
        ("ids", "a0" * 32, "b0" * 32),
        ("key-order", [1, 2], [2, 1]),
        ("float", 1.00000001, 1.00000009),
        ("float", 1, 2),
        ("whitespace", "a b", "ab"),
    ],
)
def test_named_normaliser_covers_nothing_else(name, a, b):
    """A day, an amount, an order of rows stay what they are."""
    assert not same([name], a, b)


def test_function_as_normaliser():
    """A job may bring its own; one that fails or returns no JSON is named."""
    assert same([lambda value: value["total"]], {"total": 1, "x": 1}, {"total": 1, "x": 2})

    def broken(value):
        return value["nothing"]

    with pytest.raises(MisuseError, match="broken' failed: KeyError"):
        normalised({}, normalisers([broken]))
    with pytest.raises(MisuseError, match="not JSON data"):
        digest(normalised(1, normalisers([lambda value: object()])))


@pytest.mark.parametrize("item", ["time", "float:", "float:0", "float:99", 7])
def test_unknown_normaliser_is_refused(item):
    """The message says which ones there are."""
    with pytest.raises(MisuseError, match="normalise"):
        declared(item)
