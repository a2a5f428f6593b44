"""Pairs of kinds that the rules were not written for."""

from __future__ import annotations

from tests.drift.corpus import planting as plant
from tests.drift.corpus.asked import ASKING, NEXT, sampled
from tests.drift.corpus.planting import both, serving, written
from tests.drift.corpus.play import Pair

UNSEEN = [
    Pair(
        "data file of a package upgraded",
        "environment",
        "unseen.py:package_data",
        plant.ratebook("1.0", "EUR,1.08"),
        plant.ratebook("1.1", "EUR,1.09"),
    ),
    Pair(
        "hash seed fixed in one run only",
        "environment",
        "unseen.py:hashes",
        a={"PYTHONHASHSEED": "0"},
        tries=5,
    ),
    Pair(
        "link that leads elsewhere",
        "context",
        "unseen.py:link",
        both(plant.data, plant.linked("one", "1.08")),
        plant.linked("two", "1.09"),
    ),
    Pair(
        "configuration below XDG_CONFIG_HOME",
        "context",
        "unseen.py:configuration",
        written("config", "ledger.ini", "[report]\nstyle = wide\n"),
        written("config", "ledger.ini", "[report]\nstyle = narrow\n"),
        a={"XDG_CONFIG_HOME": "{folder}/config"},
        b={"XDG_CONFIG_HOME": "{folder}/config"},
    ),
    Pair(
        "database that sqlite3 reads",
        "context",
        "unseen.py:database",
        both(plant.data, plant.database(3)),
        plant.database(4),
    ),
    Pair(
        "age of a file",
        "context",
        "unseen.py:touched",
        both(plant.data, written("data", "input.csv", "1\n"), plant.aged(1_700_000_000)),
        plant.aged(1_800_000_000),
    ),
    Pair(
        "mark left in the folder for temporary files",
        "context",
        "unseen.py:left_behind",
        written("tmp", "other", ""),
        written("tmp", "ledger.done", ""),
        a={"TMPDIR": "{folder}/tmp"},
        b={"TMPDIR": "{folder}/tmp"},
    ),
    Pair(
        "fallback model of Anthropic",
        "model",
        "unseen.py:messages",
        serving(),
        serving(fallback="flash-2.5-lite-001", fallbackRate=1),
        contract=ASKING,
    ),
    Pair(
        "version behind an alias in OpenAI's responses",
        "model",
        "unseen.py:responses",
        serving(),
        serving(version=NEXT),
        contract=ASKING,
    ),
    Pair(
        "alias echoed, and neither request nor answer recorded",
        "model",
        "unseen.py:barely_served",
        serving(reports="alias"),
        serving(reports="alias", version=NEXT),
        contract=ASKING,
    ),
    sampled(
        "model samples at 30 %, neither request nor answer recorded",
        "unseen.py:barely_served",
        0.3,
        21,
    ),
    sampled("model samples at 5 %", "models.py:gemini", 0.05, 22),
]
