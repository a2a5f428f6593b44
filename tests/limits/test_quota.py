"""What a quota allows, and when it is back: pure rules."""

from datetime import UTC, datetime, timedelta

import pytest

from nightproof import Quota
from nightproof.errors import MisuseError

NOW = datetime(2026, 11, 1, 8, 30, tzinfo=UTC)  # 01:30 in Los Angeles, before the clocks go back


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [("900/min", 900, 60), ("100/10s", 100, 10), ("3500/hour", 3500, 3600), ("2/s", 2, 1)],
)
def test_rates(text, amount, seconds):
    """An amount and a time."""
    [found] = Quota("q", rate=text).allowances
    assert (found.amount, found.seconds, found.counted) == (amount, seconds, True)


@pytest.mark.parametrize(
    "given",
    [
        {}, {"rate": "fast"}, {"rate": "0/min"}, {"rate": "9/fortnight"}, {"rate": "9/0s"},
        {"daily": 0}, {"daily": True}, {"daily": 5, "resets": "midnight"},
        {"daily": 5, "resets": "00:00 Mars/Base"}, {"rate": "9/s", "shares": {"a": 1.5}},
        {"rate": "9/s", "shares": {"a": 0.6, "b": 0.6}},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(given):
    """With the name of the quota, and what was expected."""
    with pytest.raises(MisuseError, match="Quota"):
        Quota("q", **given)


def test_a_daily_reset_follows_the_wall_clock():
    """Over the end of daylight saving a day has 25 hours, and the reset stays at midnight."""
    quota = Quota("q", daily=10, resets="00:00 America/Los_Angeles")
    first = quota.reset_after(NOW)
    assert first == datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
    before = quota.reset_after(NOW - timedelta(hours=2))
    assert before == datetime(2026, 11, 1, 7, 0, tzinfo=UTC)
    assert first - before == timedelta(hours=25)
    assert quota.reset_after(first) == first + timedelta(days=1)


def test_a_reset_at_a_time_that_the_clocks_skip():
    """02:30 does not exist on the night the clocks go forward: the moment after it counts."""
    quota = Quota("q", daily=10, resets="02:30 America/Los_Angeles")
    found = quota.reset_after(datetime(2026, 3, 8, 9, 0, tzinfo=UTC))
    assert found == datetime(2026, 3, 8, 10, 30, tzinfo=UTC)


def test_shares_leave_the_rest_to_all_others():
    """A job with a share never gets more, and the others never get it."""
    quota = Quota("q", rate="100/min", shares={"telemetry": 0.3})
    [one] = quota.allowances
    assert quota.sharer("telemetry") == "telemetry"
    assert quota.sharer("revenue") == ""
    assert quota.cap(one, "telemetry") == pytest.approx(30)
    assert quota.cap(one, "") == pytest.approx(70)
