"""Windows: half-open, zone-aware, right on the days on which the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nightproof.contract import Window, period
from nightproof.errors import ContractError

BERLIN = "Europe/Berlin"
AT = datetime(2026, 10, 28, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "zone", "text", "hours"),
    [
        (date(2026, 10, 25), BERLIN, "2026-10-25T00:00:00+02:00/2026-10-26T00:00:00+01:00", 25),
        (date(2026, 3, 29), BERLIN, "2026-03-29T00:00:00+01:00/2026-03-30T00:00:00+02:00", 23),
        (date(2026, 7, 1), "Asia/Kolkata", "2026-07-01T00:00:00+05:30/2026-07-02T00:00:00+05:30", 24),
        # The clocks of São Paulo skipped midnight: the day began at one.
        (date(2018, 11, 4), "America/Sao_Paulo",
         "2018-11-04T01:00:00-02:00/2018-11-05T00:00:00-02:00", 23),
    ],
)  # fmt: skip
def test_a_day(day: date, zone: str, text: str, hours: int) -> None:
    """A calendar day begins and ends where its zone says, and lasts as long as it lasts."""
    window = Window.day(day, zone)
    assert str(window) == text
    assert window.duration == timedelta(hours=hours)
    assert window.date == day
    assert window.days == (day,)
    assert Window.model_validate_json(window.model_dump_json(by_alias=True)) == window


def test_week_month_and_yesterday() -> None:
    """Weeks begin on Monday; yesterday is that of the zone, not of UTC."""
    week = Window.week(date(2026, 10, 21), BERLIN)
    assert str(week) == "2026-10-19T00:00:00+02:00/2026-10-26T00:00:00+01:00"
    assert week.days == tuple(date(2026, 10, day) for day in range(19, 26))
    assert Window.month(date(2026, 2, 15), "UTC").days[-1] == date(2026, 2, 28)
    late = datetime(2026, 10, 18, 22, 30, tzinfo=UTC)
    assert Window.yesterday(BERLIN, late).date == date(2026, 10, 18)
    assert Window.yesterday("UTC", late).date == date(2026, 10, 17)


def test_half_open() -> None:
    """The start belongs to the window, the end does not; instants count, not clock faces."""
    window = Window.day(date(2026, 10, 25), BERLIN)
    assert window.start in window
    assert window.end not in window
    assert datetime(2026, 10, 25, 22, 59, tzinfo=UTC) in window
    assert datetime(2026, 10, 25, 23, 0, tzinfo=UTC) not in window


def test_without_zone_the_offsets_decide() -> None:
    """Days follow the offset at each end where no zone is given."""
    window = Window.model_validate(
        {"start": "2026-10-24T00:00:00+02:00", "end": "2026-10-26T00:00:00+01:00"}
    )
    assert window.date == date(2026, 10, 24)
    assert window.days == (date(2026, 10, 24), date(2026, 10, 25))
    assert window.zone is None


def test_times_become_what_json_gives() -> None:
    """A ZoneInfo time is held with its fixed offset, so that differences are real time."""
    place = ZoneInfo(BERLIN)
    window = Window(
        start=datetime(2026, 10, 25, tzinfo=place), end=datetime(2026, 10, 26, tzinfo=place)
    )
    assert window.end - window.start == timedelta(hours=25)
    # 02:30 comes twice that night; the second one is an hour after the first
    folded = Window(
        start=datetime(2026, 10, 25, 2, 30, tzinfo=place),
        end=datetime(2026, 10, 25, 2, 30, tzinfo=place, fold=1),
    )
    assert folded.duration == timedelta(hours=1)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"end": "2026-06-01T00:00:00+02:00"}, "not after its start"),
        ({"end": "2026-05-31T21:00:00Z"}, "not after its start"),
        ({"end": "2026-06-02T00:00:00"}, "timezone"),
        ({"end": "2026-06-02"}, "not a date with a time"),
        ({"end": 1780500000}, "not a date with a time"),
        ({"zone": "Europe/Berlim"}, "not a time zone known here"),
        ({"zone": "../../etc/passwd"}, "not a time zone known here"),
        ({"zone": "Europe/London"}, "write 2026-05-31T23:00:00+01:00"),
        ({"label": "x"}, "Extra inputs"),
    ],
)
def test_refused_windows(fields: dict[str, object], said: str) -> None:
    """A window that is empty, naive, in an unknown or another zone is refused."""
    good = {"start": "2026-06-01T00:00:00+02:00", "end": "2026-06-02T00:00:00+02:00"}
    with pytest.raises(ValidationError, match=said.replace("+", r"\+")):
        Window.model_validate({**good, **fields})


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        ("yesterday", "2026-10-27", "2026-10-27"),
        ("Today", "2026-10-28", "2026-10-28"),
        ("last  week", "2026-10-19", "2026-10-25"),
        ("last month", "2026-09-01", "2026-09-30"),
        ("last 3 days", "2026-10-25", "2026-10-27"),
        ("2026-10-19", "2026-10-19", "2026-10-19"),
        ("2026-W43", "2026-10-19", "2026-10-25"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2026-10-19/2026-10-26", "2026-10-19", "2026-10-25"),
    ],
)
def test_periods_in_words(words: str, first: str, last: str) -> None:
    """Words are resolved as of a time, in a named zone."""
    days = period(words, BERLIN, AT).days
    assert (days[0].isoformat(), days[-1].isoformat()) == (first, last)


@pytest.mark.parametrize(
    "words", ["lately", "2026-13", "2026-W60", "2026-10-19/2026-10-19", "", "last 0 days"]
)
def test_words_that_mean_nothing(words: str) -> None:
    """Unknown words are refused, naming those that are known."""
    with pytest.raises(ContractError) as caught:
        period(words, BERLIN, AT)
    assert "is not a period" in caught.value.message
    assert "last week" in caught.value.hint


def test_unknown_zone_and_naive_now() -> None:
    """Both are said as errors of the contract, not as a traceback of zoneinfo."""
    with pytest.raises(ContractError, match="'Mars/Base' is not a time zone"):
        Window.day(date(2026, 1, 1), "Mars/Base")
    with pytest.raises(ContractError, match="has no offset"):
        Window.yesterday("UTC", datetime(2026, 1, 1))  # noqa: DTZ001


@given(
    st.dates(date(1990, 1, 1), date(2035, 12, 30)),
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "UTC"]),
)
def test_days_tile_time(day: date, zone: str) -> None:
    """One day ends exactly where the next begins, in every zone."""
    today, tomorrow = Window.day(day, zone), Window.day(day + timedelta(days=1), zone)
    assert today.end == tomorrow.start
    assert today.days == (day,)
    assert isinstance(today.start.tzinfo, timezone)
