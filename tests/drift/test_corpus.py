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

SLOW = {
    "same version, another wheel",
    "package upgraded",
    "time zone, and a file in HOME that changes nothing",
    "host that answered differently",
    "file read by a native reader",
    "config file in HOME, and an unused package upgraded",
    "variable read at import, another zone that nothing asks for",
    "system prompt changed by the provider",
    "tool added by the provider, asked in a map",
    "alias echoed, another version behind it",
    "model samples at 10 %",
    "model samples at 25 %",
    "model samples at 40 %, and an unused package upgraded",
    "model samples at 60 % behind an echoed alias",
    "model samples at 30 % in a map",
    "model samples at 50 %",
    "model samples always",
    "seed ignored by the provider",
    "order in which threads end",
}
"""Left to `explain`, which runs the job up to 72 times: one of each cause is enough elsewhere."""

DAILY = {
    "nothing changed",
    "killed and resumed",
    "ids normalised",
    "variable",
    "new file in a folder",
    "installed file edited",
    "version swapped behind an alias",
}
"""Played with every change; the others are for `make drill`."""

pytestmark = pytest.mark.timeout(900)


def impossible() -> set[str]:
    """The pairs that cannot be planted on this machine."""
    found = set() if len(os.sched_getaffinity(0)) > 1 else set(TWO_PROCESSORS)
    return found if platform.machine() == "x86_64" else found | X86


def told(found: list[Verdict]) -> str:
    """Verdicts, one a line."""
    return "\n".join(["", *(one.told() for one in found)])


def misses(found: list[Verdict]) -> list[Verdict]:
    """Planted causes that neither `diff` nor `explain` named; nobody else is accused.

    In clean pairs there is no drift and every cause is excluded, and what the record does
    not tell `diff` leaves to `explain`.
    """
    accused = [one for one in found if one.pair.cause is None and not one.right]
    accused += [one for one in found if one.documents and not one.spared]
    assert not accused, told(accused)
    return [one for one in found if not one.right]


def test_a_few_of_each_cause_are_named(tmp_path):
    """What `diff` can name by itself, and three pairs that are clean."""
    pairs = [pair for pair in PAIRS if pair.name in DAILY]
    assert len(pairs) == len(DAILY)
    found = play(pairs, tmp_path)
    assert not misses(found), told(found)
    assert {one.by for one in found} == {"diff"}, told(found)


@pytest.mark.drill
@pytest.mark.parametrize("cause", ["context", None, "environment", "model", "sampling"])
def test_planted_causes_are_named(tmp_path, cause):
    """Of each cause those that `diff` names and one for `explain`; all that are clean."""
    left_out = SLOW | impossible()
    pairs = [pair for pair in PAIRS if pair.cause == cause and pair.name not in left_out]
    wrong = misses(play(pairs, tmp_path))
    assert not wrong, told(wrong)


@pytest.mark.drill
def test_every_planted_cause_is_named(tmp_path):
    """By `diff`, or by `explain` where the record does not tell: all but one of them."""
    wrong = misses(play([pair for pair in PAIRS if pair.name not in impossible()], tmp_path))
    assert len(wrong) <= ALLOWED_MISSES, told(wrong)


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
    assert set(names) > SLOW
