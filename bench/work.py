"""The work that every contender does, so that nobody measures something easier."""

from __future__ import annotations

import asyncio
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
    """Text of `size` characters, made of words."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(4096)]
    return " ".join(draw.choices(words, k=size // 8 + 1))[:size]


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
