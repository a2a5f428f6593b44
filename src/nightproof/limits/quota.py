"""Quotas: what is allowed, to whom, and until when it is used up.

A quota has allowances (requests in a window, requests a day, tokens, money). What was
used counts until it lapses: a window after its use, or at the daily reset. Since the
count is kept in the store, it holds across runs, jobs and processes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import cached_property
from typing import NamedTuple

from nightproof.errors import MisuseError

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:[A-Z]{3}\s*)?/\s*([0-9]*)\s*([a-z]+)")
_UNITS = {
    "s": 1, "sec": 1, "second": 1, "seconds": 1, "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400,
}  # fmt: skip
_DAY = 86400.0
_RESETS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]) (\S+)")


class Allowance(NamedTuple):
    """One limit: so much `amount` of `what` in a window of `seconds`, or until the daily
    reset where that is None. What is `counted` is taken before a step runs; the rest
    is known afterwards, by ``spend``.
    """

    what: str
    amount: float
    seconds: float | None
    counted: bool


@dataclass(frozen=True)
class Quota:
    """A shared allowance, by name.

    `rate` is requests in a window that slides (``"900/min"``, ``"100/10s"``), `daily`
    requests until `resets` (a wall clock and a zone). `tokens` (``"100000/min"``,
    ``"2000000/day"``) and `money` (``"20/day"``, in whatever currency ``spend`` is
    told) are used up by ``spend(tokens=..., money=...)`` inside a step. `shares` gives
    jobs a part of their own, ``{"telemetry": 0.3}``: such a job never gets more, and
    all others together never get what is reserved.

    Raises MisuseError where a value makes no sense.
    """

    name: str
    rate: str | None = None
    daily: int | None = None
    resets: str = "00:00 UTC"
    tokens: str | None = None
    money: str | None = None
    shares: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name or not isinstance(self.name, str):
            raise MisuseError(f"Quota({self.name!r}): expected a name")
        if self.daily is not None and (type(self.daily) is not int or self.daily < 1):
            raise self._wrong("daily", self.daily, "a positive number of requests")
        if not _RESETS.fullmatch(self.resets):
            raise self._wrong("resets", self.resets, '"00:00 America/Los_Angeles"')
        parts = list(self.shares.values())
        if any(not 0 < part < 1 for part in parts) or sum(parts) > 1:
            raise self._wrong("shares", dict(self.shares), "parts between 0 and 1, together <= 1")
        if not self.allowances:
            raise MisuseError(
                f"Quota('{self.name}') limits nothing", 'Give it a rate, like rate="900/min".'
            )
        self._place()

    def _wrong(self, what: str, value: object, expected: str) -> MisuseError:
        return MisuseError(f"Quota('{self.name}', {what}=...): expected {expected}, got {value!r}")

    @cached_property
    def allowances(self) -> tuple[Allowance, ...]:
        """Its limits."""
        found = []
        if self.rate is not None:
            amount, seconds = self._parsed("rate", self.rate)
            found.append(Allowance("requests", amount, seconds, True))
        if self.daily is not None:
            found.append(Allowance("requests a day", float(self.daily), None, True))
        for what in ("tokens", "money"):
            text = getattr(self, what)
            if text is not None:
                amount, seconds = self._parsed(what, text)
                daily = seconds == _DAY
                found.append(Allowance(what, amount, None if daily else seconds, False))
        return tuple(found)

    def _parsed(self, what: str, text: object) -> tuple[float, float]:
        found = _RATE.fullmatch(text) if isinstance(text, str) else None
        if found is None or found[3] not in _UNITS or not float(found[1]) or found[2] == "0":
            raise self._wrong(what, text, 'an amount and a time, like "900/min" or "100/10s"')
        return float(found[1]), float(found[2] or 1) * _UNITS[found[3]]

    def sharer(self, job: str) -> str:
        """Whose part a job uses: its own where it has a share, else the common one ("")."""
        return job if job in self.shares else ""

    def cap(self, allowance: Allowance, sharer: str) -> float:
        """How much of an allowance a sharer may use."""
        part = self.shares[sharer] if sharer else 1 - sum(self.shares.values())
        return allowance.amount * part

    def lapses(self, allowance: Allowance, now: datetime) -> datetime:
        """When what is used at `now` (aware) does not count any more."""
        if allowance.seconds is not None:
            return now + timedelta(seconds=allowance.seconds)
        return self.reset_after(now)

    def reset_after(self, now: datetime) -> datetime:
        """The first daily reset after `now` (aware), as an instant in UTC."""
        place = self._place()
        found = _RESETS.fullmatch(self.resets)
        assert found is not None
        clock = time(int(found[1]), int(found[2]))
        day = now.astimezone(place).date() - timedelta(days=1)
        while True:
            # By way of UTC: a wall clock that a change of the clocks skips is read as the
            # moment after it.
            moment = datetime.combine(day, clock, place).astimezone(UTC)
            if moment > now:
                return moment
            day += timedelta(days=1)

    def _place(self) -> tzinfo:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # only where a quota is used

        name = self.resets.partition(" ")[2]
        if name == "UTC":
            return UTC
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise self._wrong("resets", self.resets, "a time and an IANA zone") from None

    @cached_property
    def spec(self) -> str:
        """Its definition as JSON, for people who look at the store."""
        given = {
            "rate": self.rate, "daily": self.daily, "tokens": self.tokens, "money": self.money,
            "shares": dict(self.shares) or None,
            "resets": self.resets if any(one.seconds is None for one in self.allowances) else None,
        }  # fmt: skip
        return json.dumps({name: value for name, value in given.items() if value is not None})
