"""Steps and items: what a run has done, one row each, and how many of each step."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

from nightproof.journal.protocol import Reader
from nightproof.journal.records import AttemptRow, Entry, RunRow
from nightproof.model.states import Kind
from nightproof.views.values import Json, Time, iso, parsed, preview

Word = Literal["step", "effect", "child"]
State = Literal["done", "failed", "retried", "undone"]

DONE = (Kind.RESULT, Kind.EFFECT, Kind.CHILD)
CHILDREN = "(child runs)"
"""What stands for the child runs where steps are counted."""
_PAGE = 500
_MAP = b'{"kind": "map"'
"""How the event begins that announces a map: most events of a large run are others."""
_WORDS: dict[Kind, Word] = {
    Kind.RESULT: "step",
    Kind.FAILURE: "step",
    Kind.EFFECT: "effect",
    Kind.CHILD: "child",
}


@dataclass(frozen=True, slots=True)
class ItemView:
    """One step, item, effect or child run on record.

    `state` is "done", "failed", "retried" (failed before, and forgotten by a later
    attempt) or "undone". `took` is in milliseconds, `size` in bytes; `inputs` are
    the arguments, `output` the beginning of the result as JSON.
    """

    seq: int
    step: str
    key: str
    kind: Word
    state: State
    at: Time | None
    took: float
    inputs: Json
    output: str
    size: int
    blob: str | None
    error: str
    tries: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some items in order; `next` is what to give as `after` for more, None at the end."""

    items: list[ItemView]
    next: int | None


@dataclass(frozen=True, slots=True)
class StepCount:
    """How far one step name has come; `total` is the size of its maps, where known."""

    step: str
    done: int
    failed: int
    total: int | None


async def items(
    reader: Reader,
    run: RunRow,
    *,
    step: str | None = None,
    failed: bool = False,
    after: int = -1,
    limit: int = 50,
) -> Page:
    """Up to `limit` items of a run behind sequence number `after`, in the order recorded."""
    undone, reopened = await later(reader, run.id)
    kinds = (Kind.FAILURE,) if failed else (*DONE, Kind.FAILURE)
    names: dict[int, str] = {}
    wanted: tuple[int, ...] = ()
    if step is not None and not (wanted := await codes_of(reader, run, step)):
        return Page([], None)
    found: list[ItemView] = []
    size = min(_PAGE, limit + 1)
    while True:
        entries = await reader.entries(run.id, kinds, after, size, codes=wanted)
        await learn(reader, names, entries)
        for entry in entries:
            name = name_of(entry, names)
            if step is not None and name != step:
                continue
            if len(found) == limit:
                return Page(found, found[-1].seq)
            found.append(item_view(entry, name, undone, reopened))
        if len(entries) < size:
            return Page(found, None)
        after = entries[-1].seq


async def counts(reader: Reader, run: RunRow, events: list[Entry] | None = None) -> list[StepCount]:
    """How many of each step are on record, in the order in which the steps began.

    `events` where the caller has read those of the run already.
    """
    found = [row for row in await tally(reader, run) if row[0] in (*DONE, Kind.FAILURE)]
    codes = await reader.codes({code for _, code, _ in found if code})
    if events is None:
        events = await reader.entries(run.id, (Kind.EVENT,))
    failures = await standing(reader, run.id, {c: n for k, c, n in found if k == Kind.FAILURE})
    done: dict[str, int] = {}
    failed: dict[str, int] = {}
    for kind, code, count in found:
        name = codes[code].name if code in codes else CHILDREN
        if kind == Kind.FAILURE:
            if failures[code]:
                failed[name] = failed.get(name, 0) + failures[code]
        else:
            done[name] = done.get(name, 0) + count
    totals = map_totals(events, await reader.attempts(run.id))
    order = [*totals, *(name for name in done if name not in totals)]
    order += [name for name in failed if name not in order]
    return [StepCount(n, done.get(n, 0), failed.get(n, 0), totals.get(n)) for n in order]


