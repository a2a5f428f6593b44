"""Which items of two environments differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Difference(NamedTuple):
    """One item that differs; None where one side does not have it."""

    item: str
    a: str | None
    b: str | None


def differences(a: Mapping[str, str], b: Mapping[str, str]) -> list[Difference]:
    """The items of two environments that differ, by name."""
    return [
        Difference(item, a.get(item), b.get(item))
        for item in sorted({*a, *b})
        if a.get(item) != b.get(item)
    ]


def named(found: Sequence[Difference], shown: int = 3) -> str:
    """The first items in words, and how many more there are."""
    told = [f"{one.item} ({brief(one.a)} -> {brief(one.b)})" for one in found[:shown]]
    if len(found) > shown:
        told.append(f"{len(found) - shown} more")
    return ", ".join(told)


def brief(value: str | None) -> str:
    """A value in a message: digests shortened, "-" for none."""
    if value is None:
        return "-"
    head, mark, tail = value.partition("sha256:")
    text = f"{head}{tail[:8]}" if mark else value
    return text if len(text) <= 60 else text[:59] + "…"
