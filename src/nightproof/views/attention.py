"""What needs a person: decisions, nights that failed or did not take place, runs left behind.

What a watcher has noted is taken as it is, unless the run has moved on since; most of it is
found without a watcher too. What takes long to find (stalls, missing output) only a watcher
tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from shlex import quote
from typing import Literal, cast, get_args
from zoneinfo import ZoneInfo

from nightproof.errors import NotFound
from nightproof.journal.incidents import IncidentRow
from nightproof.journal.listing import EffectFilter
from nightproof.journal.protocol import Reader
from nightproof.journal.records import EffectRow, RunFilter, RunRow
from nightproof.model import clock
from nightproof.model.awaited import awaited
from nightproof.model.states import RunStatus
from nightproof.views.listing import open_rows
from nightproof.views.replicates import ENDED, Replicates
from nightproof.views.runs import RunView, advice, shell, view, word
from nightproof.views.schedules import ScheduleView, exactly, schedules
from nightproof.views.trying import UNDECIDED, alive, due, undecided
from nightproof.views.values import Time, iso

NeedKind = Literal[
    "store", "held", "stalled", "failed", "missed", "unserved", "interrupted", "overdue",
    "doubt", "signal", "no-output", "drift", "quota",
]  # fmt: skip
RANK: tuple[NeedKind, ...] = get_args(NeedKind)
"""The kinds of what needs a person, the most urgent first."""
_DAY_MS = 86_400_000
_TOGETHER = 3
"""More of a kind than this in one job are told as one."""
_EFFECTS, _HELD_RUNS, _OF_A_RUN = 200, 200, 20
_HELD = "has an unknown outcome"
"""What a run says that waits for a decision about an effect."""
_FAILED = 200
_REPLICATES, _FEWEST = 3000, 5
"""So many runs are looked at for replicates, of each job at least so many."""
_MOST = 60
"""And at most so many of one job."""
_STANDS = {
    "failed": ("failed", "parked", "running", "interrupted"),
    "held": ("parked",),
    "stalled": ("parked", "running", "interrupted"),
}
"""The states of a run in which what was noted of it still stands."""
_SAME = {"stalled": ("interrupted", "overdue", "held"), "doubt": ("failed", "interrupted")}
"""What need not be told of a run of which one of the others is told."""


@dataclass(frozen=True, slots=True)
class NeedView:
    """Something that needs a person; `count` like it in the same job where it stands for several.

    `kind` is one of RANK, `effect` the key of the effect to decide about, `signal` the name of
    the one that is waited for, `of` the run that a replicate `run` differs from, `next` a command that goes on with it or
    shows more.
    """

    kind: NeedKind
    job: str
    run: str
    schedule: str
    since: Time | None
    note: str
    next: str
    effect: str = ""
    signal: str = ""
    quota: str = ""
    of: str = ""
    count: int = 1


async def attention(
    reader: Reader,
    *,
    late: float = 3600.0,
    stall: float = 900.0,
    replicates: Replicates | None = None,
    timetable: Sequence[ScheduleView] | None = None,
    rows: list[RunRow] | None = None,
) -> list[NeedView]:
    """All that needs a person, the most urgent first.

    `late` and `stall` are in seconds, as the settings have them; `timetable` and `rows` are the
    schedules and the open runs, where they are known already.
    """
    rows = await open_rows(reader) if rows is None else rows
    known = await schedules(reader, late=late) if timetable is None else timetable
    found: dict[str, NeedView] = {}
    for one in [
        *await _effects(reader, rows),
        *_open(rows, stall),
        *await _failed(reader),
        *_scheduled(known),
        *await _drifting(reader, replicates or Replicates()),
        *await _quotas(reader, stall),
    ]:
        found.setdefault(_key(one), one)
    for row in await reader.incidents(clock.now_ms() + 1):
        if row.cleared is None and row.key not in found:
            noted = await _noted(reader, row)
            if noted is not None:
                found[row.key] = noted
    for key, one in list(found.items()):
        # One line for a run: what was left behind has stalled, what failed leaves doubts.
        if one.kind in _SAME and any(f"{kind}:{one.run}" in found for kind in _SAME[one.kind]):
            del found[key]
    return _ranked(list(found.values()))


def _key(one: NeedView) -> str:
    """Under the same key a watcher notes the same."""
    subjects = {
        "missed": one.schedule,
        "unserved": one.schedule,
        "drift": one.job,
        "quota": one.quota,
    }
    return f"{one.kind}:{subjects.get(one.kind, one.run)}"


async def _effects(reader: Reader, rows: Sequence[RunRow]) -> list[NeedView]:
    """Effects whose outcome is unknown, of runs that nobody works on."""
    opened = {row.id: row for row in rows}
    held: dict[int, list[EffectRow]] = {}
    doubt: dict[int, list[EffectRow]] = {}
    newest = await reader.ledger(EffectFilter(states=UNDECIDED, limit=_EFFECTS))
    if len(newest) == _EFFECTS:
        # What living runs are trying just now must not hide what is held since yesterday.
        parked = [row.id for row in rows if row.status is RunStatus.PARKED and _HELD in row.waiting]
        for run in parked[:_HELD_RUNS]:
            newest += await reader.ledger(EffectFilter(run, UNDECIDED, limit=_OF_A_RUN))
    for effect in {one.key: one for one in newest}.values():
        row = opened.get(effect.run)
        if row is None:
            doubt.setdefault(effect.run, []).append(effect)
        elif undecided(effect, row) and (row.status is RunStatus.PARKED or alive(row)):
            held.setdefault(effect.run, []).append(effect)
    found = [_held(opened[run], effects) for run, effects in held.items()]
    for run, effects in doubt.items():
        try:
            row = await reader.run(run)
        except NotFound:
            continue
        if row.status is not RunStatus.COMPLETED:
            many = f"{len(effects)} effects of run {row.name}, such as '{effects[0].key}', are"
            one = f"effect '{effects[0].key}' of run {row.name} is"
            note = f"it is unknown whether {many if len(effects) > 1 else one} done"
            command = f"nightproof show {shell(row.name)}"
            at = iso(effects[0].at)
            found.append(NeedView("doubt", row.job, row.name, "", at, note, command))
    return found


def _held(row: RunRow, effects: Sequence[EffectRow]) -> NeedView:
    first = effects[-1]
    more = f" ({len(effects) - 1} more of the run are in doubt)" if len(effects) > 1 else ""
    note = f"it is unknown whether effect '{first.key}' happened{more}"
    note += f": {first.error}" if first.error else ""
    command = advice(row, view(row), [first.key])
    return NeedView("held", row.job, row.name, "", iso(first.at), note, command, effect=first.key)


def _open(rows: Sequence[RunRow], stall: float) -> list[NeedView]:
    """Runs that wait for a person, or that nobody goes on with."""
    now = clock.now_ms()
    found = []
    for row in rows:
        if row.parent is not None:
            continue
        shown = view(row)
        command = advice(row, shown, [])
        signals = awaited(row.waiting)
        if word(shown) == "interrupted":
            note = f"its process on {row.owner.label} is gone" if row.owner else "its process left"
            found.append(_of(shown, "interrupted", row.updated, note, command))
        elif row.status is RunStatus.PARKED and signals and not due(row):
            note = f"waits for {row.waiting}"
            one = _of(shown, "signal", row.updated, note, command)
            found.append(replace(one, signal=signals[0].name))
        elif row.status is RunStatus.PARKED and row.wake and now - row.wake > stall * 1000:
            note = f"parked ({row.waiting}), was to go on and nobody has resumed it"
            found.append(_of(shown, "overdue", row.wake, note, command))
    return found


def _of(shown: RunView, kind: NeedKind, since: int | None, note: str, command: str) -> NeedView:
    return NeedView(kind, shown.job, shown.run, "", iso(since), note, command)


async def _failed(reader: Reader) -> list[NeedView]:
    """Nights that failed in the last day, or a week ago and nothing of the job has run since."""
    now = clock.now_ms()
    want = RunFilter(
        status=(RunStatus.FAILED,), own=True, since=now - 7 * _DAY_MS, limit=_FAILED, brief=True
    )
    found = []
    newest: dict[str, int] = {}
    for row in await reader.runs(want):
        if row.job not in newest:
            last = await reader.runs(RunFilter(job=row.job, own=True, limit=1, brief=True))
            newest[row.job] = last[0].id if last else 0
        if (row.finished or 0) >= now - _DAY_MS or row.id == newest[row.job]:
            shown = view(row)
            command = f"nightproof resume {shell(row.name)}"
            found.append(_of(shown, "failed", row.finished, shown.error or "no error", command))
    return found


def _scheduled(known: Sequence[ScheduleView]) -> list[NeedView]:
    """Nights that did not take place, and schedules that nobody serves."""
    found = []
    command = "nightproof serve"
    left = [one for one in known if not one.served and not one.retired]
    if left:
        names = ", ".join(one.schedule for one in left[:_TOGETHER])
        names += f" and {len(left) - _TOGETHER} more" if len(left) > _TOGETHER else ""
        note = f"no process looks after {names}: the next night will not start"
        seen = max(one.seen or "" for one in left)
        found.append(NeedView("unserved", "", "", left[0].schedule, seen, note, command))
    for one in known:
        if one.problem:
            found.append(
                NeedView("missed", one.job, "", one.schedule, one.seen, one.problem, command)
            )
        elif one.missed:
            found.append(_missed(one))
    return found


def _missed(one: ScheduleView) -> NeedView:
    """What did not take place, on the clocks of the schedule's zone; the command that runs it."""
    times = [datetime.fromisoformat(at).astimezone(ZoneInfo(one.tz)) for at in one.missed]
    days = [at.date() for at in times]
    shown = [f"{at:%a} {at.day} {at:%b %H:%M}" for at in times[-_TOGETHER:]]
    more = f" and {len(times) - _TOGETHER} times before" if len(times) > _TOGETHER else ""
    note = f"nothing ran for {', '.join(shown)} ({one.tz}){more}"
    words = f"--from {min(days)} --to {max(days)} --name {quote(one.schedule)}"
    command = f"nightproof schedule backfill {words} {shell(one.target)}"
    return NeedView("missed", one.job, "", one.schedule, one.missed[0], note, command)


