"""When a schedule is due: clocks that skip, clocks that repeat, zones, cron expressions."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightproof.errors import UsageError
from nightproof.model.timetable import Timetable

LA = "America/Los_Angeles"
ZONES = [LA, "Asia/Tokyo", "UTC", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo"]
DAYS = timedelta(days=30)


def due(table: Timetable, first: str, last: str) -> list[str]:
    """The due moments from one UTC day to another, as local time with offset."""
    ends = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (first, last))
    return [moment.isoformat() for moment in table.fires(*ends)]


@pytest.mark.parametrize("how", [{"at": "02:30"}, {"cron": "30 2 * * *"}])
def test_a_time_that_the_clocks_skip_is_due_at_the_next_that_exists(how):
    """Los Angeles, 8 March 2026: 02:30 never comes, 03:00 follows 01:59."""
    assert due(Timetable(LA, **how), "2026-03-07", "2026-03-10") == [
        "2026-03-07T02:30:00-08:00",
        "2026-03-08T03:00:00-07:00",
        "2026-03-09T02:30:00-07:00",
    ]


@pytest.mark.parametrize("how", [{"at": "01:30"}, {"cron": "30 1 * * *"}])
def test_a_time_that_comes_twice_is_due_once(how):
    """Los Angeles, 1 November 2026: 01:30 comes twice, the first one counts."""
    table = Timetable(LA, **how)
    assert due(table, "2026-10-31", "2026-11-03") == [
        "2026-10-31T01:30:00-07:00",
        "2026-11-01T01:30:00-07:00",
        "2026-11-02T01:30:00-08:00",
    ]
    # Asked in the hour that comes twice, the first one is over.
    second = datetime(2026, 11, 1, 1, 15, fold=1, tzinfo=ZoneInfo(LA))
    assert next(table.fires(second)).isoformat() == "2026-11-02T01:30:00-08:00"


def test_zones_without_changes():
    """Tokyo and UTC: the same time every day."""
    assert due(Timetable("Asia/Tokyo", "04:30"), "2026-03-07", "2026-03-09") == [
        "2026-03-08T04:30:00+09:00",
        "2026-03-09T04:30:00+09:00",
    ]
    assert due(Timetable("UTC", "00:00"), "2026-10-31", "2026-11-02") == [
        "2026-11-01T00:00:00+00:00",
        "2026-11-02T00:00:00+00:00",
    ]


def test_a_day_that_never_was():
    """Samoa had no 30 December 2011: due when the next day began, and then as ever."""
    assert due(Timetable("Pacific/Apia", "04:30"), "2011-12-29", "2011-12-31") == [
        "2011-12-29T04:30:00-10:00",
        "2011-12-31T00:00:00+14:00",
        "2011-12-31T04:30:00+14:00",
    ]


def test_two_skipped_times_are_due_once_together():
    """02:00 and 02:30 both become 03:00, which is one moment."""
    assert due(Timetable(LA, cron="0,30 2 * * *"), "2026-03-08", "2026-03-09") == [
        "2026-03-08T03:00:00-07:00"
    ]


def test_every_half_hour_goes_by_time_that_passes():
    """An expression with stars neither repeats nor loses anything over a change."""
    table = Timetable(LA, cron="*/30 * * * *")
    hours = (datetime(2026, 11, 1, hour, tzinfo=UTC) for hour in (7, 11))
    found = [moment.astimezone(UTC) for moment in table.fires(*hours)]
    gaps = {after - before for before, after in pairwise(found)}
    assert (len(found), gaps) == (8, {timedelta(minutes=30)})


def test_the_newest_due_moments():
    """`last` counts from the end, and reaches back no further than `since`."""
    table = Timetable("UTC", "04:30")
    now = datetime(2026, 10, 15, 12, tzinfo=UTC)
    assert [one.day for one in table.last(3, now - timedelta(days=400), now)] == [13, 14, 15]
    assert [one.day for one in table.last(7, now - timedelta(days=2), now)] == [14, 15]
    assert table.last(7, now, now) == []
    assert table.last(7, now + timedelta(days=2), now) == []
    due_now = datetime(2026, 10, 15, 4, 30, tzinfo=UTC)
    assert table.last(1, now - timedelta(days=2), due_now) == [due_now]
    assert table.last(1, due_now, due_now + timedelta(hours=1)) == []


@given(
    st.sampled_from(ZONES),
    st.integers(0, 1439),
    st.integers(0, 15 * 365),
)
def test_a_month_of_nights(zone, minute, days):
    """One a day in every zone, in order, and from wherever one begins to ask the same ones."""
    table = Timetable(zone, f"{minute // 60:02}:{minute % 60:02}")
    first = datetime(2015, 1, 1, tzinfo=UTC) + timedelta(days=days)
    found = list(table.fires(first, first + DAYS))
    instants = [one.astimezone(UTC) for one in found]
    assert instants == sorted(set(instants))
    # Thirty days of UTC hold 29 of them where the zone's clocks went back between.
    days_of = [one.date() for one in found]
    assert {after - before for before, after in pairwise(days_of)} == {timedelta(days=1)}
    ends = [moment.astimezone(ZoneInfo(zone)).date() for moment in (first, first + DAYS)]
    assert abs(days_of[0] - ends[0]) <= timedelta(days=1)
    assert abs(days_of[-1] - ends[1]) <= timedelta(days=1)
    assert list(table.fires(instants[9], first + DAYS)) == found[10:]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (Timetable("Mars/Base", "04:30"), "not a time zone"),
        (Timetable("UTC", "4:30"), "not a time of day"),
        (Timetable("UTC", "24:00"), "not a time of day"),
        (Timetable("UTC", cron="* * *"), "expected five fields"),
        (Timetable("UTC", cron="* * * * * *"), "expected five fields"),
        (Timetable("UTC", cron="0 0 30 2 *"), "not a cron expression"),
        (Timetable("UTC", cron="61 * * * *"), "not a cron expression"),
    ],
)
def test_what_is_no_schedule(table, said):
    """Refused with what to write instead."""
    with pytest.raises(UsageError, match=said) as caught:
        table.check()
    assert caught.value.hint
