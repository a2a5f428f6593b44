"""Canonical JSON: one digest for one meaning, and it never changes."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightproof.errors import CodecError
from nightproof.model.canonical import canonical, digest, sha256_hex

numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def shuffled(value: Any) -> Any:
    """The same value with the members of every object in reverse order."""
    if isinstance(value, dict):
        return {key: shuffled(item) for key, item in reversed(value.items())}
    if isinstance(value, list):
        return [shuffled(item) for item in value]
    return value


@given(values)
def test_order_of_keys_does_not_count(value: Any) -> None:
    """The order in which an object was built is not part of its meaning."""
    assert canonical(value) == canonical(shuffled(value))


@given(values)
def test_canonical_json_is_a_fixed_point(value: Any) -> None:
    """Reading canonical JSON (as JavaScript would: every number a double) and writing it gives the same bytes."""
    once = canonical(value)
    assert canonical(json.loads(once, parse_int=float)) == once


@given(st.dictionaries(texts, st.integers(0, 9), max_size=4), texts)
def test_null_unset_and_absent_are_one(value: dict[str, Any], key: str) -> None:
    """A member set to null has the digest of a member that is not there."""
    absent = {name: item for name, item in value.items() if name != key}
    assert digest({**value, key: None}) == digest(absent)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (0.0, "0"),
        (1e-07, "1e-7"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (0.000001, "0.000001"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (True, "true"),
        ('€\n\u000f"\\/', '"€\\n\\u000f\\"\\\\/"'),
        ({"b": 1, "a": None}, '{"b":1}'),
        ([None, {}, []], "[null,{},[]]"),
        ((1, 2), "[1,2]"),
        ({"a": {"b": [{"c": None}]}}, '{"a":{"b":[{}]}}'),
        # By UTF-16 code units the astral key (a surrogate pair) comes before U+FB33.
        ({"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3}, '{"€":3,"😀":2,"\ufb33":1}'),
    ],
)
def test_rfc_8785_forms(value: Any, text: str) -> None:
    """The forms of RFC 8785, and what is added to it for nulls."""
    assert canonical(value).decode() == text


def test_golden_digests() -> None:
    """A release that changes one of these has lost every run recorded before it."""
    assert digest({}) == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    value = {
        "z": [1, 2.50, -0.0, None],
        "a": {"é": "ü", "😀": True, "n": None},
        "t": "2026-10-19T00:00:00+02:00",
    }
    assert canonical(value) == (
        '{"a":{"é":"ü","😀":true},"t":"2026-10-19T00:00:00+02:00","z":[1,2.5,0,null]}'.encode()
    )
    assert digest(value) == "sha256:" + sha256_hex(canonical(value))
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("value", "where", "hint"),
    [
        ({"a": {"seed": 2**53}}, "a.seed: 9007199254740992 is beyond", '"9007199254740992"'),
        ({"a": [1, -(2**53)]}, "a[1]: -9007199254740992 is beyond", "text"),
        ({"rate": math.nan}, "rate: nan is not a JSON number", "null"),
        ([math.inf], "[0]: inf is not a JSON number", "null"),
        ({"x": Decimal(1)}, "x: a Decimal is not JSON data", "Encode"),
        ({"x": datetime(2026, 1, 1, tzinfo=UTC)}, "x: a datetime is not JSON data", "Encode"),
        ({"x": {1: 2}}, "x: the key 1 is not text", "text"),
        ({"x": "\ud800"}, "x: the text holds a lone surrogate", "Unicode"),
        ({"\ud800": 1}, "value: a key holds a lone surrogate", "Unicode"),
        ({"x": {1}}, "x: a set is not JSON data", "Encode"),
    ],
)
def test_what_cannot_be_written_is_named(value: Any, where: str, hint: str) -> None:
    """The error says which member it is, what is wrong with it and what to write."""
    with pytest.raises(CodecError) as caught:
        canonical(value)
    assert caught.value.message.startswith(where)
    assert hint in caught.value.hint


def test_a_cycle_is_an_error_not_a_crash() -> None:
    """A value that contains itself is refused with a message."""
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(CodecError, match="nested too deeply"):
        canonical(loop)
