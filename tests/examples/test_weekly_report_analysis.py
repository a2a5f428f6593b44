"""What a week meant for a currency."""

import math
import random
from datetime import date, timedelta

import pytest
from weekly_report import analysis
from weekly_report.analysis import CurrencyWeek
from weekly_report.rates import Days, RateTable

# Computed apart from the package: dictionaries by day, no statistics module.
# change, z, rank, weeks, volatility.
GOLDEN = {
    "quiet": {
        "USD": (-0.00533191, -0.50735, 188, 261, 0.0544631),
        "CAD": (-0.01694383, -2.13562, 255, 261, 0.0445361),
        "TRY": (-0.00109989, -0.25006, 183, 261, 0.0540042),
        "DKK": (0.0, -0.07189, 138, 261, 0.0012385),
        "BRL": (-0.01244821, -0.66084, 208, 261, 0.0960369),
    },
    "loud": {
        "USD": (-0.00187617, -0.1714, 155, 261, 0.0541191),
        "BRL": (0.07447995, 4.10769, 2, 261, 0.1488029),
        "ISK": (-0.00146843, -0.15612, 169, 261, 0.0348618),
    },
}


def daily(first: date, values: list[float | None], code: str = "XXX") -> RateTable:
    """A table with one currency and a value for every calendar day."""
    days = [first + timedelta(days=number) for number in range(len(values))]
    return RateTable(days, {code: values}, {})


@pytest.mark.parametrize(
    ("week", "code"), [(week, code) for week, codes in GOLDEN.items() for code in codes]
)
def test_golden_numbers(week, code, request):
    """Real currencies agree with numbers that were computed another way."""
    found = next(one for one in request.getfixturevalue(week).active if one.code == code)
    change, z, rank, weeks, volatility = GOLDEN[week][code]
    assert found.change == pytest.approx(change, abs=1e-8)
    assert found.z == pytest.approx(z, abs=1e-5)
    assert (found.rank, found.weeks) == (rank, weeks)
    assert found.volatility == pytest.approx(volatility, abs=1e-7)


def test_the_rates_behind_a_change(quiet):
    """From the last rate before the period to the last one in it, straight from the file."""
    cad = next(one for one in quiet.active if one.code == "CAD")
    assert (cad.before_day, cad.before_rate) == (date(2026, 10, 16), 1.5935)
    assert (cad.last_day, cad.last_rate) == (date(2026, 10, 23), 1.5665)
    assert cad.larger_until == date(2026, 3, 6)


def test_no_currency_is_dropped(quiet):
    """41 currencies go in; those without a rate come out with the reason."""
    assert quiet.total == 41
    assert len(quiet.active) == 29
    absent = {one.code: one for one in quiet.absent}
    assert absent["BGN"].last_day == date(2025, 12, 31)
    assert absent["RUB"].last_day == date(2022, 3, 1)
    assert absent["TRL"].last_day == date(2004, 12, 31)
    assert {one.status for one in quiet.absent} == {"ended"}
    assert all(one.change is None and one.z is None for one in quiet.absent)


def test_anomalies_are_beyond_three_deviations(quiet, loud):
    """The example's week has none; the week after has the real, and only that."""
    assert quiet.anomalies == []
    (real,) = loud.anomalies
    assert (real.code, real.larger_until) == ("BRL", date(2022, 11, 11))
    assert real.z > 3


def test_exactly_three_deviations_is_no_anomaly():
    """Beyond means beyond; the order is by size, then by code."""
    weeks = [
        CurrencyWeek(code, "active", change=0.01, deviation=0.01, z=z)
        for code, z in [("A", 3.0), ("B", -3.1), ("D", 4.0), ("C", -4.0), ("E", None)]
    ]
    assert [one.code for one in analysis.anomalies(weeks)] == ["C", "D", "B"]


def test_this_week_is_not_part_of_its_own_yardstick():
    """A jump is measured against the weeks before it, which it would have widened."""
    rng = random.Random(1)
    values: list[float | None] = [1.0 + rng.uniform(-0.001, 0.001) for _ in range(7 * 80)]
    first = date(2025, 1, 6)
    jump = Days(first + timedelta(days=7 * 80), first + timedelta(days=7 * 81))
    found = analysis.analyse(daily(first, [*values, *[1.1] * 7]), "XXX", jump)
    assert found.z is not None
    assert found.z > 50
    assert (found.rank, found.larger_until) == (1, None)


def test_later_rates_change_nothing(days):
    """A table that knows the future gives the same week."""
    first = days.until - timedelta(days=700)
    rng = random.Random(2)
    values: list[float | None] = [rng.uniform(1, 2) for _ in range(700)]
    known = analysis.analyse(daily(first, values), "XXX", days)
    assert analysis.analyse(daily(first, [*values, 9.0, 9.0]), "XXX", days) == known


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ([None] * 30, "not yet"),
        ([*[1.0] * 20, *[None] * 10], "ended"),
        ([*[None] * 26, *[1.0] * 4], "resumed"),
        ([*[1.0] * 5, *[None] * 21, *[1.0] * 4], "resumed"),
        ([*[None] * 20, *[1.0] * 10], "active"),
    ],
)
def test_what_a_currency_without_a_comparison_is_called(values, status, days):
    """Nothing yet, ended, back after a gap: never a change over the gap."""
    table = daily(days.until - timedelta(days=30), values)
    found = analysis.analyse(table, "XXX", days)
    assert found.status == status
    assert (found.change is None) == (status != "active")


def test_little_history_has_a_change_but_no_score(days):
    """Fewer than a year of weeks make no yardstick."""
    rng = random.Random(3)
    table = daily(days.until - timedelta(days=200), [rng.uniform(1, 2) for _ in range(200)])
    found = analysis.analyse(table, "XXX", days)
    assert found.change is not None
    assert found.z is None
    assert found.weeks == 28


def test_a_fixed_rate_has_no_score(days):
    """A peg has no deviation to divide by."""
    table = daily(days.until - timedelta(days=900), [2.0] * 900)
    found = analysis.analyse(table, "XXX", days)
    assert (found.change, found.volatility, found.deviation, found.z) == (0.0, 0.0, 0.0, None)


def test_volatility_of_a_known_series():
    """Alternating steps of ±1 % have a daily deviation of 1 %, annualised by √252."""
    days = Days(date(2026, 1, 5), date(2026, 1, 12))
    values = [math.exp(0.01 * (number % 2)) for number in range(400)]
    series = [(days.until - timedelta(days=400 - n), value) for n, value in enumerate(values)]
    found = analysis.volatility(series, days)
    assert found == pytest.approx(0.01 * math.sqrt(252), rel=0.01)


def test_the_line_ends_with_the_last_rate(quiet):
    """Five years in steps of four weeks, oldest first."""
    cad = next(one for one in quiet.active if one.code == "CAD")
    assert len(cad.spark) == 66
    assert cad.spark[-1] == cad.last_rate
