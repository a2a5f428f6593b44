"""When something is due: a local time every night, or a cron expression, in a zone.

A local time that the clocks skip is due at the next moment that exists, one that comes
twice at the first of the two. Cron expressions with ``*`` in their minutes or hours go
by the time that passes, as Debian's cron has it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from nightproof.errors import UsageError

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_FIRST_LOOK = timedelta(hours=2)
_AT = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


class Timetable(NamedTuple):
    """`at` (``04:30``) every day, or else `cron` (five fields), on the clocks of zone `tz`."""

    tz: str
    at: str = ""
    cron: str = ""

    def __str__(self) -> str:
        return f"{self.at or self.cron} {self.tz}"

    @property
    def place(self) -> tzinfo:
        """The zone. Raises UsageError where this machine does not know it."""
        return _zone(self.tz)

    def check(self) -> None:
        """Raise UsageError for an unknown zone, or a time that is none."""
        next(self.fires(datetime(2026, 1, 1, tzinfo=UTC)), None)

    def fires(self, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
        """Every due moment behind `after` up to and including `until`, in zone `tz`.

        Raises UsageError for an unknown zone, or a time that is none.
        """
        place = self.place
        start = last = after.astimezone(UTC)
        for moment in self._moments(start, place):
            # By instant: datetimes of one zone would be compared by what the clocks show.
            instant = moment.astimezone(UTC)
            if until is not None and instant > until:
                return
            if instant > last:
                last = instant
                yield instant.astimezone(place)

    def last(self, count: int, since: datetime, until: datetime) -> list[datetime]:
        """The newest `count` due moments behind `since`, up to and including `until`."""
        longest = until - since
        span = min(_FIRST_LOOK, longest)
        while span > timedelta():
            found = deque(self.fires(until - span, until), maxlen=count)
            if len(found) == count or span == longest:
                return list(found)
            span = min(span * 8, longest)
        return []

    def _moments(self, after: datetime, place: tzinfo) -> Iterator[datetime]:
        if self.at:
            return _nightly(_time(self.at), place, after)
        return _by_cron(self.cron, after.astimezone(place))


def _nightly(clock: time, place: tzinfo, after: datetime) -> Iterator[datetime]:
    day = after.astimezone(place).date() - _DAY
    while True:
        shown = datetime.combine(day, clock)
        while not _exists(shown, place):
            shown += _MINUTE
        yield shown.replace(tzinfo=place)
        day += _DAY


def _exists(shown: datetime, place: tzinfo) -> bool:
    """Whether the clocks of `place` ever show this."""
    there = shown.replace(tzinfo=place).astimezone(UTC).astimezone(place)
    return there.replace(tzinfo=None, fold=0) == shown


def _by_cron(expression: str, after: datetime) -> Iterator[datetime]:
    try:
        from cronsim import CronSim, CronSimError
    except ModuleNotFoundError:
        raise UsageError(
            f"the cron expression '{expression}' needs the package cronsim",
            "Install nightproof[serve].",
        ) from None
    try:
        if len(expression.split()) != 5:
            raise CronSimError("expected five fields")
        return CronSim(expression, after)
    except CronSimError as error:
        raise UsageError(
            f"'{expression}' is not a cron expression: {error}",
            'Write minute, hour, day of month, month and day of week, like "30 4 * * *".',
        ) from None


def _time(text: str) -> time:
    found = _AT.fullmatch(text)
    if found is None:
        raise UsageError(f"'{text}' is not a time of day", 'Write hours and minutes, like "04:30".')
    return time(int(found[1]), int(found[2]))


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo  # only where something is scheduled

    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise UsageError(
            f"{name!r} is not a time zone known here",
            "Write an IANA name like Asia/Tokyo (a machine without a zone database needs the "
            "package tzdata).",
        ) from None
