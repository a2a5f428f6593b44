"""Processes killed at random moments: nothing is lost, mixed up or done twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def test_a_map_survives_random_kills_and_edits(massacre: Callable[..., Any]):
    """Items are inserted, removed and reordered between kills; every result stays its own."""
    toll = massacre(12, items=100)
    print(toll)
    assert toll.wrong == []
    assert toll.kills >= 12


def test_of_several_processes_one_works(massacre: Callable[..., Any]):
    """Four started at once on one run: one works, the others say so, one takes over."""
    toll = massacre(4, items=60, at_once=4, seed=2)
    print(toll)
    assert toll.wrong == []
    assert toll.owners >= toll.kills >= 4
    assert toll.turned_away > 0


@pytest.mark.drill
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [11, 12])
def test_a_map_survives_a_hundred_random_kills(massacre: Callable[..., Any], seed: int):
    """The same a hundred times."""
    toll = massacre(100, items=300, seed=seed)
    print(toll)
    assert toll.wrong == []
    assert toll.kills >= 100


@pytest.mark.drill
@pytest.mark.timeout(900)
def test_of_eight_processes_one_works_through_a_hundred_kills(massacre: Callable[..., Any]):
    """Eight processes on one run, again and again."""
    toll = massacre(100, items=300, at_once=8, seed=21)
    print(toll)
    assert toll.wrong == []
    assert toll.owners >= toll.kills >= 100
    assert toll.turned_away > 0
