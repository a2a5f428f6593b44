"""The corpus: real runs with one planted cause each, and runs that are the same."""

from __future__ import annotations

import os
import platform
from collections import Counter

import pytest
from tests.drift.corpus.pairs import HARDER, PAIRS, UNSEEN
from tests.drift.corpus.play import NEVER, Verdict, play

ALLOWED_MISSES = 1
TWO_PROCESSORS = {"BLAS threads"}
X86 = {"SIMD level", "BLAS kernel"}

# More than a minute of two processors, in the fixture of whichever test comes first.
pytestmark = pytest.mark.timeout(900)


def impossible() -> set[str]:
    """The pairs that cannot be planted on this machine."""
    found = set() if len(os.sched_getaffinity(0)) > 1 else set(TWO_PROCESSORS)
    return found if platform.machine() == "x86_64" else found | X86


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> list[Verdict]:
    """Every pair, played once for all tests."""
    pairs = [pair for pair in PAIRS if pair.name not in impossible()]
    return play(pairs, tmp_path_factory.mktemp("corpus"))


def told(found: list[Verdict]) -> str:
    """Verdicts, one a line."""
    return "\n".join(["", *(one.told() for one in found)])


def test_planted_causes_are_named(verdicts):
    """By `diff`, or by `explain` where the record does not tell: all but one of them."""
    wrong = [one for one in verdicts if one.pair.cause is not None and not one.right]
    assert len(wrong) <= ALLOWED_MISSES, told(wrong)


def test_clean_pairs_are_not_accused(verdicts):
    """No drift, and every cause excluded."""
    wrong = [one for one in verdicts if one.pair.cause is None and not one.right]
    assert not wrong, told(wrong)


def test_diff_alone_names_no_wrong_cause(verdicts):
    """What the record does not tell is left to `explain`."""
    wrong = [one for one in verdicts if one.documents and not one.spared]
    assert not wrong, told(wrong)


@pytest.mark.drill
def test_diff_accuses_nobody_in_harder_pairs(tmp_path):
    """Innocent second differences, causes in bodies, imports, child runs, other programs.

    `python -m tests.drift.corpus harder` (or `unseen`) lets `explain` judge them too.
    """
    pairs = [pair for pair in (*HARDER, *UNSEEN) if pair.name not in impossible()]
    found = play(pairs, tmp_path, NEVER)
    wrong = [one for one in found if one.trouble or not one.drift or not one.spared]
    assert not wrong, told(wrong)


def test_the_corpus_has_ten_pairs_of_each_cause():
    """Ten for each of the four causes, ten clean ones, every name once."""
    causes = Counter(pair.cause for pair in PAIRS)
    assert causes == {"environment": 10, "context": 10, "model": 10, "sampling": 10, None: 10}
    names = [pair.name for pair in (*PAIRS, *HARDER, *UNSEEN)]
    assert len(set(names)) == len(names)