async def _drifting(reader: Reader, replicates: Replicates) -> list[NeedView]:
    """Jobs whose newest replicate came out differently."""
    since = clock.now_ms() - 7 * _DAY_MS
    again: dict[str, list[RunRow]] = {}
    want = RunFilter(again=True, status=ENDED, since=since, limit=_REPLICATES, brief=True)
    for row in await reader.runs(want):
        again.setdefault(row.job, []).append(row)
    found = []
    limit = min(_MOST, max(_FEWEST, _REPLICATES // max(1, len(again))))
    for job in sorted(again):
        told = await replicates.among(reader, again[job][:limit])
        if told and not told[0].equal:
            command = f"nightproof diff {shell(told[0].of)} {shell(told[0].run)}"
            first = told[0]
            one = NeedView("drift", job, first.run, "", first.at, first.note, command)
            found.append(replace(one, of=first.of))
    return found


async def _quotas(reader: Reader, stall: float) -> list[NeedView]:
    """Quotas that runs wait for, longer than a stall."""
    now = clock.now_ms()
    found = []
    for row in await reader.quotas(now):
        if row.parked - now > stall * 1000 and row.waits:
            note = f"quota '{row.name}' is used up ({row.reason}), {len(row.waits)} runs wait"
            command = "nightproof quotas"
            found.append(NeedView("quota", "", "", "", None, note, command, quota=row.name))
    return found


async def _noted(reader: Reader, row: IncidentRow) -> NeedView | None:
    """What a watcher noted, while it stands."""
    command = "nightproof alerts show"
    if row.run:
        run = await exactly(reader, row.run)
        stands = _STANDS.get(row.kind)
        if run is None or (stands is not None and word(view(run)) not in stands):
            return None
        command = f"nightproof show {shell(row.run)}"
    subject = row.key.partition(":")[2]
    schedule = subject if row.kind == "missed" else ""
    quota = subject if row.kind == "quota" else ""
    since = iso(row.opened)
    kind = cast("NeedKind", row.kind)
    return NeedView(kind, row.job, row.run, schedule, since, row.note, command, quota=quota)


def _ranked(found: Sequence[NeedView]) -> list[NeedView]:
    """By urgency; many of one kind in one job as one."""
    groups: dict[tuple[str, str, str], list[NeedView]] = {}
    for one in found:
        groups.setdefault((one.kind, one.job, one.signal), []).append(one)
    shown: list[NeedView] = []
    for group in groups.values():
        newest = sorted(group, key=lambda one: one.since or "", reverse=True)
        many = len(newest) > _TOGETHER and newest[0].run != ""
        shown += [replace(newest[0], count=len(newest))] if many else newest
    rank = {kind: place for place, kind in enumerate(RANK)}
    return sorted(shown, key=lambda one: rank.get(one.kind, len(RANK)))
