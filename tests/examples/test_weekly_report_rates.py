"""Reading the ECB's file, and which days a period holds."""

import hashlib
import io
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from weekly_report import rates
from weekly_report.rates import Days


def archive(text: str) -> bytes:
    """A zip with one CSV, as the ECB makes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("eurofxref-hist.csv", text)
    return buffer.getvalue()


def test_the_period_across_the_clock_change_is_one_week(days):
    """+02:00 at the start and +01:00 at the end are midnight to midnight in Frankfurt."""
    start = datetime.fromisoformat("2026-10-19T00:00:00+02:00")
    end = datetime.fromisoformat("2026-10-26T00:00:00+01:00")
    assert end - start == timedelta(days=7, hours=1)
    assert rates.fixing_days(start, end) == days


@pytest.mark.parametrize(
    ("start", "end", "first", "until"),
    [
        ("2026-10-18T22:00:00+00:00", "2026-10-25T23:00:00+00:00", 19, 26),
        ("2026-10-19T14:10:00+02:00", "2026-10-23T14:10:00+02:00", 19, 23),
        ("2026-10-19T14:11:00+02:00", "2026-10-23T14:11:00+02:00", 20, 24),
        ("2026-10-19T00:00:00+14:00", "2026-10-24T00:00:00+14:00", 18, 23),
        ("2026-10-19T23:59:00-12:00", "2026-10-22T23:59:00-12:00", 20, 23),
    ],
)
def test_a_day_belongs_where_its_fixing_lies(start, end, first, until):
    """Any offset gives the days whose 14:10 in Frankfurt is inside; the end is not."""
    found = rates.fixing_days(datetime.fromisoformat(start), datetime.fromisoformat(end))
    assert found == Days(date(2026, 10, first), date(2026, 10, until))


@pytest.mark.parametrize(
    ("start", "end", "word"),
    [
        ("2026-10-19T00:00:00", "2026-10-26T00:00:00+01:00", "offsets"),
        ("2026-10-19T15:00:00+02:00", "2026-10-20T10:00:00+02:00", "no fixing"),
    ],
)
def test_a_period_that_names_no_days_is_refused(start, end, word):
    """Naive times and periods between two fixings are errors that say so."""
    with pytest.raises(ValueError, match=word):
        rates.fixing_days(datetime.fromisoformat(start), datetime.fromisoformat(end))


def test_summer_time_agrees_with_the_zone_database():
    """The written-out rule gives Frankfurt's own clock on every day of the data."""
    try:
        zone = ZoneInfo("Europe/Berlin")
    except ZoneInfoNotFoundError:
        pytest.skip("this machine has no time zone database")
    for number in range((date(2030, 1, 1) - date(1999, 1, 1)).days):
        day = date(1999, 1, 1) + timedelta(days=number)
        expected = datetime.combine(day, time(14, 10), zone).astimezone(UTC)
        assert rates.fixing_instant(day) == expected


def test_the_installed_file_is_the_one_described(zip_bytes):
    """41 currencies, 7,126 days, 221,702 values, to 30 October 2026."""
    codes, rows = rates.parse(zip_bytes)
    assert len(codes) == 41
    assert len(rows) == 7126
    assert (rows[0][0], rows[-1][0]) == (date(1999, 1, 4), date(2026, 10, 30))
    assert sum(value is not None for _, values in rows for value in values) == 221_702


def test_not_available_is_none_and_the_nameless_column_is_left_out():
    """N/A and empty cells are no rate; rows come oldest first."""
    text = "Date,USD,BGN,\n2026-10-20,1.2,N/A,\n2026-10-19,1.1,,\n"
    codes, rows = rates.parse(archive(text))
    assert codes == ["USD", "BGN"]
    assert rows == [(date(2026, 10, 19), [1.1, None]), (date(2026, 10, 20), [1.2, None])]


@pytest.mark.parametrize("cell", ["-1", "0", "inf", "nan", "1,1x"])
def test_a_cell_that_is_no_rate_is_an_error(cell):
    """A damaged value is never taken for a missing one."""
    with pytest.raises(ValueError, match=r"rate|float"):
        rates.parse(archive(f'Date,USD,\n2026-10-19,"{cell}",\n'))


def test_nothing_after_the_period_is_in_the_table(zip_bytes, days):
    """The file goes on to 30 October; the report does not know that."""
    table = rates.table_until(zip_bytes, days)
    assert table.days[-1] == date(2026, 10, 23)
    assert list(table.rates) == sorted(table.rates)
    assert len(table.rates) == 41
    assert table.ended["TRL"] == date(2004, 12, 31)


def test_other_bytes_are_refused(tmp_path: Path):
    """The message has both digests and says what to do; a prefix is understood."""
    path = tmp_path / "eurofxref-hist.zip"
    path.write_bytes(b"data")
    right = hashlib.sha256(b"data").hexdigest()
    assert rates.read_verified(path, right) == b"data"
    assert rates.read_verified(path, f"sha256:{right}") == b"data"
    with pytest.raises(ValueError, match=rf"{right}.*{'0' * 64}.*new contract"):
        rates.read_verified(path, "0" * 64)


def test_five_years_before_a_leap_day():
    """29 February has a day five years earlier."""
    assert rates.years_before(date(2024, 2, 29), 5) == date(2019, 2, 28)
