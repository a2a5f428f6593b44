"""Values to bytes and back: the value a job sees is the value a resume will see."""

import dataclasses
import enum
import math
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple
from typing import TypedDict as OldTypedDict
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import BaseModel, ConfigDict, Field, computed_field
from typing_extensions import TypedDict

from nightproof import Ambient
from nightproof.errors import CodecError, MisuseError
from nightproof.model.arguments import Arguments
from nightproof.model.codec import Codec


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Weekday(enum.IntEnum):
    MON = 1


@dataclasses.dataclass
class Point:
    x: int
    at: datetime
    raw: bytes = b""


class Row(TypedDict, total=False):
    name: str
    price: Decimal


class Pair(NamedTuple):
    left: int
    right: str


class Money(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    amount: Decimal = Field(alias="amountValue")
    currency: str = Field(default="EUR", validation_alias="cur", serialization_alias="CUR")

    @computed_field
    @property
    def cents(self) -> int:
        return int(self.amount * 100)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    rows: list[Money]
    when: datetime | None = None


NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - what has to be refused
MOMENT = datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=2)))

VALUES = [
    (int, 2**200),
    (int, -1),
    (bool, True),
    (None, None),
    (str, "ümläut \u2028 \x00 \U0001f319"),
    (float, 0.1),
    (float, math.inf),
    (float, -0.0),
    (bytes, bytes(range(256))),
    (Decimal, Decimal("1.10")),
    (Decimal, Decimal("1E+30")),
    (datetime, MOMENT),
    (datetime, datetime(1, 1, 1, tzinfo=UTC)),
    (date, date(2026, 2, 28)),
    (time, time(1, 2, 3, 4, tzinfo=UTC)),
    (timedelta, timedelta(days=-1, microseconds=1)),
    (UUID, UUID(int=5)),
    (Path, Path("a/b")),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2, 3)),
    (set[int], {3, 1, 2}),
    pytest.param(frozenset[str], frozenset("ab"), id="frozenset"),
    (list[bytes | None], [b"a", None]),
    (dict[str, Decimal], {"b": Decimal("1.0"), "a": Decimal(2)}),
    (dict[int, list[tuple[int, int]]], {2: [(1, 2)], 1: []}),
    (Colour, Colour.BLUE),
    (Weekday, Weekday.MON),
    (Literal["a", "b"], "b"),
    (int | str, "1"),
    (str | int, 1),
    (Pair, Pair(1, "b")),
    (Point, Point(1, MOMENT, b"\xff")),
    (Row, {"name": "a", "price": Decimal("3.20")}),
    (Money, Money(amountValue=Decimal("1.10"), cur="JPY")),
    (Strict, Strict(rows=[Money(amountValue=Decimal(1))], when=MOMENT)),
    (list[Money], [Money(amountValue=Decimal(1))]),
    (Any, {"a": [1, 2.5, None, "x", True]}),
]


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=str)
def test_round_trip(annotation: Any, value: Any) -> None:
    """What comes back is equal, of the same type, and encodes to the same bytes."""
    codec: Codec[Any] = Codec(annotation, "the result of step 'x'")
    data = codec.encode(value)
    again = codec.decode(data)
    assert again == value
    assert type(again) is type(value)
    assert codec.encode(again) == data
    if isinstance(value, datetime):
        assert again.utcoffset() == value.utcoffset()


def test_nan_survives() -> None:
    """NaN is not JSON, and is kept all the same."""
    assert math.isnan(Codec(float, "x").decode(Codec(float, "x").encode(math.nan)))
    codec: Codec[Any] = Codec(list[float], "x")
    assert math.isnan(codec.decode(codec.encode([math.nan]))[0])


def test_any_hands_on_the_decoded_form() -> None:
    """Without an annotation a tuple is a list, live as on replay."""
    codec: Codec[Any] = Codec(Any, "x")
    assert codec.decode(codec.encode((1, {2}))) == [1, [2]]


@given(
    some.recursive(
        some.none()
        | some.booleans()
        | some.integers()
        | some.floats(allow_nan=False)
        | some.text(),
        lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
        max_leaves=20,
    )
)
def test_json_data_round_trips(value: Any) -> None:
    """Any JSON-like value comes back equal, except text that is not Unicode."""
    codec: Codec[Any] = Codec(Any, "x")
    assert codec.decode(codec.encode(value)) == value


@given(some.sets(some.text() | some.integers()), some.dictionaries(some.text(), some.integers()))
def test_equal_values_have_equal_canonical_bytes(members: set[Any], table: dict[str, int]) -> None:
    """Sets in any order and dicts in any insertion order: the fingerprint is one."""
    sets: Codec[Any] = Codec(set[str | int], "x")
    assert sets.canonical(members) == sets.canonical({*reversed(list(members))})
    dicts: Codec[Any] = Codec(dict[str, int], "x")
    assert dicts.canonical(table) == dicts.canonical(dict(reversed(table.items())))
    loose: Codec[Any] = Codec(Any, "x")
    assert loose.canonical({"a": members, "b": table}) == loose.canonical(
        {"b": dict(reversed(table.items())), "a": {*reversed(list(members))}}
    )


