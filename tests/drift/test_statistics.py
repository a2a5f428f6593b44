"""The numbers behind a reproducibility budget."""

import pytest

from nightproof.drift.statistics import at_most, fisher_exact, trials_needed, upper_bound


@pytest.mark.parametrize(("failures", "trials"), [(0, 299), (1, 473), (2, 628), (3, 773)])
def test_trials_for_under_one_percent(failures, trials):
    """The known table of exact binomial bounds: one trial fewer is not enough."""
    assert trials_needed(failures) == trials
    assert upper_bound(failures, trials) < 0.01
    assert upper_bound(failures, trials - 1) > 0.01


def test_thirty_clean_nights_say_little():
    """They bound the rate at 9.5 % only."""
    assert upper_bound(0, 30) == pytest.approx(0.0950, abs=5e-5)


def test_bounds_at_the_edges():
    """Nothing known, everything failed, and counts that cannot be."""
    assert upper_bound(0, 0) == 1.0
    assert upper_bound(5, 5) == 1.0
    assert upper_bound(0, 1) == pytest.approx(0.95)
    assert at_most(0, 3, 1.0) == 0.0
    with pytest.raises(ValueError, match="3 failures of 2"):
        upper_bound(3, 2)
    with pytest.raises(ValueError, match="a rate"):
        trials_needed(0, 1.0)


def test_bound_agrees_with_the_sum_it_inverts():
    """At the bound, so few failures have a probability of exactly 5 %."""
    for failures, trials in [(0, 7), (2, 40), (10, 20), (30, 2000)]:
        assert at_most(failures, trials, upper_bound(failures, trials)) == pytest.approx(0.05)


def test_fisher_on_the_lady_tasting_tea():
    """Fisher's own examples: 4 of 4 right is 1/70, 3 of 4 is 17/70."""
    assert fisher_exact(4, 0, 0, 4) == pytest.approx(1 / 70)
    assert fisher_exact(3, 1, 1, 3) == pytest.approx(17 / 70)
    assert fisher_exact(0, 4, 4, 0) == 1.0
    with pytest.raises(ValueError, match="negative"):
        fisher_exact(-1, 2, 3, 4)
