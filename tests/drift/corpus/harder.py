"""Pairs whose cause lies off the beaten track."""

from __future__ import annotations

from tests.drift.corpus import planting as plant
from tests.drift.corpus.asked import ASKING, NEXT
from tests.drift.corpus.planting import both, package, serving, written
from tests.drift.corpus.play import Pair

BUDGETS = both(
    plant.data, *(written("data", name, "100") for name in ("Oslo", "Porto", "Gent", "Lyon"))
)

HARDER = [
    Pair(
        "optional package no longer there",
        "environment",
        "harder.py:optional",
        package("1.0", plant.HALF_UP),
        plant.uninstalled,
    ),
    Pair("assertions off", "environment", "harder.py:assertions", b={"PYTHONOPTIMIZE": "1"}),
    Pair(
        "BLAS kernel",
        "environment",
        "numeric.py:threads",
        a={"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"},
        b={"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Prescott"},
    ),
    Pair(
        "zone that the body asks for",
        "environment",
        "harder.py:zone_of_body",
        a={"TZ": "UTC"},
        b={"TZ": "Pacific/Auckland"},
    ),
    Pair(
        "file that the body reads",
        "context",
        "harder.py:file_of_body",
        written("home", ".title", "Daily\n"),
        written("home", ".title", "Nightly\n"),
    ),
    Pair(
        "file read while the job is imported",
        "context",
        "harder.py:imported",
        written("home", ".defaults.json", '{"currency": "EUR"}'),
        written("home", ".defaults.json", '{"currency": "USD"}'),
    ),
    Pair(
        "another HOME",
        "context",
        "context.py:home",
        both(
            written("one", ".ledgerrc", "currency=EUR\n"),
            written("two", ".ledgerrc", "currency=USD\n"),
        ),
        a={"HOME": "{folder}/one"},
        b={"HOME": "{folder}/two"},
    ),
    Pair(
        "file of one item of a map",
        "context",
        "harder.py:mapped",
        BUDGETS,
        written("data", "Gent", "120"),
    ),
    Pair(
        "file that a child run reads",
        "context",
        "harder.py:child",
        BUDGETS,
        written("data", "Oslo", "120"),
    ),
    Pair(
        "variable that only a program reads",
        "context",
        "harder.py:inherited",
        a={"LEDGER_ACCOUNT": "main"},
        b={"LEDGER_ACCOUNT": "test"},
    ),
    Pair(
        "file that only a program reads",
        "context",
        "harder.py:read_by_program",
        both(plant.data, written("data", "note", "one")),
        written("data", "note", "two"),
    ),
    Pair(
        "one of two models swapped",
        "model",
        "harder.py:two_models",
        serving(),
        serving(version=NEXT),
        contract=ASKING,
    ),
    Pair(
        "model of a child run swapped",
        "model",
        "harder.py:model_of_child",
        serving(),
        serving(version=NEXT),
        contract=ASKING,
    ),
    Pair("drawn by the body", "sampling", "harder.py:drawn_by_body"),
    Pair("step that fails now and then", "sampling", "harder.py:failing", tries=20),
    Pair(
        "time zone, explained in a third one",
        "environment",
        "surroundings.py:zone",
        written("home", ".reportrc", "# nothing set\n"),
        written("home", ".reportrc", "# nothing set as yet\n"),
        a={"TZ": "UTC"},
        b={"TZ": "Pacific/Auckland"},
        today={"TZ": "Europe/Berlin"},
    ),
    Pair(
        "config file that was put back before anybody asked, and a package upgraded",
        "context",
        "context.py:home",
        both(written("home", ".ledgerrc", "currency=EUR\n"), plant.unused("1.0")),
        both(written("home", ".ledgerrc", "currency=USD\n"), plant.unused("2.0")),
        after=written("home", ".ledgerrc", "currency=EUR\n"),
    ),
    Pair(
        "hash order in a step that also asks the time, seeds random",
        "environment",
        "harder.py:dated_hashes",
        tries=3,
    ),
    Pair(
        "time of day where a file was touched too",
        "context",
        "harder.py:due",
        both(plant.due_later, written("home", ".title", "Daily\n")),
        both(plant.until_due, written("home", ".title", "Daily \n")),
    ),
    Pair("counter kept in a file", "context", "harder.py:counted", plant.data),
    Pair(
        "sampling at 50 % with a config file changed",
        "sampling",
        "harder.py:titled",
        both(serving(sampling=0.5), written("home", ".title", "Daily\n")),
        written("home", ".title", "Daily \n"),
        contract=ASKING,
        tries=20,
        seed=11,
    ),
    Pair(
        "file read by a native reader, and an unused package upgraded",
        "context",
        "context.py:native",
        both(plant.data, plant.database(3), plant.unused("1.0")),
        both(plant.database(4), plant.unused("2.0")),
    ),
    Pair(
        "host that answered differently, and an unused package upgraded",
        "context",
        "context.py:host",
        both(plant.answering({"quote": "1.08"}), plant.unused("1.0")),
        both(plant.answering({"quote": "1.09"}), plant.unused("2.0")),
    ),
    Pair(
        "time of day, and an unused package upgraded",
        "context",
        "context.py:clock",
        both(plant.due_later, plant.unused("1.0")),
        both(plant.until_due, plant.unused("2.0")),
    ),
    Pair(
        "drawn from the system, and an unused package upgraded",
        "sampling",
        "varying.py:drawn",
        plant.unused("1.0"),
        plant.unused("2.0"),
    ),
    Pair(
        "package upgraded that only the step imports",
        "environment",
        "late.py:main",
        package("1.0", plant.HALF_EVEN),
        package("1.1", plant.HALF_UP),
    ),
    Pair(
        "drawn from the system, and an imported package upgraded",
        "sampling",
        "harder.py:drawn_beside_package",
        package("1.0", plant.HALF_EVEN),
        package("1.1", plant.HALF_UP),
    ),
    Pair(
        "time of day, and an imported package upgraded",
        "context",
        "harder.py:due_beside_package",
        both(plant.due_later, package("1.0", plant.HALF_EVEN)),
        both(plant.until_due, package("1.1", plant.HALF_UP)),
    ),
]