@pytest.mark.parametrize(
    ("annotation", "value", "field"),
    [
        (datetime, NAIVE, "datetime"),
        (Point, Point(1, NAIVE), "at"),
        (list[datetime], [MOMENT, NAIVE], "1"),
        (Any, {"when": NAIVE}, "when"),
        (dict[str, Any], {"when": NAIVE}, "when"),
        (Strict, Strict(rows=[], when=NAIVE), "when"),
        (time, time(1, 2), "time"),
    ],
    ids=str,
)
def test_naive_times_are_refused(annotation: Any, value: Any, field: str) -> None:
    """The message names the step and the field."""
    codec: Codec[Any] = Codec(annotation, "the result of step 'fetch'")
    with pytest.raises(CodecError) as caught:
        codec.decode(codec.encode(value))
    assert "step 'fetch'" in caught.value.message
    assert field in caught.value.message


@pytest.mark.parametrize(
    ("annotation", "value", "part"),
    [
        (int, "one", "int"),
        (list[int], [1, "x"], "at '1'"),
        (Point, {"x": 1}, "Point"),
        (Money, None, "Money"),
        pytest.param(Any, object(), "cannot be written as JSON", id="object"),
        pytest.param(Any, {"client": object()}, "cannot be written as JSON", id="inner"),
        (dict[str, int], {1: 1}, "dict"),
        (tuple[int, int], (1, 2, 3), "tuple"),
        (Literal["a"], "b", "Literal"),
    ],
    ids=str,
)
def test_values_that_do_not_fit(annotation: Any, value: Any, part: str) -> None:
    """One permanent error that names the step and what was wrong."""
    codec: Codec[Any] = Codec(annotation, "the result of step 'fetch'")
    with pytest.raises(CodecError) as caught:
        codec.decode(codec.encode(value))
    assert "step 'fetch'" in caught.value.message
    assert part in caught.value.message
    assert caught.value.hint


def test_a_cycle_is_an_error() -> None:
    """Not a hang and not a RecursionError."""
    knot: list[Any] = []
    knot.append(knot)
    with pytest.raises(CodecError):
        Codec(Any, "the result of step 'x'").encode(knot)


def test_a_schema_that_is_no_data_is_refused() -> None:
    """A class without a schema names the hint Ambient."""

    class Client:
        pass

    with pytest.raises(CodecError, match="step 'x'") as caught:
        Codec(Client, "the result of step 'x'").encode(Client())
    assert "Ambient" in caught.value.hint


def test_a_typed_dict_of_an_old_python_is_explained() -> None:
    """Before 3.12 pydantic cannot read typing.TypedDict; the message says what to import."""

    class Old(OldTypedDict):
        name: str

    if sys.version_info >= (3, 12):
        assert Codec(Old, "x").encode({"name": "a"}) == b'{"name":"a"}'
    else:
        with pytest.raises(CodecError, match=r"typing_extensions\.TypedDict"):
            Codec(Old, "the result of step 'x'")


def test_aliases_do_not_leak_into_the_record() -> None:
    """A model is kept by its field names, without computed fields."""
    data = Codec(Money, "x").encode(Money(amountValue=Decimal("1.5"), cur="JPY"))
    assert data == b'{"amount":"1.5","currency":"JPY"}'


def test_arguments_are_named_in_errors() -> None:
    """The argument and the step are in the message."""

    def fetch(country: str, when: datetime) -> None: ...

    arguments = Arguments(fetch, "step 'fetch'")
    with pytest.raises(CodecError, match="argument 'when' of step 'fetch'"):
        arguments.parts(arguments.bind(("JP", NAIVE), {}))
    with pytest.raises(MisuseError, match="wrong arguments"):
        arguments.bind((), {"land": "JP"})


def test_every_kind_of_parameter() -> None:
    """Positional-only, *args, keyword-only, **kwargs and Ambient, by one identity."""

    def call(a: int, /, b: int = 2, *rest: int, c: int = 3, d: Ambient[object] = None, **more: int):
        pass

    arguments = Arguments(call, "step 'call'")

    def parts(*args: Any, **kwargs: Any) -> list[bytes]:
        return arguments.parts(arguments.bind(args, kwargs))

    assert parts(1) == parts(1, b=2) == parts(1, 2, c=3, d=object())
    assert parts(1, 2, 4, e=5) != parts(1, 2, 4, e=6)
    assert arguments.names == ["a", "b", "rest", "c", "more"]


def test_an_integer_and_a_text_are_different_inputs() -> None:
    """1, "1", 1.0 and True are four inputs to a step without annotations."""

    def loose(x): ...

    arguments = Arguments(loose, "step 'loose'")
    seen = {arguments.parts((value,))[0] for value in (1, "1", 1.0, True)}
    assert len(seen) == 4
