"""The timeline of a run as a drawing: an axis that leaves out idle hours, and what lies on it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from nightproof.views.course import Band, Course, Lane, Tick
from nightproof.views.values import duration

LANES = 40
"""So many steps are drawn; the table beside the drawing has all."""
SHARE = 0.4
"""All gaps together take about so much of the axis, at most, beside what was worked."""
WIDEST = 0.08
THINNEST = 0.012
"""The least part of the axis that an attempt takes, however short it was."""
HEAD, LANE, BAR = 44, 36, 12
"""Heights in pixels: of the line of attempts, of a step's line, of its bar."""
ROOM = 19.0
"""What a short text takes of the axis on a phone, in percent; "tight" is what has less."""
_LONGEST = 38
"""So many letters have room beside each other there."""
MARKS = 150
"""So many marks are told apart in one line."""
_NICE = (
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    14400,
    21600,
    43200,
    86400,
)
_LOOKS = {
    "died": "interrupted", "held": "parked", "refused": "failed", "store failed": "failed",
    "lost by Temporal": "interrupted",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the axis, in seconds and in percent; a gap where nobody worked on the run."""

    begin: float
    end: float
    left: float
    right: float
    gap: bool
    cut: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """One thing to draw: `kind` is rect, text, line or mark; `x` and `wide` are in percent.

    `look` are classes, `title` what is said where somebody points at it.
    """

    kind: str
    x: float
    y: float
    wide: float = 0.0
    high: float = 0.0
    look: str = ""
    text: str = ""
    title: str = ""
    anchor: str = "start"


@dataclass(slots=True)
class Strip:
    """A drawing of `high` pixels; `words` says in short what it shows."""

    high: int
    words: str
    shapes: list[Shape] = field(default_factory=list)
    left_out: int = 0
    shortened: bool = False


class Axis:
    """Where a moment lies: what was worked is to scale, long gaps are cut."""

    def __init__(self, course: Course) -> None:
        spans = [(band.begin, band.end) for band in course.bands]
        spans += [(bar.begin, bar.end) for lane in course.lanes for bar in lane.bars]
        work: list[list[float]] = []
        for begin, end in sorted(spans):
            if work and begin <= work[-1][1]:
                work[-1][1] = max(work[-1][1], end)
            else:
                work.append([begin, end])
        work = work or [[0.0, 0.0]]
        whole = sum(end - begin for begin, end in work)
        least = whole * THINNEST if whole else 1 / len(work)
        whole = whole or 1.0
        edges = [0.0, *(moment for pair in work for moment in pair)]
        edges.append(max(course.length, edges[-1]))
        gaps = [edges[at + 1] - edges[at] for at in range(0, len(edges), 2)]
        many = max(1, sum(gap > 0 for gap in gaps))
        most = whole * min(WIDEST, SHARE / many)
        weights: list[tuple[float, float, float, bool, bool]] = []
        for at in range(len(edges) - 1):
            begin, end, gap = edges[at], edges[at + 1], at % 2 == 0
            weight = min(end - begin, most) if gap else max(end - begin, least)
            weights.append((begin, end, weight, gap, gap and end - begin > most))
        scale = 100 / (sum(weight for _, _, weight, _, _ in weights) or 1.0)
        self.pieces: list[Piece] = []
        left = 0.0
        for begin, end, weight, gap, cut in weights:
            if weight > 0:
                self.pieces.append(Piece(begin, end, left, left + weight * scale, gap, cut))
            left += weight * scale
        self._begins = [piece.begin for piece in self.pieces]

    def x(self, moment: float) -> float:
        """Where a moment lies, in percent."""
        piece = self.pieces[max(0, bisect_right(self._begins, moment) - 1)]
        long = piece.end - piece.begin
        part = min(1.0, max(0.0, (moment - piece.begin) / long)) if long > 0 else 0.0
        return round(piece.left + part * (piece.right - piece.left), 3)

    def width(self, begin: float, end: float) -> float:
        """How wide what lasted from `begin` to `end` is; always wide enough to be seen."""
        return round(max(0.4, self.x(end) - self.x(begin)), 3)


def strip(course: Course, waiting: str = "") -> Strip:
    """The drawing of a course; `waiting` is what a parked run waits for."""
    axis = Axis(course)
    acts: dict[str, list[Tick]] = {}
    for act in course.effects:
        acts.setdefault(act.step, []).append(act)
    # What a replicate did not perform, or another run had, is in no ledger of this run.
    lanes = [lane for lane in course.lanes if lane.kind != "effect" or lane.step not in acts]
    shown = lanes[:LANES]
    rows = len(shown) + len(acts) + bool(course.waits)
    made = Strip(HEAD + LANE * rows + 22, _words(course, len(lanes)))
    made.left_out = len(lanes) - len(shown)
    made.shortened = any(piece.cut for piece in axis.pieces)
    _grid(made, axis)
    for piece in axis.pieces:
        if piece.gap:
            _gap(made, piece, course, waiting)
    for band in course.bands:
        _band(made, axis, band, course)
    y = HEAD
    for lane in shown:
        _lane(made, axis, lane, y, course)
        y += LANE
    for name, ticks in acts.items():
        _label(made, y, name, f"{len(ticks)} effect{'s' if len(ticks) > 1 else ''}")
        for tick in _apart(axis, ticks):
            look = "act " + ("doubt" if tick.state in ("intended", "failed") else tick.state)
            title = f"effect {tick.step} [{tick.what}]: {tick.state}"
            sign = "◇" if tick.state in ("clear", "skipped") else "◆"
            made.shapes.append(
                Shape("text", axis.x(tick.at), y + 29, look=look, text=sign, title=title,
                      anchor="middle")
            )  # fmt: skip
        y += LANE
    if course.waits:
        _label(made, y, "waits", "")
        for pause in course.waits:
            title = f"waited {pause.what}" if not pause.open else f"waits {pause.what}"
            wide = axis.width(pause.begin, pause.end)
            x = axis.x(pause.begin)
            made.shapes.append(Shape("rect", x, y + 18, wide, BAR, "fill-hatch", title=title))
    return made


def _words(course: Course, steps: int) -> str:
    many = len(course.bands)
    died = sum(band.outcome == "died" for band in course.bands)
    told = f"{many} attempt{'s' if many != 1 else ''}"
    told += f", {died} of them died" if died else ""
    told += f"; {steps} step{'s' if steps != 1 else ''}, {course.retries} retries"
    return f"Timeline: {told}. The tables below say the same."


def _grid(made: Strip, axis: Axis) -> None:
    """Lines and times, counted from the beginning of the run."""
    work = [piece for piece in axis.pieces if not piece.gap] or axis.pieces
    marks = [work[0].begin, *(piece.begin for piece in work[1:])]
    widest = max(work, key=lambda piece: piece.right - piece.left)
    long = widest.end - widest.begin
    step = next((nice for nice in _NICE if long / nice <= 5), long / 4)
    count = int(long // step) if step > 0 else 0
    marks += [widest.begin + step * n for n in range(1, count + 1)]
    bottom, last, apart = made.high - 22, -20.0, -20.0
    for moment in sorted(marks):
        x = axis.x(moment)
        if x - last < 9 or x > 95:
            continue
        last, look = x, "label"
        if x - apart < ROOM or x > 90:
            look = "label tight"
        else:
            apart = x
        made.shapes.append(Shape("line", x, HEAD - 8, high=bottom, look="axis"))
        text = "start" if moment <= work[0].begin else f"+{_round(moment)}"
        anchor = "start" if x < 3 else "middle"
        made.shapes.append(Shape("text", x, made.high - 6, look=look, text=text, anchor=anchor))


def _round(seconds: float) -> str:
    """A duration without the parts of it that are nothing."""
    text = duration(seconds)
    return text.replace(".0 s", " s").replace(" min 0 s", " min").replace(" h 0 min", " h")


def _gap(made: Strip, piece: Piece, course: Course, waiting: str) -> None:
    """Time in which no attempt was under way, and why."""
    before = [band for band in course.bands if band.end <= piece.begin + 0.001]
    last = before[-1] if before else None
    is_open = last is not None and last is course.bands[-1]
    if last is None:
        why = "before the first attempt"
    elif last.outcome in ("parked", "held"):
        why = "parked" + (f", waits for {waiting}" if is_open and waiting else "")
    else:
        why = "nobody worked on it"
    title = f"{why}: {duration(piece.end - piece.begin)}"
    wide = round(piece.right - piece.left, 3)
    high = made.high - 22 - 14
    look = "gap parked" if last and last.outcome in ("parked", "held") else "gap"
    left = round(piece.left, 3)
    made.shapes.append(Shape("rect", left, 14, wide, high, look, title=title))
    if wide >= 2.5:
        text = duration(piece.end - piece.begin).split(" ")
        shown = " ".join(text[:2]) if wide >= 5 else "⋯"
        middle = round(left + wide / 2, 3)
        look = "label" if wide >= ROOM else "label tight"
        made.shapes.append(
            Shape("text", middle, 10, look=look, text=shown, title=title, anchor="middle")
        )


def _band(made: Strip, axis: Axis, band: Band, course: Course) -> None:
    x, wide = axis.x(band.begin), axis.width(band.begin, band.end)
    look = _LOOKS.get(band.outcome, band.outcome)
    verb = "began" if band.n == 1 else "resumed"
    title = f"attempt {band.n} {verb} on {band.process}: {band.outcome} after "
    title += duration(band.end - band.begin)
    made.shapes.append(Shape("rect", x, 18, wide, BAR, f"band fill-{look}", title=title))
    room = wide if band.outcome != "died" else wide * 0.8
    if room >= 7 or band.n == 1 or band is course.bands[-1]:
        text = f"attempt {band.n}" if band.n == 1 else f"{band.n} resumed"
        text = text if room >= 16 else str(band.n)
        made.shapes.append(Shape("text", x, 12, look="label strong", text=text, title=title))
    if band.outcome == "died":
        title = f"attempt {band.n} died here"
        near = round(x + wide, 3)
        if wide >= 26:
            made.shapes.append(
                Shape("text", near, 12, look="died", text="died", title=title, anchor="end")
            )
        anchor = "start" if near < 98.6 else "end"
        made.shapes.append(
            Shape("text", near, 28.5, look="died", text="✕", title=title, anchor=anchor)
        )


def _label(made: Strip, y: float, name: str, told: str) -> None:
    shown = name if len(name) <= 44 else name[:43] + "…"
    made.shapes.append(Shape("text", 0, y + 12, look="label strong", text=shown, title=name[:300]))
    look = "label" if len(shown) + len(told) <= _LONGEST else "label tight"
    made.shapes.append(Shape("text", 100, y + 12, look=look, text=told, anchor="end"))


def _lane(made: Strip, axis: Axis, lane: Lane, y: float, course: Course) -> None:
    _label(made, y, "child runs" if lane.kind == "child" else lane.step, progress(lane))
    if lane.total is not None and lane.pending and not lane.bars:
        made.shapes.append(Shape("rect", 0, y + 18, 100, BAR, "track", title="nothing done yet"))
    for bar in lane.bars:
        x, wide = axis.x(bar.begin), axis.width(bar.begin, bar.end)
        title = f"{lane.step}, attempt {bar.attempt}: {bar.done:,} done"
        title += f", {bar.failed:,} failed" if bar.failed else ""
        title += f" in {duration(bar.end - bar.begin)}"
        last = course.bands[-1] if course.bands else None
        active = last is not None and last.outcome == "running" and bar.attempt == last.n
        look = "fill-running" if active and lane.pending else "fill-completed"
        look = "fill-failed" if not bar.done else look
        made.shapes.append(Shape("rect", x, y + 18, wide, BAR, f"work {look}", title=title))
        if bar.failed and bar.done:
            share = max(0.15, bar.failed / (bar.failed + bar.done))
            high = round(BAR * share, 1)
            made.shapes.append(
                Shape("rect", x, y + 18 + BAR - high, wide, high, "fill-failed", title=title)
            )
    for tick in _apart(axis, lane.retries):
        title = f"tried again: {tick.what}"
        made.shapes.append(Shape("mark", axis.x(tick.at), y + 31, 2, 5, "retry", title=title))


def progress(lane: Lane) -> str:
    """How far a step has come, in words."""
    failed = f"{lane.failed:,} failed" if lane.failed else ""
    if lane.total is not None and lane.total != lane.done:
        return f"{lane.done:,} of {lane.total:,}" + (f", {failed}" if failed else "")
    if not lane.done and failed:
        return failed
    return f"{lane.done:,}" + (f", {failed}" if failed else "")


def _apart(axis: Axis, ticks: Sequence[Tick]) -> list[Tick]:
    """One of those that would lie on one another, and how many it stands for."""
    found: dict[int, list[Tick]] = {}
    for tick in ticks:
        found.setdefault(round(axis.x(tick.at) * MARKS / 100), []).append(tick)
    return [
        many[-1]
        if len(many) == 1
        else Tick(many[-1].at, many[-1].time, many[-1].step,
                  f"{many[-1].what} (and {len(many) - 1} more about then)", many[-1].state)
        for many in found.values()
    ]  # fmt: skip