async def tally(reader: Reader, run: RunRow) -> list[tuple[int, int, int]]:
    """``(kind, code, count)`` over the history of a run, of which only what is new is read."""
    return [(one.kind, one.code, one.count) for one in await reader.spans(run.id)]


async def codes_of(reader: Reader, run: RunRow, step: str) -> tuple[int, ...]:
    """The ids of the code that ran under a step's name; 0 stands for child runs."""
    there = [row for row in await tally(reader, run) if row[0] in (*DONE, Kind.FAILURE)]
    codes = await reader.codes({code for _, code, _ in there if code})
    found = [code for code, row in codes.items() if row.name == step]
    return (*found, *((0,) if any(code == 0 for _, code, _ in there) else ()))


async def later(reader: Reader, run: int) -> tuple[set[bytes], int]:
    """Fingerprints that were undone, and where failures were last forgotten."""
    entries = await reader.entries(run, (Kind.UNDONE, Kind.REOPENED))
    undone = {entry.fp for entry in entries if entry.kind == Kind.UNDONE}
    reopened = [entry.seq for entry in entries if entry.kind == Kind.REOPENED]
    return undone, max(reopened, default=-1)


async def standing(reader: Reader, run: int, failed: dict[int, int]) -> dict[int, int]:
    """Of so many failures of each code, those that no later attempt has forgotten."""
    if not failed:
        return {}
    reopened = await reader.entries(run, (Kind.REOPENED,), newest=True, limit=1)
    if not reopened:
        return failed
    seq = reopened[0].seq
    return {code: (await reader.states(run, [code], seq)).count("f") for code in failed}


def map_totals(events: list[Entry], attempts: list[AttemptRow]) -> dict[str, int]:
    """The sizes of the maps, each as the newest attempt that came to it announced it."""
    starts = [attempt.started for attempt in attempts]
    found: dict[str, tuple[int, int]] = {}
    for entry in events:
        if not (entry.output or b"").startswith(_MAP):
            continue
        event = parsed(entry.output)
        if not isinstance(event, dict):
            continue
        attempt = sum(start <= entry.at for start in starts)
        before, total = found.get(event["step"], (attempt, 0))
        total = total if before == attempt else 0
        found[event["step"]] = attempt, total + int(event["total"])
    return {name: total for name, (_, total) in found.items()}


async def learn(reader: Reader, names: dict[int, str], entries: list[Entry]) -> None:
    """Add to `names` what the code of some entries is called."""
    unknown = {entry.code for entry in entries if entry.code and entry.code not in names}
    if unknown:
        names.update((code, row.name) for code, row in (await reader.codes(unknown)).items())


def name_of(entry: Entry, names: dict[int, str]) -> str:
    """The step's name of an entry; the job's, of a child run."""
    if entry.kind == Kind.CHILD or (entry.kind == Kind.FAILURE and not entry.code):
        inputs = parsed(entry.inputs)
        return str(inputs[0]) if isinstance(inputs, list) and inputs else "?"
    return names.get(entry.code, "?")


def item_view(entry: Entry, name: str, undone: Set[bytes], reopened: int) -> ItemView:
    """An entry as it is listed."""
    inputs, key = parsed(entry.inputs), ""
    if isinstance(inputs, dict):
        key, inputs = str(inputs.get("key", "")), inputs.get("args")
    # Beside a blob, `output` only says how to read it.
    state: State = "done"
    error, tries = "", 1
    output = None if entry.blob is not None else entry.output
    if entry.kind == Kind.FAILURE:
        state = "failed" if entry.seq > reopened else "retried"
        told = parsed(entry.output)
        if isinstance(told, dict):
            error = f"{told.get('type')}: {told.get('message')}"
            tries = max(1, len(told.get("attempts") or ()))
        output = None
    elif entry.fp in undone:
        state = "undone"
    return ItemView(
        entry.seq, name, key, _WORDS.get(Kind(entry.kind), "step"), state, iso(entry.at),
        entry.took / 1000, inputs, preview(output), len(output or b""), entry.blob, error, tries,
    )  # fmt: skip
