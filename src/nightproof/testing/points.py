"""Which crash points a job has, and which of them a drill tries."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random

from nightproof.model import crash


@dataclass(frozen=True, slots=True)
class Point:
    """One moment of a run: the `n`-th time that `point` was reached with `detail`."""

    point: str
    detail: str
    n: int
    lazy: bool = False

    @property
    def fail_at(self) -> str:
        """The ``NIGHTPROOF_FAIL_AT`` that dies exactly here."""
        return crash.exactly(self.point, self.detail, self.n)

    @property
    def where(self) -> str:
        """How a table names the place."""
        return f"{self.detail} #{self.n}".strip() if self.n > 1 else self.detail

    def earlier(self) -> Point | None:
        """A point of the same kind that is reached sooner; None for the first."""
        return Point(self.point, self.detail, self.n // 2, self.lazy) if self.n > 1 else None

    def group(self) -> tuple[str, str]:
        """Points of one group differ only in which item, artifact or batch it is."""
        place = self.point.partition(":")[0]
        if place == "artifact":
            return self.point, ""
        return self.point, self.detail.partition("[")[0] if place == "item" else self.detail

    def fits(self, pattern: str) -> bool:
        """Whether a pattern such as ``effect:*``, ``load`` or ``load:before`` means it."""
        place, _, moment = self.point.partition(":")
        name = self.detail.partition("[")[0] if place == "item" else self.detail
        forms = (self.point, place, self.detail, name, f"{self.detail}:{moment}")
        named = (f"{name}:{moment}", f"{place} {self.detail}:{moment}", f"{place} {name}:{moment}")
        return any(fnmatchcase(form, pattern) for form in (*forms, *named) if form)


def read_trace(path: Path) -> list[Point]:
    """The points that a process reached, in order."""
    if not path.exists():
        return []
    lines = map(json.loads, path.read_text("utf-8").splitlines())
    return [
        Point(line["point"], line["detail"], line["n"], bool(line.get("lazy"))) for line in lines
    ]


def choose(
    trace: Sequence[Point],
    *,
    everything: bool = False,
    patterns: Iterable[str] = (),
    limit: int | None = None,
    seed: int | None = None,
) -> list[Point]:
    """The points to try, in the order of the trace.

    Of many items of one map, calls of one step, artifacts or batches: the first, the
    middle (one drawn with `seed`) and the last; all with `everything`. `patterns`
    keeps the points that fit one of them; `limit` thins out what is left, evenly or
    by `seed`.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for at, point in enumerate(trace):
        groups.setdefault(point.group(), []).append(at)
    draw = Random(seed) if seed is not None else None
    chosen: set[int] = set()
    for (name, _), members in groups.items():
        if everything:
            chosen.update(members)
            continue
        # How many batches there are depends on timing, so the last ones may not come again.
        some = members[: len(members) // 2 + 1] if name.startswith("batch:") else members
        middle = draw.randrange(len(some)) if draw else len(some) // 2
        chosen.update((some[0], some[middle], some[-1]))
    wanted = list(patterns)
    order = sorted(chosen)
    if wanted:
        order = [at for at in order if any(trace[at].fits(pattern) for pattern in wanted)]
    if limit is not None and len(order) > limit:
        if draw is not None:
            order = sorted(draw.sample(order, limit))
        else:
            order = [order[i * len(order) // limit] for i in range(limit)]
    return [trace[at] for at in order]


def repeated(
    undisturbed: Sequence[Point], attempts: Iterable[Sequence[Point]]
) -> list[tuple[str, str]]:
    """Steps, items and effects that were acknowledged more often than in `undisturbed`.

    Each call is acknowledged once, in whichever attempt: once more means that
    acknowledged work was done again.
    """
    once = _acknowledged(undisturbed)
    again: Counter[tuple[str, str]] = Counter()
    for trace in attempts:
        again += _acknowledged(trace)
    return [(name, detail) for (name, detail), n in again.items() if n > once[name, detail]]


def _acknowledged(trace: Sequence[Point]) -> Counter[tuple[str, str]]:
    ends = {"step:after", "item:after", "effect:confirm"}
    return Counter((p.point, p.detail) for p in trace if p.point in ends and not p.lazy)
