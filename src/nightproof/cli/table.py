"""Plain tables and colours, without a library: reading commands start at once."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime

from nightproof.cli.session import colours, terminal
from nightproof.views.legible import legible

COLOURS = {
    "completed": "32",
    "done": "32",
    "confirmed": "32",
    "ok": "32",
    "failed": "31",
    "died": "31",
    "problem": "31",
    "running": "36",
    "parked": "33",
    "interrupted": "33",
    "retried": "33",
    "intended": "33",
    "look": "33",
    "cancelled": "35",
}

_OURS = re.compile(r"(\x1b\[(?:0|3[0-9])m)")


def painted(word: str, shown: str | None = None) -> str:
    """A status in its colour, on a terminal."""
    code = COLOURS.get(word)
    text = shown if shown is not None else word
    return f"\x1b[{code}m{text}\x1b[0m" if code and colours(sys.stdout) else text


def out(text: str, *, end: str = "\n", flush: bool = False) -> None:
    """Print what was recorded: without secrets, and without codes for a terminal but colours."""
    print(_shown(text), end=end, flush=flush)


def _shown(text: str) -> str:
    parts = _OURS.split(text)
    return "".join(one if _OURS.fullmatch(one) else legible(one) for one in parts)


def rows(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns; on a terminal the last one is cut at the edge."""
    # Half a secret is not recognised: before the last one is cut.
    table = [list(head), *([_shown(cell) for cell in row] for row in body)]
    widths = [max(len(row[at]) for row in table) for at in range(len(head))]
    edge = shutil.get_terminal_size().columns if terminal(sys.stdout) else 100_000
    lines = []
    for row in table:
        cells = [
            painted(cell, cell.ljust(width)) for cell, width in zip(row[:-1], widths, strict=False)
        ]
        room = max(12, edge - sum(widths[:-1]) - 2 * len(cells))
        last = row[-1] if len(row[-1]) <= room else row[-1][: room - 1] + "…"
        lines.append("  ".join([*cells, last]).rstrip())
    return lines


def local(iso: str | None) -> str:
    """A time as the reader's own clock shows it."""
    if iso is None:
        return "-"
    moment = datetime.fromisoformat(iso)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
