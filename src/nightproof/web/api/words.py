"""The description of the API in words, for its page."""

from __future__ import annotations

from typing import Any, NamedTuple

_REF = "#/components/schemas/"
_BOUNDS = (
    ("minimum", "at least {}"), ("maximum", "at most {}"), ("maxLength", "at most {} characters"),
    ("maxItems", "at most {} times"), ("default", "{} where it is not given"),
)  # fmt: skip


class Word(NamedTuple):
    """A part of what is said of a type; `shape` is the name of the one that it leads to."""

    text: str
    shape: str = ""


class Field(NamedTuple):
    """A field of a document."""

    name: str
    type: list[Word]
    about: str


def type_of(schema: dict[str, Any]) -> list[Word]:
    """A type in words."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        return [Word(name, name)]
    if "anyOf" in schema:
        found: list[Word] = []
        for one in schema["anyOf"]:
            found += [*([Word(" or ")] if found else []), *type_of(one)]
        return found
    if "enum" in schema or "const" in schema:
        given = schema["enum"] if "enum" in schema else [schema["const"]]
        return [Word(", ".join(str(one) or "empty" for one in given))]
    kind = schema.get("type")
    if kind == "array":
        return [Word("list of "), *type_of(schema.get("items", {}))]
    if kind == "object":
        inner = schema.get("additionalProperties")
        if isinstance(inner, dict) and inner:
            names = schema.get("propertyNames")
            by = [Word(" by "), *type_of(names)] if names else []
            return [Word("object of "), *type_of(inner), *by]
        return [Word("object")]
    text = str(schema.get("format") or kind or "any JSON")
    return [Word({"integer": "whole number", "date-time": "time"}.get(text, text))]


def bounds(schema: dict[str, Any]) -> str:
    """What a parameter may be, in words."""
    told = {name: schema[name] for name, _ in _BOUNDS if name in schema}
    if told.get("maximum", 0) >= 2**53 - 1:
        del told["maximum"]
    if told.get("minimum", 1) <= 0:
        del told["minimum"]
    if told.get("default") in (False, -1):
        del told["default"]
    return ", ".join(words.format(told[name]) for name, words in _BOUNDS if name in told)


def fields(schema: dict[str, Any]) -> list[Field]:
    """The fields of a document's type."""
    return [
        Field(name, type_of(one), str(one.get("description", "")))
        for name, one in schema.get("properties", {}).items()
    ]


def prose(text: str) -> list[tuple[str, bool]]:
    """A text in pieces, each with whether it is code."""
    return [(piece, bool(n % 2)) for n, piece in enumerate(text.split("`")) if piece]


def paragraphs(text: str) -> list[list[tuple[str, bool]]]:
    """The paragraphs of a text, each in pieces."""
    return [prose(part) for part in text.split("\n\n") if part]
