"""Steps and items: what a run has done, one row each, and how many of each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nightproof.journal.protocol import Reader
from nightproof.journal.records import Entry, RunRow
from nightproof.model.states import Kind
from nightproof.views.values import iso, parsed, preview

DONE = (Kind.RESULT, Kind.EFFECT, Kind.CHILD)
_PAGE = 500
_WORDS = {Kind.RESULT: "step", Kind.FAILURE: "step", Kind.EFFECT: "effect", Kind.CHILD: "child"}


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
    kind: str
    state: str
    at: str | None
    took: float
    inputs: Any
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
    undone, reopened = await _later(reader, run.id)
    kinds = (Kind.FAILURE,) if failed else (*DONE, Kind.FAILURE)
    names: dict[int, str] = {}
    found: list[ItemView] = []
    while True:
        entries = await reader.entries(run.id, kinds, after, min(_PAGE, limit + 1))
        await _learn(reader, names, entries)
        for entry in entries:
            name = _name(entry, names)
            if step is not None and name != step:
                continue
            if len(found) == limit:
                return Page(found, found[-1].seq)
            found.append(_item(entry, name, undone, reopened))
        if len(entries) < min(_PAGE, limit + 1):
            return Page(found, None)
        after = entries[-1].seq


async def counts(reader: Reader, run: RunRow) -> list[StepCount]:
    """How many of each step are on record, in the order in which the steps began."""
    tally = [row for row in await reader.tally(run.id) if row[0] in (*DONE, Kind.FAILURE)]
    codes = await reader.codes({code for _, code, _ in tally if code})
    _, reopened = await _later(reader, run.id)
    done: dict[str, int] = {}
    failed: dict[str, int] = {}
    for kind, code, count in tally:
        name = codes[code].name if code in codes else "(child runs)"
        if kind == Kind.FAILURE:
            failed[name] = failed.get(name, 0) + count
        else:
            done[name] = done.get(name, 0) + count
    if failed and reopened >= 0:
        failed = await _standing(reader, run.id, reopened)
    totals = await _totals(reader, run)
    order = [*totals, *(name for name in done if name not in totals)]
    order += [name for name in failed if name not in order]
    return [StepCount(n, done.get(n, 0), failed.get(n, 0), totals.get(n)) for n in order]


async def _later(reader: Reader, run: int) -> tuple[set[bytes], int]:
    """Fingerprints that were undone, and where failures were last forgotten."""
    entries = await reader.entries(run, (Kind.UNDONE, Kind.REOPENED))
    undone = {entry.fp for entry in entries if entry.kind == Kind.UNDONE}
    reopened = [entry.seq for entry in entries if entry.kind == Kind.REOPENED]
    return undone, max(reopened, default=-1)


async def _standing(reader: Reader, run: int, reopened: int) -> dict[str, int]:
    """Failures that no later attempt has forgotten, by step."""
    entries = await reader.entries(run, (Kind.FAILURE,), reopened)
    names: dict[int, str] = {}
    await _learn(reader, names, entries)
    found: dict[str, int] = {}
    for entry in entries:
        name = _name(entry, names)
        found[name] = found.get(name, 0) + 1
    return found


async def _totals(reader: Reader, run: RunRow) -> dict[str, int]:
    """The sizes of the maps, each as the newest attempt that came to it announced it."""
    starts = [attempt.started for attempt in await reader.attempts(run.id)]
    found: dict[str, tuple[int, int]] = {}
    for entry in await reader.entries(run.id, (Kind.EVENT,)):
        event = parsed(entry.output)
        if not isinstance(event, dict) or event.get("kind") != "map":
            continue
        attempt = sum(start <= entry.at for start in starts)
        before, total = found.get(event["step"], (attempt, 0))
        total = total if before == attempt else 0
        found[event["step"]] = attempt, total + int(event["total"])
    return {name: total for name, (_, total) in found.items()}


async def _learn(reader: Reader, names: dict[int, str], entries: list[Entry]) -> None:
    unknown = {entry.code for entry in entries if entry.code and entry.code not in names}
    if unknown:
        names.update((code, row.name) for code, row in (await reader.codes(unknown)).items())


def _name(entry: Entry, names: dict[int, str]) -> str:
    if entry.kind == Kind.CHILD:
        inputs = parsed(entry.inputs)
        return str(inputs[0]) if isinstance(inputs, list) and inputs else "?"
    return names.get(entry.code, "?")


def _item(entry: Entry, name: str, undone: set[bytes], reopened: int) -> ItemView:
    inputs, key = parsed(entry.inputs), ""
    if isinstance(inputs, dict):
        key, inputs = str(inputs.get("key", "")), inputs.get("args")
    # Beside a blob, `output` only says how to read it.
    state, error, tries = "done", "", 1
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
