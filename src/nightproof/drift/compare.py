"""Compare two runs of one job, and find the first step in which they part."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nightproof.blobs.protocol import Blobs
from nightproof.drift.normalise import Normaliser, digest, normalised
from nightproof.drift.record import MISSING, Point, Record, child, inputs, output, record
from nightproof.drift.showing import SideBySide, side_by_side
from nightproof.errors import UsageError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.model.states import RunStatus

_ENDED = (RunStatus.COMPLETED, RunStatus.FAILED)


@dataclass(frozen=True, slots=True)
class Side:
    """The digests of one side, as stored and after normalising."""

    raw: str
    normalised: str


@dataclass(frozen=True, slots=True)
class Divergence:
    """A point in which two runs differ.

    `what` is "output", "inputs" (the step was given something else), "only in A" or
    "only in B"; the digests are those of what differs. `hidden` says that it is no
    difference after normalising.
    """

    what: str
    kind: str
    step: str
    key: str
    a: Side | None
    b: Side | None
    hidden: bool
    values: SideBySide
    points: tuple[Point | None, Point | None]

    @property
    def same_inputs(self) -> bool:
        """Whether it is one step with the same inputs on both sides."""
        return self.what == "output" and self.kind in ("step", "effect", "child run")


@dataclass
class Comparison:
    """Two runs, point by point.

    `first` is the first difference that normalising leaves, `first_raw` the first of
    all; `raw` and `real` count them, out of `compared`.
    """

    a: Record
    b: Record
    rules: tuple[str, ...]
    compared: int = 0
    raw: int = 0
    real: int = 0
    other_code: bool = False
    """Whether some step, or the job, was other code in the other run."""
    first: Divergence | None = None
    first_raw: Divergence | None = None
    world: list[tuple[Point | None, Point | None]] = field(default_factory=list)
    inner: Comparison | None = None
    """Where they part in a child run: the comparison of the two child runs."""

    @property
    def innermost(self) -> Comparison:
        """The comparison in which the first difference lies, however deep."""
        return self if self.inner is None else self.inner.innermost

    @property
    def chains(self) -> tuple[list[Record], list[Record]]:
        """The records of either side, from the outermost run to the innermost."""
        rest: tuple[list[Record], list[Record]]
        rest = ([], []) if self.inner is None else self.inner.chains
        return [self.a, *rest[0]], [self.b, *rest[1]]

    @property
    def drift(self) -> bool:
        """Whether the runs differ in what the job does not declare to be no difference."""
        return self.real > 0


class _Pair(NamedTuple):
    at: float
    a: Point | None
    b: Point | None


async def compare(
    reader: Reader,
    blobs: Blobs,
    a: RunRow,
    b: RunRow,
    rules: Sequence[Normaliser] = (),
    known: Record | None = None,
) -> Comparison:
    """Compare run `b` with run `a`; `known` is the record of `a` where it was read before.

    Raises UsageError for runs of different jobs and for one that has not ended, and
    MisuseError where a normaliser of the job fails.
    """
    if a.job != b.job:
        raise UsageError(
            f"{a.name} is a run of job '{a.job}' and {b.name} one of '{b.job}'",
            "Two runs of one job can be compared: `nightproof runs --job NAME`.",
        )
    for row in (a, b):
        if row.status not in _ENDED:
            raise UsageError(
                f"run {row.name} is {row.status}: it has not come to its end",
                f"Compare it when it has ended: nightproof resume {row.name}",
            )
    one = await record(reader, a) if known is None else known
    other = await record(reader, b)
    found = Comparison(one, other, tuple(rule.name for rule in rules))
    found.world = _world(one, other)
    look = _Look(reader, blobs, one, other, rules)
    for pair in _paired(one.points, other.points):
        found.compared += 1
        codes = {point.code for point in (pair.a, pair.b) if point is not None and point.code}
        found.other_code |= len(codes) > 1
        if not _differs(pair):
            continue
        hidden = not await look.differs_normalised(pair)
        found.raw += 1
        found.real += not hidden
        if found.first_raw is None:
            found.first_raw = await look.divergence(pair, hidden)
        if found.first is None and not hidden:
            same = found.real == found.raw
            found.first = found.first_raw if same else await look.divergence(pair, hidden)
    found.inner = await _inside(reader, blobs, found, rules)
    found.other_code |= found.inner is not None and found.inner.other_code
    return found


async def _inside(
    reader: Reader, blobs: Blobs, found: Comparison, rules: Sequence[Normaliser]
) -> Comparison | None:
    """The comparison of the child runs in which two runs part, where they differ at all."""
    first = found.first or found.first_raw
    if first is None or first.kind != "child run" or not first.same_inputs:
        return None
    one, other = first.points
    assert one is not None
    assert other is not None
    rows = [await child(reader, found.a.run, one), await child(reader, found.b.run, other)]
    a, b = rows
    if a is None or b is None or a.id == b.id:
        return None
    if a.status not in _ENDED or b.status not in _ENDED:
        return None
    inner = await compare(reader, blobs, a, b, rules)
    # What the parent's normalising leaves has to be left in the child's difference too.
    return inner if (inner.first is None) == (found.first is None) and inner.raw else None


def _world(a: Record, b: Record) -> list[tuple[Point | None, Point | None]]:
    """What the two runs took from outside, where it differs."""
    ours = {point.fp: point for point in a.world}
    theirs = {point.fp: point for point in b.world}
    pairs = [(ours.get(fp), theirs.get(fp)) for fp in {**ours, **theirs}]
    return [(x, y) for x, y in pairs if x is None or y is None or x.raw != y.raw]


def _differs(pair: _Pair) -> bool:
    a, b = pair.a, pair.b
    if a is None or b is None or a.fp != b.fp or a.failed != b.failed:
        return True
    if a.what == "effect" and not a.failed and (a.empty or b.empty):
        return False  # a replicate that sent nothing would have sent the same
    return a.raw != b.raw


def _paired(a: list[Point], b: list[Point]) -> list[_Pair]:
    """Points that belong together, in the order of `a`.

    The same step with the same inputs first; then, of one step, the same key; then
    the order. What only `b` has comes behind what it followed there.
    """
    by_fp = {point.fp: point for point in b}
    partner = {p.fp: by_fp[p.fp] for p in a if p.fp in by_fp and by_fp[p.fp].what == p.what}
    taken = {point.fp for point in partner.values()}
    rest: dict[Any, deque[Point]] = defaultdict(deque)
    for point in b:
        if point.fp not in taken:
            rest[point.what, point.name, point.key].append(point)
    for point in a:
        waiting = rest.get((point.what, point.name, point.key))
        if point.fp not in partner and waiting:
            partner[point.fp] = waiting.popleft()
    loose: dict[Any, deque[Point]] = defaultdict(deque)
    for left in sorted((p for points in rest.values() for p in points), key=lambda p: p.seq):
        loose[left.what, left.name].append(left)
    for point in a:
        waiting = loose.get((point.what, point.name))
        if point.fp not in partner and waiting and point.key == "" == waiting[0].key:
            partner[point.fp] = waiting.popleft()
    pairs = [_Pair(at, point, partner.get(point.fp)) for at, point in enumerate(a)]
    place = {pair.b.fp: pair.at for pair in pairs if pair.b is not None}
    last = -1.0
    for point in b:
        if point.fp in place:
            last = max(last, place[point.fp])
        else:
            # In front of the result, whatever it followed.
            pairs.append(_Pair(min(last, len(a) - 2) + 0.5, None, point))
    return sorted(pairs, key=lambda pair: pair.at)


class _Look:
    """Reads the values of points that differ."""

    def __init__(
        self,
        reader: Reader,
        blobs: Blobs,
        a: Record,
        b: Record,
        rules: Sequence[Normaliser],
    ) -> None:
        self._reader = reader
        self._blobs = blobs
        self._runs = a.run, b.run
        self._rules = rules

    async def differs_normalised(self, pair: _Pair) -> bool:
        """Whether a raw difference is one after normalising too."""
        a, b = pair.a, pair.b
        if not self._rules or a is None or b is None or a.failed != b.failed:
            return True
        if a.fp != b.fp and await self._differ(pair, "inputs"):
            return True
        return a.raw != b.raw and await self._differ(pair, "output")

    async def _differ(self, pair: _Pair, what: str) -> bool:
        one, other, _ = await self._sides(pair, what)
        return one is None or other is None or one.normalised != other.normalised

    async def divergence(self, pair: _Pair, hidden: bool) -> Divergence:
        """The difference, with digests and values."""
        a, b = pair.a, pair.b
        known = a or b
        assert known is not None
        what = "output"
        if a is None or b is None:
            what = "only in A" if b is None else "only in B"
        elif a.fp != b.fp:
            what = "inputs"
        # Of inputs that differ only before normalising, the outputs may be what differs.
        if what == "inputs" and not hidden and not await self._differ(pair, "inputs"):
            what = "output"
        one, other, values = await self._sides(pair, "inputs" if what == "inputs" else "output")
        return Divergence(
            what, known.what, known.name, known.key, one, other, hidden, values, (a, b)
        )

    async def _sides(self, pair: _Pair, what: str) -> tuple[Side | None, Side | None, SideBySide]:
        values: list[Any] = []
        sides: list[Side | None] = []
        for run, point in zip(self._runs, (pair.a, pair.b), strict=True):
            if point is None:
                values.append(MISSING)
                sides.append(None)
                continue
            if what == "inputs":
                value = await inputs(self._reader, run, point)
                raw = digest(None if value is MISSING else value)
            else:
                value = await output(self._reader, self._blobs, run, point)
                raw = point.raw
            told = raw
            if self._rules and value is not MISSING:
                told = digest(normalised(value, self._rules))
            values.append(value)
            sides.append(Side(raw, told))
        if MISSING in values:
            gone = None not in sides
            remark = (
                "the values cannot be shown: binary, very large, or no longer there" if gone else ""
            )
            return sides[0], sides[1], SideBySide(remark=remark)
        return sides[0], sides[1], side_by_side(values[0], values[1])
