"""What happened to a run, in order: attempts, crashes, retries, waits, events, outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nightproof.journal.protocol import Reader
from nightproof.journal.records import AttemptRow, Entry, RunRow
from nightproof.model.states import Kind
from nightproof.views.runs import alive
from nightproof.views.steps import items
from nightproof.views.values import iso, parsed

_TOLD = (Kind.EVENT, Kind.WAIT, Kind.SIGNAL, Kind.ARTIFACT, Kind.UNDONE, Kind.REOPENED)
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
    """One line of a run's log. `kind` is stable; `text` is for people."""

    at: str | None
    kind: str
    text: str
    data: dict[str, Any] = field(default_factory=dict)
    seq: int = -1


async def timeline(reader: Reader, row: RunRow, *, steps: bool = False) -> list[Line]:
    """The log of a run, oldest first; with `steps` every result is a line of its own.

    A process that was killed leaves no line: its death is placed at the last thing
    it recorded.
    """
    entries = await reader.entries(row.id, _TOLD)
    lines = [(entry.at, 1, _told(entry)) for entry in entries]
    lines += [(at, 1, line) for at, line in await _items(reader, row, steps)]
    for effect in await reader.effects(row.id):
        text = f"effect '{effect.name}' [{effect.key}] is {effect.state}"
        text += f": {effect.error}" if effect.error else ""
        lines.append((effect.at, 1, Line(iso(effect.at), "effect", text, {"key": effect.key})))
    lines += _attempts(row, await reader.attempts(row.id), sorted(at for at, _, _ in lines))
    return [line for _, _, line in sorted(lines, key=lambda found: found[:2])]


async def _items(reader: Reader, row: RunRow, steps: bool) -> list[tuple[int, Line]]:
    """Failed items, and with `steps` all of them."""
    found = []
    page = await items(reader, row, failed=not steps, limit=1_000_000)
    times = {
        entry.seq: entry.at
        for entry in await reader.entries(
            row.id,
            (Kind.FAILURE, Kind.RESULT, Kind.EFFECT, Kind.CHILD) if steps else (Kind.FAILURE,),
        )
    }
    for item in page.items:
        what = f"{item.kind} '{item.step}'" + (f" [{item.key}]" if item.key else "")
        text = f"{what} {item.state}"
        text += f": {item.error}" if item.error else f" ({item.took:.0f} ms)"
        kind = "failure" if item.error else item.kind
        found.append((times[item.seq], Line(item.at, kind, text, {}, item.seq)))
    return found


def _told(entry: Entry) -> Line:
    data = parsed(entry.output)
    data = data if isinstance(data, dict) else {"value": data}
    kind, text = _words(Kind(entry.kind), dict(data))
    data.pop("kind", None)
    return Line(iso(entry.at), kind, text, data, entry.seq)


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
    return name, message or name


def _attempts(
    row: RunRow, attempts: list[AttemptRow], moments: list[int]
) -> list[tuple[int, int, Line]]:
    """Starts and ends; a death is placed at the last moment before the next start."""
    lines: list[tuple[int, int, Line]] = []
    for index, one in enumerate(attempts):
        verb = "started" if one.n == 1 else "resumed"
        who = {"attempt": one.n, "process": one.process.label}
        start = Line(iso(one.started), verb, f"attempt {one.n} {verb} on {one.process.label}", who)
        lines.append((one.started, 0, start))
        if one.ended is not None:
            text = f"attempt {one.n}: {_ENDS.get(one.outcome, one.outcome)}"
            if one.outcome in ("parked", "held") and one is attempts[-1] and row.waiting:
                text += f" ({row.waiting})"
            lines.append((one.ended, 2, Line(iso(one.ended), one.outcome or "ended", text, who)))
            continue
        last = index == len(attempts) - 1
        if last and row.owner is not None and alive(row):
            continue
        until = row.updated + 10**15 if last else attempts[index + 1].started
        at = max([m for m in moments if one.started <= m < until], default=one.started)
        text = f"attempt {one.n} died ({one.process.label}); what it had recorded is kept"
        lines.append((at, 2, Line(iso(at), "died", text, who)))
    return lines
