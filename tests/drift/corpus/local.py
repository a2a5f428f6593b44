"""Pairs with a cause on the machine: its environment, and what no contract names."""

from __future__ import annotations

from tests.drift.corpus import planting as plant
from tests.drift.corpus.planting import both, package, written
from tests.drift.corpus.play import Pair

ENVIRONMENT = [
    Pair(
        "package upgraded",
        "environment",
        "packages.py:main",
        package("1.0", plant.HALF_EVEN),
        package("1.1", plant.HALF_UP),
    ),
    Pair(
        "same version, another wheel",
        "environment",
        "packages.py:main",
        package("1.0", plant.HALF_EVEN),
        package("1.0", plant.HALF_UP, tag="2"),
    ),
    Pair(
        "installed file edited",
        "environment",
        "packages.py:main",
        package("1.0", plant.HALF_EVEN),
        plant.edited("HALF_EVEN", "HALF_UP"),
    ),
    Pair(
        "time zone, and a file in HOME that changes nothing",
        "environment",
        "surroundings.py:zone",
        written("home", ".reportrc", "# nothing set\n"),
        written("home", ".reportrc", "# nothing set as yet\n"),
        a={"TZ": "UTC"},
        b={"TZ": "Pacific/Auckland"},
    ),
    Pair(
        "locale: characters counted by a program",
        "environment",
        "surroundings.py:charset",
        a={"LC_ALL": "C.UTF-8"},
        b={"LC_ALL": "C"},
    ),
    Pair(
        "locale: language of the messages",
        "environment",
        "surroundings.py:language",
        plant.catalog,
        a={"LANGUAGE": "de"},
        b={"LANGUAGE": "en"},
    ),
    Pair(
        "hash seed set to another one",
        "environment",
        "surroundings.py:hashes",
        a={"PYTHONHASHSEED": "1"},
        b={"PYTHONHASHSEED": "2"},
    ),
    Pair(
        "hash order, seeds random",
        "environment",
        "surroundings.py:hashes",
    ),
    Pair(
        "BLAS threads",
        "environment",
        "numeric.py:threads",
        a={"OPENBLAS_NUM_THREADS": "1"},
        b={"OPENBLAS_NUM_THREADS": "2"},
    ),
    Pair(
        "SIMD level",
        "environment",
        "numeric.py:simd",
        b={"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512_SKX AVX2 FMA3 X86_V3 X86_V4"},
    ),
]

CONTEXT = [
    Pair(
        "config file in HOME, and an unused package upgraded",
        "context",
        "context.py:home",
        both(written("home", ".ledgerrc", "currency=EUR\n"), plant.unused("1.0")),
        both(written("home", ".ledgerrc", "currency=USD\n"), plant.unused("2.0")),
    ),
    Pair(
        "variable",
        "context",
        "context.py:variable",
        a={"LEDGER_ACCOUNT": "main"},
        b={"LEDGER_ACCOUNT": "test"},
    ),
    Pair(
        "variable read at import, another zone that nothing asks for",
        "context",
        "context.py:imported",
        a={"LEDGER_REGION": "eu", "TZ": "UTC"},
        b={"LEDGER_REGION": "us", "TZ": "Asia/Tokyo"},
    ),
    Pair("cache left by the run before", "context", "context.py:cached", plant.data),
    Pair(
        "file read by a native reader",
        "context",
        "context.py:native",
        both(plant.data, plant.database(3)),
        plant.database(4),
    ),
    Pair(
        "time of day",
        "context",
        "context.py:clock",
        plant.due_later,
        plant.until_due,
    ),
    Pair(
        "host that answered differently",
        "context",
        "context.py:host",
        plant.answering({"quote": "1.08"}),
        plant.answering({"quote": "1.09"}),
    ),
    Pair(
        "new file in a folder",
        "context",
        "context.py:listing",
        both(plant.data, written("data", "2026-11-01.csv", "1\n")),
        written("data", "2026-11-02.csv", "2\n"),
    ),
    Pair(
        "program on the PATH replaced",
        "context",
        "context.py:program",
        plant.program("$1 EUR"),
        plant.program("$1 USD"),
    ),
    Pair(
        "settings file in the working folder gone",
        "context",
        "context.py:working_folder",
        written("work", "layout.ini", "wide\n"),
        plant.without("work", "layout.ini"),
    ),
]
