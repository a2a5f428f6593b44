"""What a run says that it waits for, taken apart again."""

from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import pytest
from pydantic import BaseModel

from nightproof.model.awaited import Awaited, awaited, expected


class Approval(BaseModel):
    """A model of somebody's."""

    by: str
    ok: bool


@dataclass
class Answer:
    """The same as a dataclass."""

    n: int | None


class Given(TypedDict):
    """The same as a dictionary."""

    names: list[str]


@pytest.mark.parametrize(
    ("annotation", "told"),
    [
        (Any, ""),
        (str, "text"),
        (None, "null"),
        (int | None, "int | None"),
        (list[int], "list[int]"),
        (Literal["yes", "no; never"], 'Literal["yes", "no, never"]'),
        (Approval, "Approval {by: text, ok: true or false}"),
        (Answer, "Answer {n: int | None}"),
        (Given, "Given {names: list[str]}"),
    ],
)
def test_what_is_expected_in_words(annotation, told):
    """Short, and without the marks that the line is taken apart by."""
    assert expected(annotation) == told


def test_a_long_expectation_is_cut():
    """A model of a hundred fields is no sentence."""
    wide = Literal[tuple(f"choice {n}" for n in range(100))]
    assert len(expected(wide)) == 160


@pytest.mark.parametrize(
    "signal",
    [
        Awaited("go"),
        Awaited("it's"),
        Awaited("a; b"),
        Awaited("n", "a whole number"),
        Awaited("n", "Approval {by: text}", "Field required"),
        Awaited("n", "f(x) (y)", 'at "by": (no) such'),
        Awaited("", "", "x"),
        Awaited("two\nlines", "text"),
    ],
    ids=str,
)
def test_a_signal_is_read_as_it_was_written(signal):
    """Alone, and between other things that are waited for."""
    assert awaited(str(signal)) == [signal]
    line = f"retry of step 'x'; {signal}; until 2026-11-22T00:00:00+00:00; signal 'last'"
    assert awaited(line) == [signal, Awaited("last")]


def test_what_was_sent_cannot_look_like_another_signal():
    """A payload's text comes without the marks that a signal is told by, and without its value."""
    wrong = "at 'a'; signal 'evil' (int): no (got 'nightproof resolve')"
    found = awaited(str(Awaited("n", "text").put_aside(wrong)))
    assert [one.name for one in found] == ["n"]
    assert "nightproof resolve" not in found[0].misfit
    assert awaited("effect 'x' [k] has an unknown outcome") == []
