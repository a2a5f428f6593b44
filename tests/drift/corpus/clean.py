"""Pairs that are the same: nothing may be accused."""

from __future__ import annotations

from tests.drift.corpus import planting as plant
from tests.drift.corpus.asked import ASKING, NEXT, SEEDED
from tests.drift.corpus.planting import serving, written
from tests.drift.corpus.play import Pair

CLEAN = [
    Pair("nothing changed", None, "steady.py:plain"),
    Pair(
        "unused package upgraded, nothing differs",
        None,
        "steady.py:plain",
        plant.unused("1.0"),
        plant.unused("2.0"),
    ),
    Pair(
        "another zone, locale and seed of hashes, nothing differs",
        None,
        "steady.py:plain",
        a={"TZ": "UTC", "LANG": "C", "PYTHONHASHSEED": "1"},
        b={"TZ": "Asia/Tokyo", "LANG": "C.UTF-8", "PYTHONHASHSEED": "2"},
    ),
    Pair(
        "comment added to a config file in HOME",
        None,
        "steady.py:configured",
        written("home", ".ledgerrc", "currency=EUR\n"),
        written("home", ".ledgerrc", "# reviewed\ncurrency=EUR\n"),
    ),
    Pair("ids normalised", None, "steady.py:normalised"),
    Pair("killed and resumed", None, "steady.py:killed", plant.dying),
    Pair(
        "another concurrency",
        None,
        "steady.py:plain",
        words=("--concurrency", "name=1"),
    ),
    Pair(
        "model samples, but honours the seed",
        None,
        "models.py:gemini",
        serving(sampling=1),
        contract=SEEDED,
    ),
    Pair(
        "tools of a model that is not asked changed",
        None,
        "models.py:chat",
        serving(),
        plant.bystanding,
        contract=ASKING,
    ),
    Pair(
        "another version of a model, the same answer",
        None,
        "models.py:mapped",
        plant.constant(plant.PINNED),
        plant.constant(NEXT),
        contract=ASKING,
    ),
]
