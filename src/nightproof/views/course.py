"""The course of a run: when what worked, waited, was tried again, and where it crashed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from nightproof.contract.secrets import redact
from nightproof.journal.listing import EffectFilter, SpanRow
from nightproof.journal.protocol import Reader
from nightproof.journal.records import AttemptRow, EffectRow, Entry, RunRow
from nightproof.model import clock
from nightproof.model.states import EffectState, Kind
from nightproof.views.runs import AttemptOutcome
from nightproof.views.runs import attempt as attempt_view
from nightproof.views.steps import CHILDREN, DONE, map_totals, standing
from nightproof.views.values import Time, iso, parsed

LaneKind = Literal["step", "map", "effect", "child"]
ATTEMPTS = 100
"""So many attempts are told apart; what earlier ones did counts as one."""
EVENTS = 2000
"""So many events are read from the beginning of a run, and from its end."""
MARKS = 500
"""So many waits and effects are shown, the newest."""
_RETRY = b'{"kind": "retry"'


@dataclass(frozen=True, slots=True)
class Band:
    """One attempt. `begin` and `end` count in seconds from the beginning of the run."""

    n: int
    outcome: AttemptOutcome
    process: str
    started: Time | None
    ended: Time | None
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Bar:
    """What a step did in one attempt, from its first start to its last end (seconds).

    `worked` is the sum of what its items took.
    """

    attempt: int
    begin: float
    end: float
    done: int
    failed: int
    worked: float


@dataclass(frozen=True, slots=True)
class Tick:
    """Something that happened at one moment: a retry, an effect; `state` of the effect."""

    at: float
    time: Time | None
    step: str
    what: str
    state: EffectState | Literal[""] = ""


@dataclass(slots=True)
class Lane:
    """One step (or map, effect, or all child runs) over all attempts.

    `done` and `failed` count what stands now, `total` is the size of its maps where known;
    `worked` and `longest` are in seconds.
    """

    step: str
    kind: LaneKind
    done: int = 0
    failed: int = 0
    total: int | None = None
    worked: float = 0.0
    longest: float = 0.0
    started: Time | None = None
    ended: Time | None = None
    bars: list[Bar] = field(default_factory=list)
    retries: list[Tick] = field(default_factory=list)

    @property
    def pending(self) -> int:
        """Items that are neither done nor failed."""
        return max(0, (self.total or 0) - self.done - self.failed)


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait that the job asked for; `open` while it lasts."""

    begin: float
    end: float
    time: Time | None
    what: str
    open: bool


@dataclass(frozen=True, slots=True)
class Course:
    """The course of a run of `length` seconds; lanes in the order in which they began.

    `partial` says that there were more events or waits than are shown.
    """

    started: Time | None
    length: float
    bands: list[Band]
    lanes: list[Lane]
    waits: list[Pause]
    effects: list[Tick]
    retries: int
    partial: bool


@dataclass(frozen=True, slots=True)
class Events:
    """The events of a run: all, or its first and last ones; `count` of them there are."""

    entries: list[Entry]
    count: int

    @property
    def partial(self) -> bool:
        """Whether some in the middle are left out."""
        return len(self.entries) < self.count


def present(spans: list[SpanRow]) -> dict[int, int]:
    """How many entries of each kind there are: what is not there need not be looked for."""
    found: dict[int, int] = {}
    for one in spans:
        found[one.kind] = found.get(one.kind, 0) + one.count
    return found


async def events_of(reader: Reader, run: int, count: int) -> Events:
    """The events of a run that has so many; of very many the first and the last."""
    if not count:
        return Events([], 0)
    first = await reader.entries(run, (Kind.EVENT,), limit=EVENTS)
    if len(first) < EVENTS:
        return Events(first, len(first))
    last = await reader.entries(run, (Kind.EVENT,), first[-1].seq, EVENTS, newest=True)
    return Events(first + last, max(count, len(first) + len(last)))


async def course(reader: Reader, row: RunRow) -> Course:
    """The course of a run; its cost does not depend on the number of items, but for one scan."""
    attempts = (await reader.attempts(row.id))[-ATTEMPTS:]
    spans = await reader.spans(row.id, [one.started for one in attempts])
    events = await events_of(reader, row.id, present(spans).get(Kind.EVENT, 0))
    acts = await reader.ledger(EffectFilter(run=row.id, limit=MARKS))
    return await drawn(reader, row, attempts, spans, events, acts)


async def drawn(
    reader: Reader,
    row: RunRow,
    attempts: list[AttemptRow],
    spans: list[SpanRow],
    events: Events,
    acts: list[EffectRow],
) -> Course:
    """The course of a run of which the caller has read these; up to MARKS of its effects."""
    there = present(spans)
    origin = min([row.created, *(a.started for a in attempts), *(s.first for s in spans)])
    work = [one for one in spans if one.kind in (*DONE, Kind.FAILURE)]
    lanes = await _lanes(reader, row, work, origin, attempts, Kind.REOPENED in there)
    totals = map_totals(events.entries, attempts)
    for name, total in totals.items():
        lane = lanes.setdefault(name, Lane(name, "map"))
        lane.kind, lane.total = "map", total
    count = 0
    for at, step, text in _retries(events.entries):
        count += 1
        if step in lanes:
            tick = Tick(_since(origin, at), iso(at), step, text)
            lanes[step].retries.append(tick)
    bands = _bands(row, attempts, spans, origin)
    effects = [
        Tick(_since(origin, one.at), iso(one.at), one.name, redact(one.key)[:300], one.state)
        for one in reversed(acts)
    ]
    waiting = Kind.WAIT in there
    waits, more = await _waits(reader, row, origin) if waiting else ([], False)
    now = row.finished if row.finished is not None else clock.now_ms()
    ends = [band.end for band in bands] + [bar.end for lane in lanes.values() for bar in lane.bars]
    return Course(
        started=iso(origin),
        length=max([_since(origin, now) if row.finished is None else 0.0, *ends]),
        bands=bands,
        lanes=sorted(lanes.values(), key=lambda lane: min((b.begin for b in lane.bars), default=0)),
        waits=waits,
        effects=effects,
        retries=count,
        partial=events.partial or more or len(acts) == MARKS,
    )


