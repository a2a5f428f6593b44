"""Windows when the clocks change, and when a run goes on after midnight."""

from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pytest

from nightproof import Contract, Window, job, step
from nightproof.errors import ContractError
from nightproof.model import clock
from nightproof.testing.fake import FakeClock

LA = "America/Los_Angeles"
HOUR = timedelta(hours=1)
# Zone, day, its length in hours: both changes in Los Angeles, and zones that have none.
DAYS = [
    (LA, date(2026, 3, 7), 24),
    (LA, date(2026, 3, 8), 23),
    (LA, date(2026, 3, 9), 24),
    (LA, date(2026, 10, 31), 24),
    (LA, date(2026, 11, 1), 25),
    (LA, date(2026, 11, 2), 24),
    ("Asia/Tokyo", date(2026, 3, 8), 24),
    ("Asia/Tokyo", date(2026, 11, 1), 24),
    ("UTC", date(2026, 3, 8), 24),
    ("UTC", date(2026, 11, 1), 24),
]
NIGHTS = [(zone, day) for zone, day, _ in DAYS]


class Nightly(Contract):
    """One day."""

    task: Literal["nightly"] = "nightly"
    window: Window


@pytest.mark.parametrize(("zone", "day", "hours"), DAYS)
def test_a_day_is_as_long_as_it_was(zone, day, hours):
    """Start and end are midnights there; the next day begins where it ends."""
    window = Window.day(day, zone)
    assert window.duration == hours * HOUR
    assert (window.date, window.days) == (day, (day,))
    for moment in (window.start, window.end):
        assert moment.astimezone(ZoneInfo(zone)).time() == datetime.min.time()
    assert window.end == Window.day(day + timedelta(days=1), zone).start
    assert Window.model_validate_json(window.model_dump_json(by_alias=True)) == window


@pytest.mark.parametrize(("zone", "day"), NIGHTS)
def test_yesterday_around_midnight(zone, day):
    """A second before midnight it is the day before, from midnight on the day that ended."""
    midnight = Window.day(day, zone).end
    assert Window.yesterday(zone, midnight - timedelta(seconds=1)).date == day - timedelta(days=1)
    assert Window.yesterday(zone, midnight).date == day
    assert Window.yesterday(zone, midnight.astimezone(ZoneInfo("Asia/Tokyo"))).date == day


@pytest.mark.parametrize(("zone", "day"), NIGHTS)
def test_settled_is_a_time_that_passes(zone, day):
    """Four hours after the end are four hours, whatever the clocks did."""
    window = Window.day(day, zone)
    assert window.settled(after="4h") - window.end == 4 * HOUR
    assert window.settled(timedelta(minutes=90)) - window.end == 1.5 * HOUR
    settled = window.settled("4h")
    assert Window.settled_day(zone, settled, after="4h") == window
    early = Window.settled_day(zone, settled - timedelta(seconds=1), after="4h")
    assert early == Window.day(day - timedelta(days=1), zone)


@pytest.mark.parametrize(("zone", "day"), NIGHTS)
def test_a_run_that_goes_on_after_midnight_keeps_its_window(night, killed, zone, day):
    """The contract is frozen at the fire time; the resume asks for the same day."""
    asked: list[str] = []

    @step
    async def fetch(window: Window, part: int) -> str:
        asked.append(f"{window.date} {part}")
        if part == 1 and len(asked) == 2:
            raise killed
        return str(window)

    @job
    async def nightly(contract: Nightly) -> list[str]:
        return [await fetch(contract.window, part) for part in range(3)]

    now = FakeClock(Window.day(day, zone).end - timedelta(minutes=10))
    with clock.use(now):
        contract = Nightly(window=Window.yesterday(zone, clock.now()))
        night.die(nightly, contract)
        now.advance(1200)
        assert Window.yesterday(zone, clock.now()).date == day
        resumed = night.value(nightly, contract)
    yesterday = day - timedelta(days=1)
    assert asked == [f"{yesterday} {part}" for part in (0, 1, 1, 2)]
    assert resumed == [str(Window.day(yesterday, zone))] * 3


@pytest.mark.parametrize("text", ["4", "4 h", "h", "-4h", "4w", ""])
def test_what_is_no_duration(text):
    """Refused, with what to write."""
    window = Window.day(date(2026, 3, 8), LA)
    with pytest.raises(ContractError, match="is not a duration") as caught:
        window.settled(text)
    assert "4h" in caught.value.hint
    with pytest.raises(ContractError, match="before its end"):
        window.settled(timedelta(hours=-4))


def test_naive_times_are_refused():
    """As everywhere, a time without an offset is another day elsewhere."""
    with pytest.raises(ContractError, match="has no offset"):
        Window.settled_day("UTC", datetime(2026, 1, 1), "4h")  # noqa: DTZ001
    assert Window.settled_day("UTC", datetime(2026, 1, 2, tzinfo=UTC), "0s").date == date(
        2026, 1, 1
    )
