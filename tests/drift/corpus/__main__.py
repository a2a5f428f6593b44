"""Plays the corpus and prints the score: ``python -m tests.drift.corpus [PART OF A NAME ...]``."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.drift.corpus.pairs import EVERY, HARDER, PAIRS, UNSEEN
from tests.drift.corpus.play import ALWAYS, NEVER, UNNAMED, Pair, Verdict, play


def chosen(words: list[str]) -> list[Pair]:
    """The pairs whose name or cause has one of the words; the corpus without words."""
    if words in (["harder"], ["unseen"]):
        return HARDER if words == ["harder"] else UNSEEN
    return [
        pair
        for pair in (EVERY if words else PAIRS)
        if not words or any(word in f"{pair.cause or 'clean'}: {pair.name}" for word in words)
    ]


def seeded(pairs: list[Pair], shift: int) -> list[Pair]:
    """The same pairs with other draws of the model server."""
    return [replace(pair, seed=pair.seed + shift) for pair in pairs]


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
    shift = sum(
        int(word.removeprefix("--seed=")) for word in sys.argv if word.startswith("--seed=")
    )
    explain = NEVER if "--diff" in sys.argv else ALWAYS if "--explain" in sys.argv else UNNAMED
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = play(seeded(chosen(words), shift), Path(folder), explain)
    for one in found:
        print(one.told())
        if "-v" in sys.argv:
            print(json.dumps(one.documents, indent=1))
    print(f"{score(found)}; {time.perf_counter() - began:.0f} s")
    return 0 if all(one.right for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
