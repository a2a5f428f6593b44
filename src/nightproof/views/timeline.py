"""What happened to a run, in order: attempts, crashes, retries, waits, events, outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from nightproof.journal.listing import EffectFilter
from nightproof.journal.protocol import Reader
from nightproof.journal.records import AttemptRow, EffectRow, Entry, RunRow
from nightproof.model.awaited import MISFIT
from nightproof.model.states import Kind
from nightproof.views.steps import ItemView, item_view, items, later, learn, name_of
from nightproof.views.trying import alive
from nightproof.views.values import Json, Time, iso, parsed

_TOLD = (Kind.EVENT, Kind.WAIT, Kind.SIGNAL, Kind.ARTIFACT, Kind.UNDONE, Kind.REOPENED)
LOGS: dict[str, tuple[tuple[Kind, ...], tuple[str, ...]]] = {
    "": ((*_TOLD, Kind.FAILURE), ()),
    "failures": ((Kind.FAILURE, Kind.REOPENED), ()),
    "retries": ((Kind.EVENT,), ("retry", "quota")),
    "decisions": ((Kind.EVENT,), ("decision", "measure")),
    "changes": (
        (Kind.EVENT,),
        ("code-changed", "environment-changed", "divergence", "result-lost", "damaged"),
    ),
    "waits": ((Kind.WAIT, Kind.SIGNAL, Kind.EVENT), ("wait", "signal", MISFIT)),
    "effects": ((Kind.EVENT,), ("effect-withheld", "effect-unknown")),
    "artifacts": ((Kind.ARTIFACT,), ()),
    "attempts": ((), ()),
}
"""What a log can be narrowed to: the entries that are read for it, and the lines that are kept."""
SCANNED = 4000
"""So many entries are looked through for a page of a log."""
_CHUNK = 500
_ACTS = 200
LineKind = Literal[
    # What an attempt did, and how it ended.
    "started", "resumed", "died", "ended", "completed", "failed", "cancelled", "parked", "held",
    "interrupted", "refused", "store failed", "manifest failed", "lost by Temporal",
    # What is on record of steps, effects and waits.
    "step", "effect", "child", "failure", "wait", "signal", "artifact", "undone", "reopened",
    # What was noted on the way.
    "retry", "quota", "map", "measure", "decision", "divergence", "code-changed", "damaged",
    "result-lost", "snapshot", "snapshot-failed", "environment-changed", "witness",
    "witness-failed", "isolation", "served", "prompt", "spend", "normalise", "manifest",
    "effect-unknown", "effect-withheld", "undo-failed", "fired", "canary", "explained",
    "effect-elsewhere", "effect-late", "signal-misfit", "long-body", "event",
]  # fmt: skip
"""What a line of a log is about; `event` where nothing of the others."""
_KINDS = frozenset(get_args(LineKind))
_ENDS = {
    "completed": "the run completed",
    "failed": "the run failed",
    "cancelled": "the run was cancelled",
    "parked": "the run is parked",
    "held": "the run stopped: a person has to decide about an effect",
    "interrupted": "the attempt was interrupted; the run can be resumed",
    "refused": "the attempt ended before the first step",
    "store failed": "the attempt ended: the store failed",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a run's log. `text` is for people, `data` what is on record, by `kind`."""

    at: Time | None
    kind: LineKind
    text: str
    data: dict[str, Json] = field(default_factory=dict)
    seq: int = -1


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some lines of a log, oldest first; `before` is what to give for those before, if any."""

    lines: list[Line]
    before: int | None


async def log(
    reader: Reader, row: RunRow, *, what: str = "", before: int | None = None, limit: int = 100
) -> LogPage:
    """The end of a run's log, or what is in front of `before`; `what` is one of LOGS.

    At most SCANNED entries are looked through: a page may be short and have more before it.
    """
    kinds, wanted = LOGS[what]
    _, reopened = await later(reader, row.id)
    lines: list[tuple[int, int, Line]] = []
    cursor, scanned, names = before, 0, dict[int, str]()
    low, high = -1.0, float("inf")
    if before is not None:
        newer = await reader.entries(row.id, kinds, before - 1, 1)
        high = newer[0].at if newer else high
    while kinds:
        chunk = _CHUNK if wanted else limit
        entries = await reader.entries(row.id, kinds, limit=chunk + 1, before=cursor, newest=True)
        more, entries = len(entries) > chunk, entries[-chunk:]
        await learn(reader, names, entries)
        found = []
        for entry in entries:
            line = _failure(entry, names, reopened) if entry.kind == Kind.FAILURE else _told(entry)
            if not wanted or line.kind in wanted:
                found.append((entry.at, 1, line))
        lines = found + lines
        scanned += len(entries)
        if not more:
            cursor = None
            break
        cursor, low = entries[0].seq, entries[0].at
        if len(lines) >= limit or scanned >= SCANNED:
            break
    if what in ("", "effects"):
        acts = await reader.ledger(EffectFilter(run=row.id, limit=_ACTS))
        lines += [(one.at, 1, _act(one)) for one in acts if low <= one.at < high]
    if what in ("", "attempts"):
        attempts = await reader.attempts(row.id)
        edges = _attempts(row, attempts, await _lives(reader, row, attempts))
        lines += [edge for edge in edges if low <= edge[0] < high]
    return LogPage([line for _, _, line in sorted(lines, key=lambda one: one[:2])], cursor)


async def _lives(reader: Reader, row: RunRow, attempts: list[AttemptRow]) -> list[int]:
    """The last that each attempt recorded, where one of them may have died."""
    if all(one.ended is not None for one in attempts):
        return []
    spans = await reader.spans(row.id, [one.started for one in attempts])
    return sorted(one.last for one in spans)


async def timeline(reader: Reader, row: RunRow, *, steps: bool = False) -> list[Line]:
    """The log of a run, oldest first; with `steps` every result is a line of its own.

    A process that was killed leaves no line: its death is placed at the last thing
    it recorded.
    """
    entries = await reader.entries(row.id, _TOLD)
    lines = [(entry.at, 1, _told(entry)) for entry in entries]
    lines += [(at, 1, line) for at, line in await _items(reader, row, steps)]
    lines += [(effect.at, 1, _act(effect)) for effect in await reader.effects(row.id)]
    lines += _attempts(row, await reader.attempts(row.id), sorted(at for at, _, _ in lines))
    return [line for _, _, line in sorted(lines, key=lambda found: found[:2])]


async def _items(reader: Reader, row: RunRow, steps: bool) -> list[tuple[int, Line]]:
    """Failed items, and with `steps` all of them."""
    page = await items(reader, row, failed=not steps, limit=1_000_000)
    times = {
        entry.seq: entry.at
        for entry in await reader.entries(
            row.id,
            (Kind.FAILURE, Kind.RESULT, Kind.EFFECT, Kind.CHILD) if steps else (Kind.FAILURE,),
        )
    }
    return [(times[item.seq], _of_item(item)) for item in page.items]


def _of_item(item: ItemView) -> Line:
    what = f"{item.kind} '{item.step}'" + (f" [{item.key}]" if item.key else "")
    text = f"{what} {item.state}"
    text += f": {item.error}" if item.error else f" ({item.took:.0f} ms)"
    return Line(item.at, "failure" if item.error else item.kind, text, {}, item.seq)


def _failure(entry: Entry, names: dict[int, str], reopened: int) -> Line:
    return _of_item(item_view(entry, name_of(entry, names), set(), reopened))


def _act(effect: EffectRow) -> Line:
    text = f"effect '{effect.name}' [{effect.key}] is {effect.state}"
    text += f": {effect.error}" if effect.error else ""
    return Line(iso(effect.at), "effect", text, {"key": effect.key})


def _told(entry: Entry) -> Line:
    data = parsed(entry.output)
    data = data if isinstance(data, dict) else {"value": data}
    kind, text = _words(Kind(entry.kind), dict(data))
    data.pop("kind", None)
    shown = cast("LineKind", kind if kind in _KINDS else "event")
    return Line(iso(entry.at), shown, text, data, entry.seq)


def _words(kind: Kind, data: dict[str, Any]) -> tuple[str, str]:
    """The stable name of an entry, and what it says."""
    if kind is Kind.WAIT:
        until = data.get("until")
        at = iso(int(until * 1000)) if isinstance(until, (int, float)) else "a signal"
        return "wait", f"waits until {at}"
    if kind is Kind.SIGNAL:
        return "signal", "a signal arrived"
    if kind is Kind.ARTIFACT:
        return "artifact", f"delivered {data.get('path')}"
    if kind is Kind.UNDONE:
        return "undone", "a step was undone"
    if kind is Kind.REOPENED:
        return "reopened", "failed steps are tried again"
    return _event(data)


def _event(data: dict[str, Any]) -> tuple[str, str]:
    name = str(data.get("kind", "event"))
    where = f"'{data['step']}'" if data.get("step") else ""
    where += f" [{data['key']}]" if data.get("key") else ""
    message = str(data.get("message", ""))
    if name == "map":
        return name, f"map {where}: {data.get('total')} items"
    if name == "retry":
        return name, f"retry of {where} in {data.get('wait')} s: {message}"
    if name == "measure":
        return name, f"{data.get('name')} = {data.get('value')}"
    if name == "decision":
        return name, f"{message}, because {data.get('because')}"
    if name == "code-changed":
        return name, f"the code of {data.get('what')} has changed since it was recorded"
    if name == "snapshot":
        worker = f" of {data['worker']}" if data.get("worker") else ""
        return name, f"in the environment {str(data.get('strict'))[:19]}{worker}"
    if name == "effect-withheld":
        return (
            name,
            f"effect '{data.get('effect')}' [{data.get('key')}] was not performed: replicate",
        )
    if name == "effect-unknown":
        policy = data.get("policy")
        return name, f"effect '{data.get('effect')}' [{data.get('key')}]: {message}; {policy}"
    if name == "undone":
        return name, f"step {where} was undone"
    if name == "manifest":
        key = data.get("keyid")
        signed = f"signed with {str(key)[:12]}" if key else "not signed"
        return name, f"every artifact has its manifest beside it, {signed}"
    return name, message or name


def _attempts(
    row: RunRow, attempts: list[AttemptRow], moments: list[int]
) -> list[tuple[int, int, Line]]:
    """Starts and ends; a death is placed at the last moment before the next start."""
    lines: list[tuple[int, int, Line]] = []
    for index, one in enumerate(attempts):
        verb: LineKind = "started" if one.n == 1 else "resumed"
        who = {"attempt": one.n, "process": one.process.label}
        start = Line(iso(one.started), verb, f"attempt {one.n} {verb} on {one.process.label}", who)
        lines.append((one.started, 0, start))
        if one.ended is not None:
            text = f"attempt {one.n}: {_ENDS.get(one.outcome, one.outcome)}"
            if one.outcome in ("parked", "held") and one is attempts[-1] and row.waiting:
                text += f" ({row.waiting})"
            kind = cast("LineKind", one.outcome if one.outcome in _KINDS else "ended")
            lines.append((one.ended, 2, Line(iso(one.ended), kind, text, who)))
            continue
        last = index == len(attempts) - 1
        if last and row.owner is not None and alive(row):
            continue
        until = row.updated + 10**15 if last else attempts[index + 1].started
        at = max([m for m in moments if one.started <= m < until], default=one.started)
        text = f"attempt {one.n} died ({one.process.label}); what it had recorded is kept"
        lines.append((at, 2, Line(iso(at), "died", text, who)))
    return lines
