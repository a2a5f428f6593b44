"""Plays the corpus and prints the score: ``python -m tests.drift.corpus [PART OF A NAME ...]``."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from tests.drift.corpus.pairs import PAIRS
from tests.drift.corpus.play import Pair, Verdict, play


def chosen(words: list[str]) -> list[Pair]:
    """The pairs whose name or cause has one of the words; all without words."""
    return [
        pair
        for pair in PAIRS
        if not words or any(word in f"{pair.cause or 'clean'}: {pair.name}" for word in words)
    ]


def score(found: list[Verdict]) -> str:
    """Right verdicts by cause."""
    causes = {one.pair.cause or "clean": 0 for one in found}
    for one in found:
        causes[one.pair.cause or "clean"] += one.right
    every = {cause: sum((one.pair.cause or "clean") == cause for one in found) for cause in causes}
    return ", ".join(f"{cause} {right}/{every[cause]}" for cause, right in causes.items())


def main() -> int:
    """0 where every verdict is right."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = play(chosen(words), Path(folder), explain="--diff" not in sys.argv)
    for one in found:
        print(one.told())
        if "-v" in sys.argv:
            print(json.dumps(one.documents, indent=1))
    print(f"{score(found)}; {time.perf_counter() - began:.0f} s")
    return 0 if all(one.right for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
