"""The corpus: real runs with one planted cause each, and runs that are the same."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.drift.corpus.pairs import CLEAN, PAIRS, PLANTED
from tests.drift.corpus.play import play

pytestmark = pytest.mark.timeout(600)


def test_clean_pairs_are_not_accused(tmp_path):
    """No drift, and every cause excluded."""
    found = play(CLEAN, tmp_path)
    assert [one.told() for one in found if not one.right] == []


def test_the_corpus_has_ten_pairs_of_each_cause():
    """Ten for each of the four causes, ten clean ones, every name once."""
    causes = Counter(pair.cause for pair in PAIRS)
    assert causes == {"environment": 10, "context": 10, "model": 10, "sampling": 10, None: 10}
    assert len({pair.name for pair in PAIRS}) == len(PAIRS)
    assert all(pair.cause for pair in PLANTED)
