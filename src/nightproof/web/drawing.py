"""Small drawings inside of text: lines of numbers, and bars of parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

WIDTH, HEIGHT, EDGE = 120.0, 24.0, 3.0


def spark_lines(values: Sequence[float | None]) -> list[str]:
    """The lines of a sparkline as ``points`` of polylines; where a value is missing one ends.

    They lie in a box of 120 by 24. A single value is a point: a line of no length.
    """
    known = [value for value in values if value is not None]
    if not known:
        return []
    low, high = min(known), max(known)
    step = (WIDTH - 2 * EDGE) / max(1, len(values) - 1)
    lines: list[list[str]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            lines.append([])
            continue
        part = (value - low) / (high - low) if high > low else 0.5
        y = HEIGHT - EDGE - part * (HEIGHT - 2 * EDGE)
        lines[-1].append(f"{EDGE + index * step:.1f},{y:.1f}")
    return [" ".join(line if len(line) > 1 else line * 2) for line in lines if line]


def shares(counts: Sequence[float], total: float | None = None) -> list[tuple[float, float]]:
    """Where each part of a bar begins and how wide it is, in percent.

    What is there at all is at least half a percent wide, so that one in a million is seen.
    """
    whole = max(sum(counts) if total is None else total, sum(counts)) or 1.0
    widths = [max(0.5, 100 * count / whole) if count > 0 else 0.0 for count in counts]
    over = sum(widths) / 100
    if over > 1:
        widths = [width / over for width in widths]
    found = []
    start = 0.0
    for width in widths:
        found.append((round(start, 3), round(width, 3)))
        start += width
    return found


def epoch(seconds: float) -> str:
    """Seconds since the epoch as a time that templates take."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
