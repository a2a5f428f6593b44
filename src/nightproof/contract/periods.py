"""Periods in words, resolved to a window once, in a named zone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta

from nightproof.contract.window import Window, today
from nightproof.errors import ContractError

_DAY = timedelta(days=1)
_KNOWN = (
    "yesterday, today, last week, last month, last N days, 2026-10-19, 2026-W43, 2026-10, or "
    "2026-10-19/2026-10-26 (the end is not part of it)"
)


def period(words: str, tz: str, at: datetime) -> Window:
    """The window that `words` stand for at the time `at` (aware) in zone `tz`.

    Weeks are ISO weeks; "last week" is the one before that of `at`. Raises
    ContractError for words it does not know, naming those it does.
    """
    text = " ".join(words.lower().split())
    day = today(tz, at)
    named: dict[str, Callable[[], Window]] = {
        "yesterday": lambda: Window.day(day - _DAY, tz),
        "today": lambda: Window.day(day, tz),
        "last week": lambda: Window.week(day - 7 * _DAY, tz),
        "last month": lambda: Window.month(day.replace(day=1) - _DAY, tz),
    }
    try:
        return named[text]() if text in named else _dated(text, day, tz)
    except (ValueError, OverflowError):
        raise ContractError(f"{words!r} is not a period", f"Write one of: {_KNOWN}.") from None


def _dated(text: str, day: date, tz: str) -> Window:
    if days := re.fullmatch(r"last (\d{1,4}) days?", text):
        return Window.between(day - int(days[1]) * _DAY, day, tz)
    if re.fullmatch(r"\d{4}-\d{2}", text):
        return Window.month(date.fromisoformat(text + "-01"), tz)
    if re.fullmatch(r"\d{4}-w\d{2}", text):
        return Window.week(date.fromisoformat(text.upper() + "-1"), tz)
    first, slash, end = text.partition("/")
    if slash:
        return Window.between(date.fromisoformat(first), date.fromisoformat(end), tz)
    return Window.day(date.fromisoformat(first), tz)