async def _lanes(
    reader: Reader,
    row: RunRow,
    work: list[SpanRow],
    origin: int,
    attempts: list[AttemptRow],
    reopened: bool,
) -> dict[str, Lane]:
    codes = await reader.codes({one.code for one in work if one.code})
    failures: dict[int, int] = {}
    for one in work:
        if one.kind == Kind.FAILURE:
            failures[one.code] = failures.get(one.code, 0) + one.count
    failures = await standing(reader, row.id, failures) if reopened else failures
    lanes: dict[str, Lane] = {}
    parts: dict[tuple[str, int], list[SpanRow]] = {}
    for one in work:
        name = codes[one.code].name if one.code in codes else CHILDREN
        kind: LaneKind = "step" if one.code in codes else "child"
        kind = "effect" if one.kind == Kind.EFFECT else kind
        lane = lanes.setdefault(name, Lane(name, kind))
        lane.done += one.count if one.kind != Kind.FAILURE else 0
        lane.worked += one.took / 1e6
        lane.longest = max(lane.longest, one.longest / 1e6)
        parts.setdefault((name, one.part), []).append(one)
    for code, count in failures.items():
        lanes[codes[code].name if code in codes else CHILDREN].failed += count
    for (name, part), rows in sorted(parts.items()):
        n = attempts[part - 1].n if 0 < part <= len(attempts) else 1
        failed = sum(one.count for one in rows if one.kind == Kind.FAILURE)
        begin, end = min(one.first for one in rows), max(one.last for one in rows)
        lane = lanes[name]
        lane.started = iso(begin) if not lane.bars else lane.started
        lane.ended = iso(end)
        lane.bars.append(
            Bar(
                n, _since(origin, begin), _since(origin, end),
                sum(one.count for one in rows) - failed, failed,
                sum(one.took for one in rows) / 1e6,
            )
        )  # fmt: skip
    return lanes


def _bands(
    row: RunRow, attempts: list[AttemptRow], spans: list[SpanRow], origin: int
) -> list[Band]:
    """The attempts; one that died ends at the last thing that it recorded."""
    found = []
    for index, one in enumerate(attempts):
        shown = attempt_view(one, row)
        end = one.ended
        if end is None and shown.outcome == "running":
            end = clock.now_ms()
        if end is None:
            last = [span.last for span in spans if span.part == index + 1]
            end = max([one.started, *last])
        begin = _since(origin, one.started)
        ended = iso(end) if shown.outcome != "running" else None
        found.append(
            Band(
                one.n, shown.outcome, shown.process, shown.started, ended,
                begin, max(begin, _since(origin, end)),
            )
        )  # fmt: skip
    return found


def _retries(events: list[Entry]) -> list[tuple[int, str, str]]:
    """When which step was tried again, and why."""
    found = []
    for entry in events:
        if (entry.output or b"").startswith(_RETRY):
            told = parsed(entry.output)
            if isinstance(told, dict):
                key = f"[{told['key']}] " if told.get("key") else ""
                text = f"{key}{told.get('message')}"
                found.append((entry.at, str(told.get("step")), redact(text)[:300]))
    return found


async def _waits(reader: Reader, row: RunRow, origin: int) -> tuple[list[Pause], bool]:
    """What the job waited for: until a time, or for a signal with a timeout."""
    kinds = (Kind.WAIT, Kind.SIGNAL)
    entries = await reader.entries(row.id, kinds, limit=MARKS, newest=True)
    now = row.finished if row.finished is not None else clock.now_ms()
    begun: dict[bytes, tuple[int, float, bool]] = {}
    ended: dict[bytes, int] = {}
    for entry in entries:
        told: Any = parsed(entry.output) if entry.kind == Kind.WAIT else None
        if entry.kind == Kind.SIGNAL or (isinstance(told, dict) and told.get("over")):
            ended[entry.fp] = entry.at
        elif isinstance(told, dict):
            until = float(told.get("until") or 0) * 1000
            begun[entry.fp] = entry.at, until, "absolute" in told
    found = []
    for fp, (at, until, sleeping) in begun.items():
        end = min(ended.get(fp, now), until, now)
        what = "until " + str(iso(int(until)))[:19].replace("T", " ") + " UTC"
        what = what if sleeping else f"for a signal, {what}"
        is_open = fp not in ended and until > now and row.finished is None
        begin = _since(origin, at)
        found.append(Pause(begin, max(begin, _since(origin, end)), iso(at), what, is_open))
    return found, len(entries) == MARKS


def _since(origin: int, at: float) -> float:
    """Seconds from the beginning of a run, never less than none."""
    return max(0.0, (at - origin) / 1000)
