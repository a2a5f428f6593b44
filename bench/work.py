"""The work that every contender does, so that nobody measures something easier."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from typing import Any

ITEM_SECONDS = 0.001


async def wait_item() -> None:
    """One item of a map: a millisecond of waiting, as for a fast remote call."""
    await asyncio.sleep(ITEM_SECONDS)


def rate(count: int, started: float) -> dict[str, float]:
    """Count per second since `started` (perf_counter)."""
    return {"value": count / (time.perf_counter() - started)}


def rows_of(size: int, seed: int) -> list[dict[str, Any]]:
    """A list of records whose JSON is about `size` bytes; other seeds give other bytes."""
    draw = random.Random(seed)
    one = _record(draw, 0)
    count = max(1, size // (len(json.dumps(one)) + 1))
    return [_record(draw, i) for i in range(count)]


def text_of(size: int, seed: int) -> str:
    """Text of `size` characters: words as frequent as in prose (the n-th one 1/n)."""
    draw = random.Random(seed)
    letters = "etaoinshrdlcumwfgypbvk"
    words = ["".join(draw.choices(letters, k=draw.randint(2, 10))) for _ in range(5000)]
    often = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))
    return " ".join(draw.choices(words, cum_weights=often, k=size // 4))[:size]


def value_of(shape: str, size: int, seed: int) -> Any:
    return rows_of(size, seed) if shape == "rows" else text_of(size, seed)


def _record(draw: random.Random, i: int) -> dict[str, Any]:
    return {
        "id": i,
        "country": draw.choice(("DE", "FR", "US", "JP", "BR", "IN")),
        "campaign": f"campaign-{draw.randrange(10_000)}",
        "impressions": draw.randrange(1_000_000),
        "clicks": draw.randrange(10_000),
        "revenue": round(draw.random() * 1000, 4),
        "note": None if i % 3 else "checked",
        "final": draw.random() < 0.5,
    }
