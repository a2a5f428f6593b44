"""A window of time: explicit, zone-aware, half-open."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from datetime import date as Date  # noqa: N812 - Window.date hides the plain name
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, model_validator

from nightproof.contract.base import ContractModel
from nightproof.contract.findings import Fault, shown
from nightproof.contract.reading import TIME_LIKE
from nightproof.errors import ContractError

_DAY = timedelta(days=1)
_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": _DAY}


def _fixed(moment: datetime) -> datetime:
    # Datetimes that share a ZoneInfo compare and subtract by wall clock, wrong by an
    # hour across a change of the clocks; with fixed offsets they do so by instant. It is
    # also what a time read back from JSON has.
    return moment.replace(tzinfo=timezone(moment.utcoffset() or timedelta()), fold=0)


def _spelled_out(value: Any) -> Any:
    # pydantic would read a number as seconds or milliseconds, whichever looks likelier.
    if isinstance(value, datetime) or (isinstance(value, str) and ":" in value):
        return value
    raise Fault(f"{shown(value)} is not a date with a time", TIME_LIKE)


Moment = Annotated[AwareDatetime, BeforeValidator(_spelled_out), AfterValidator(_fixed)]
"""A point in time: Date, time and offset, spelled out."""


class Window(ContractModel):
    """The time from `start` up to, not including, `end`.

    Both carry their offset from UTC. `zone` (an IANA name, optional) is checked
    against the offsets, and lets `days` follow daylight saving.
    """

    start: Moment
    end: Moment
    zone: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.end <= self.start:
            raise Fault(
                f"the window ends at {self.end.isoformat()}, not after its start "
                f"{self.start.isoformat()}",
                "write an end after the start; the end itself is not part of the window",
            )
        if self.zone is not None:
            try:
                place = zone(self.zone)
            except ContractError as error:
                raise Fault(error.message, error.hint, at="zone") from None
            for name, moment in (("start", self.start), ("end", self.end)):
                there = moment.astimezone(place)
                if there.utcoffset() != moment.utcoffset():
                    raise Fault(
                        f"{moment.isoformat()} does not have the offset of {self.zone} at that time",
                        f"write {there.isoformat()}",
                        at=name,
                    )
        return self

    @property
    def date(self) -> Date:
        """The calendar day on which the window starts, where it starts."""
        return self.start.date()

    @property
    def days(self) -> tuple[Date, ...]:
        """Every calendar day that the window touches, in its own zone, in order."""
        last = (self.end - timedelta(microseconds=1)).astimezone(self._place).date()
        return tuple(self.date + _DAY * n for n in range((last - self.date).days + 1))

    @property
    def duration(self) -> timedelta:
        """Time that passes: 23 or 25 hours for a day on which the clocks change."""
        return self.end - self.start

    def settled(self, after: str | timedelta) -> datetime:
        """When its numbers count as final: `after` ("4h", "90m", "2d") its end.

        To wait for it in a job: ``await sleep_until(contract.window.settled("4h"))``.
        Raises ContractError for what is no duration.
        """
        return self.end + lag(after)

    @property
    def _place(self) -> tzinfo | None:
        return zone(self.zone) if self.zone else self.end.tzinfo

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def __str__(self) -> str:
        return f"{self.start.isoformat()}/{self.end.isoformat()}"

    @classmethod
    def between(cls, first: Date, end: Date, tz: str) -> Self:
        """From the start of day `first` to the start of day `end` in zone `tz`."""
        return cls(start=midnight(first, tz), end=midnight(end, tz), zone=tz)

    @classmethod
    def day(cls, day: Date, tz: str) -> Self:
        """The calendar day `day` in zone `tz`, 23 to 25 hours long."""
        return cls.between(day, day + _DAY, tz)

    @classmethod
    def week(cls, day: Date, tz: str) -> Self:
        """The ISO week (from Monday) that holds `day`, in zone `tz`."""
        monday = day - _DAY * day.weekday()
        return cls.between(monday, monday + 7 * _DAY, tz)

    @classmethod
    def month(cls, day: Date, tz: str) -> Self:
        """The calendar month that holds `day`, in zone `tz`."""
        first = day.replace(day=1)
        return cls.between(first, (first + 31 * _DAY).replace(day=1), tz)

    @classmethod
    def yesterday(cls, tz: str, now: datetime) -> Self:
        """The calendar day before the one that `now` (aware) falls on in zone `tz`."""
        return cls.day(today(tz, now) - _DAY, tz)

    @classmethod
    def settled_day(cls, tz: str, now: datetime, after: str | timedelta) -> Self:
        """The newest calendar day in zone `tz` that was over for `after` ("4h") at `now`."""
        return cls.yesterday(tz, now - lag(after))


def lag(text: str | timedelta) -> timedelta:
    """``4h`` as a duration; units are s, m, h, d. Raises ContractError for anything else."""
    if isinstance(text, timedelta):
        found = text
    else:
        parts = re.fullmatch(r"(\d{1,6})([smhd])", text)
        if parts is None:
            raise ContractError(f"{text!r} is not a duration", "Write one like 4h, 90m or 2d.")
        found = int(parts[1]) * _UNITS[parts[2]]
    if found < timedelta():
        raise ContractError(f"a window cannot be settled {-found} before its end")
    return found


def zone(name: str) -> tzinfo:
    """The IANA zone `name`. Raises ContractError where this machine does not know it."""
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ContractError(
            f"{name!r} is not a time zone known here",
            "write an IANA name like Europe/Berlin (a machine without a zone database needs "
            "the package tzdata)",
        ) from None


def today(tz: str, now: datetime) -> Date:
    """The calendar day of `now` in zone `tz`. Raises ContractError for a naive `now`."""
    if now.utcoffset() is None:
        raise ContractError(
            f"the time {now.isoformat()} has no offset, so it is another day elsewhere",
            "Pass an aware datetime.",
        )
    return now.astimezone(zone(tz)).date()


def midnight(day: Date, tz: str) -> datetime:
    """The first moment of `day` in zone `tz` (01:00 where the clocks skip midnight)."""
    place = zone(tz)
    return datetime.combine(day, time(), place).astimezone(UTC).astimezone(place)
