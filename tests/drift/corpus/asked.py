"""Pairs with a cause at the provider of a model, and pairs that vary by themselves."""

from __future__ import annotations

from tests.drift.corpus import planting as plant
from tests.drift.corpus.planting import both, serving
from tests.drift.corpus.play import Pair

ASKING = {"model": plant.PIN}
SEEDED = {"model": {**plant.PIN, "seed": 7}}
HALTING = {"model": {**plant.PIN, "onMismatch": "halt"}}
NEXT = "flash-2.5-002"

MODEL = [
    Pair(
        "version swapped behind an alias",
        "model",
        "models.py:gemini",
        serving(),
        serving(version=NEXT),
        contract=ASKING,
    ),
    Pair(
        "version swapped behind an alias of OpenAI, and an unused package upgraded",
        "model",
        "models.py:chat",
        both(serving(), plant.unused("1.0")),
        both(serving(version=NEXT), plant.unused("2.0")),
        contract=ASKING,
    ),
    Pair(
        "pinned version answered by another one",
        "model",
        "models.py:pinned",
        serving(plant.PINNED),
        serving(plant.PINNED, version=NEXT),
        contract=ASKING,
    ),
    Pair(
        "fingerprint changed",
        "model",
        "models.py:chat",
        serving(fingerprint="fp_1", systemPrompt="kernel 1"),
        serving(fingerprint="fp_2", systemPrompt="kernel 2"),
        contract=ASKING,
    ),
    Pair(
        "fallback model",
        "model",
        "models.py:gemini",
        serving(),
        serving(fallback="flash-2.5-lite-001", fallbackRate=1),
        contract=ASKING,
    ),
    Pair(
        "system prompt changed by the provider",
        "model",
        "models.py:gemini",
        serving(systemPrompt="Be helpful."),
        serving(systemPrompt="Be brief."),
        contract=ASKING,
    ),
    Pair(
        "tool added by the provider, asked in a map",
        "model",
        "models.py:mapped",
        serving(),
        serving(tools=["search"]),
        contract=SEEDED,
    ),
    Pair(
        "alias echoed, another version behind it",
        "model",
        "models.py:chat",
        serving(reports="alias"),
        serving(reports="alias", version=NEXT),
        contract=SEEDED,
    ),
    Pair(
        "nothing reported, another version",
        "model",
        "models.py:gemini",
        serving(reports="nothing"),
        serving(reports="nothing", version=NEXT),
        contract=ASKING,
    ),
    Pair(
        "swapped version that halts the run",
        "model",
        "models.py:gemini",
        serving(),
        serving(version=NEXT),
        contract=HALTING,
    ),
]


def sampled(name: str, job: str, rate: float, seed: int, **more: object) -> Pair:
    """A pair of runs whose model samples at a rate, run until one differs."""
    route = {"sampling": rate}
    extra = {"contract": ASKING, **more}
    return Pair(name, "sampling", job, serving(**route), tries=60, seed=seed, **extra)  # type: ignore[arg-type]


SAMPLING = [
    Pair("drawn from the system", "sampling", "varying.py:drawn"),
    Pair("order in which threads end", "sampling", "varying.py:race", tries=5),
    sampled("model samples always", "models.py:gemini", 1, 1),
    sampled("model samples at 50 %", "models.py:chat", 0.5, 2),
    sampled("model samples at 25 %", "models.py:gemini", 0.25, 3),
    sampled("model samples at 10 %", "models.py:gemini", 0.1, 4),
    Pair(
        "seed ignored by the provider",
        "sampling",
        "models.py:chat",
        serving(sampling=0.7, seed="ignored"),
        contract=SEEDED,
        tries=20,
        seed=5,
    ),
    sampled("model samples at 30 % in a map", "models.py:mapped", 0.3, 6),
    Pair(
        "model samples at 40 %, and an unused package upgraded",
        "sampling",
        "models.py:gemini",
        both(serving(sampling=0.4), plant.unused("1.0")),
        plant.unused("2.0"),
        contract=ASKING,
        tries=20,
        seed=7,
    ),
    Pair(
        "model samples at 60 % behind an echoed alias",
        "sampling",
        "models.py:chat",
        serving(sampling=0.6, reports="alias"),
        contract=ASKING,
        tries=20,
        seed=8,
    ),
]
