"""How sure a number of replicates makes one: exact binomial bounds and Fisher's exact test."""

from __future__ import annotations

from math import comb, exp, lgamma, log, log1p

CONFIDENCE = 0.95
"""One-sided confidence of every bound that is shown."""
TARGET = 0.01
"""The drift rate that a job's budget aims to stay under."""


def at_most(failures: int, trials: int, rate: float) -> float:
    """The probability of at most `failures` in `trials` where each fails with `rate`."""
    if failures >= trials or rate <= 0:
        return 1.0
    if rate >= 1:
        return 0.0
    total = 0.0
    for k in range(failures + 1):
        ways = lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1)
        total += exp(ways + k * log(rate) + (trials - k) * log1p(-rate))
    return min(1.0, total)


def upper_bound(failures: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The exact one-sided upper bound on a rate (Clopper and Pearson, 1934).

    With 0 trials nothing is known: 1.0. Raises ValueError for counts that cannot be.
    """
    if not 0 <= failures <= trials:
        raise ValueError(f"{failures} failures of {trials} trials")
    if failures == trials:
        return 1.0
    low, high = failures / trials, 1.0
    for _ in range(60):  # halves the interval below the precision of a float
        middle = (low + high) / 2
        if at_most(failures, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def trials_needed(failures: int, rate: float = TARGET, confidence: float = CONFIDENCE) -> int:
    """The fewest trials in which `failures` still bound the rate by `rate`.

    Raises ValueError for a rate that is not between 0 and 1.
    """
    if not 0 < rate < 1:
        raise ValueError(f"a rate of {rate}")
    high = failures + 1
    while at_most(failures, high, rate) > 1 - confidence:
        high *= 2
    low = high // 2
    while low + 1 < high:
        middle = (low + high) // 2
        if at_most(failures, middle, rate) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def fisher_exact(a: int, b: int, c: int, d: int) -> float:
    """One-sided p-value that the first arm fails no more often than the second.

    The table is ``[[a, b], [c, d]]``: failures and successes of the first arm, then
    of the second. A small value says that the first arm fails more often. Raises
    ValueError for a negative count.
    """
    if min(a, b, c, d) < 0:
        raise ValueError(f"a table with a negative count: {a}, {b}, {c}, {d}")
    first, failures, total = a + b, a + c, a + b + c + d
    ways = sum(
        comb(first, k) * comb(total - first, failures - k)
        for k in range(a, min(first, failures) + 1)
    )
    return ways / comb(total, failures)
