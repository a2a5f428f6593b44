"""Searching a store: by name, key, field of a contract, or digest; the newest runs first.

A store may be large, so a search takes a given time and says how far back it has come.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from nightproof.contract.secrets import hidden
from nightproof.errors import NotFound
from nightproof.journal.listing import EffectFilter
from nightproof.journal.protocol import Reader
from nightproof.journal.records import Entry, RunFilter, RunRow
from nightproof.model import clock
from nightproof.model.states import Kind, RunStatus
from nightproof.views.effects import EffectView, effect_view
from nightproof.views.ledger import cursor, look
from nightproof.views.runs import RunView, view
from nightproof.views.values import Place, Time, iso, parsed, whole

SECONDS = 0.15
"""So long a search looks back at a time."""
SHOWN = 50
"""So many of one kind are found at a time."""
DIGESTS = 20
"""So many digests are looked up at once."""
LONGEST = 20_000
"""So many characters of a query are looked at."""
_OF_A_RUN = 5
"""So many items of one run are enough to know that it is there."""
_PAGE = 100
_NAMES = 1000
_WINDOW = 10_000
"""So many entries are looked through before the time is looked at."""
_ENDED = (RunStatus.COMPLETED, RunStatus.FAILED)
_SIBLINGS = 100
_DIGEST = re.compile(r"(?<![0-9a-f])(?:sha256:)?([0-9a-f]{64})(?![0-9a-f])", re.IGNORECASE)
_FIELD = re.compile(r"([A-Za-z_]\w*(?:[.\[][\w\]-]+)*)\s*=\s*(.+)", re.DOTALL)
_PLACE = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})\.([0-9]{1,18})")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT")


@dataclass(frozen=True, slots=True)
class ItemHit:
    """An item of a step whose key has the text in it; `more` says that its run has more of them."""

    run: str
    job: str
    step: str
    seq: int
    key: str
    state: Literal["done", "failed"]
    at: Time | None
    more: bool


@dataclass(frozen=True, slots=True)
class FieldHit:
    """A run whose contract has the value; `path` is where, `value` what, as JSON text."""

    run: RunView
    path: str
    value: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A run that delivered a file with the digest, as `seq` of its history.

    `same` are the other runs of its contract that delivered the same bytes, `others` those
    that ended without.
    """

    digest: str
    run: RunView
    name: str
    path: str
    size: int | None
    at: Time | None
    seq: int
    same: list[str]
    others: list[str]


@dataclass(slots=True)
class SearchView:
    """What a search has found; `next` is what to give as `after` to go on, None at the end.

    `back_to` is when the oldest run was created that was looked at. `unknown` are digests that
    no run delivered and no contract has.
    """

    query: str
    runs: list[RunView] = field(default_factory=list)
    contracts: list[RunView] = field(default_factory=list)
    """Runs whose contract has a digest that was asked for."""
    fields: list[FieldHit] = field(default_factory=list)
    effects: list[EffectView] = field(default_factory=list)
    more_effects: Place | None = None
    """Where the list of effects goes on with its search (`before`), None where it is over."""
    effects_to: Time | None = None
    """Of when the oldest effect was that there was time for; None where all were looked at."""
    items: list[ItemHit] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    back_to: Time | None = None
    next: str | None = None


def digests(text: str) -> list[str]:
    """The sha256 digests in a text, such as the output of ``sha256sum``, each once."""
    return list(dict.fromkeys(one.lower() for one in _DIGEST.findall(text)))


def by_field(query: str) -> bool:
    """Whether a query asks for a field of contracts."""
    return bool(_Wanted.of(query[:LONGEST].strip()).path)


def sought(query: str) -> str:
    """The text that names and keys are searched for."""
    return _Wanted.of(whole(query[:LONGEST]).strip()).text


async def search(
    reader: Reader, query: str, after: str = "", seconds: float = SECONDS
) -> SearchView:
    """Look for `query`, from `after` (the `next` of an earlier search) on.

    Where it is written like ``field=value``, contracts are searched instead of items; in
    quotes it is a text. Names of runs and effects are looked for first.
    """
    text = whole(query[:LONGEST]).strip()
    found = SearchView(query)
    if not text:
        return found
    found.digests = digests(text)[:DIGESTS]
    if found.digests:
        for digest in found.digests:
            await _delivered(reader, found, digest)
        return found
    begun = clock.perf()
    want, place = _Wanted.of(text), _Place.of(after)
    named = 0 if place is None else place.named
    if place is None:
        named = await _named(reader, found, want, begun + seconds / 3)
        acts = await look(reader, EffectFilter(text=want.text, limit=SHOWN), seconds / 3)
        found.effects = [effect_view(row) for row in acts.rows]
        found.more_effects, found.effects_to = cursor(acts.next), iso(acts.back_to)
    await _look_back(reader, found, want, place, begun + seconds, named)
    return found


class _Wanted(NamedTuple):
    """What is looked for: a text, and a field of contracts where it is written like one."""

    text: str
    data: bytes
    path: tuple[str, ...]
    value: str

    @classmethod
    def of(cls, text: str) -> _Wanted:
        shape = _FIELD.fullmatch(text)
        if len(text) > 2 and text[0] == text[-1] == '"':
            text = text[1:-1]
        escaped = json.dumps(text, ensure_ascii=False)[1:-1].encode()
        if shape is None:
            return cls(text, escaped, (), "")
        path = tuple(one for one in re.split(r"[.\[\]]+", shape[1]) if one)
        return cls(text, escaped, path, shape[2].strip())


class _Place(NamedTuple):
    """How far a search has come: everything of run `run` up to entry `seq`, -1 for none.

    The names of runs from number `named` on were looked at before.
    """

    run: int
    seq: int
    named: int

    @classmethod
    def of(cls, text: str) -> _Place | None:
        told = _PLACE.fullmatch(text)
        return None if told is None else cls(int(told[1]), int(told[2]) - 1, int(told[3]))

    def __str__(self) -> str:
        return f"{self.run}.{self.seq + 1}.{self.named}"


async def _named(reader: Reader, found: SearchView, want: _Wanted, until: float) -> int:
    """Find runs by their name or job; down to which number they were looked at."""
    text, known = want.text, set[str]()
    with suppress(NotFound):  # several begin with it: they come below
        row = await reader.find(text)
        if row is not None:
            found.runs.append(view(row))
            known.add(row.name)
    before = None
    while True:
        rows = await reader.runs(RunFilter(limit=_NAMES, before=before, brief=True))
        for row in rows:
            if row.name not in known and (text in row.name or text in row.job):
                found.runs.append(view(row))
            if len(found.runs) >= SHOWN:
                return row.id
        if len(rows) < _NAMES:
            return 0
        before = rows[-1].id
        if clock.perf() > until:
            return before


async def _look_back(
    reader: Reader, found: SearchView, want: _Wanted, place: _Place | None, until: float, named: int
) -> None:
    """Look through runs for fields of their contracts, or for their items; names on the way."""
    before = None if place is None else place.run + 1
    fields, first = bool(want.path), len(found.runs)
    while True:
        rows = await reader.runs(RunFilter(limit=_PAGE, before=before, brief=not fields))
        for row in rows:
            start = place.seq if place is not None and row.id == place.run else -1
            found.back_to = iso(row.created)
            await clock.turn()  # others may be waiting for an answer
            seq = None
            if start < 0 and row.id < named and (want.text in row.name or want.text in row.job):
                found.runs.append(view(row))
            if fields:
                found.fields += _fields(row, want)
            else:
                seq = await _items(reader, found, want, row, start, until)
            most = max(len(found.runs) - first, len(found.fields), len(found.items))
            if seq is not None:
                found.next = str(_Place(row.id, seq, min(named, row.id)))
                return
            if most >= SHOWN or clock.perf() > until:
                found.next = str(_Place(row.id - 1, -1, named)) if row.id > 1 else None
                return
        if len(rows) < _PAGE:
            return
        before = rows[-1].id


async def _items(
    reader: Reader, found: SearchView, want: _Wanted, row: RunRow, start: int, until: float
) -> int | None:
    """Look through the items of a run; where to go on, None where it was looked at whole."""
    kinds = (Kind.RESULT, Kind.FAILURE)
    newest = await reader.entries(row.id, limit=1, newest=True)
    last = newest[-1].seq if newest else -1
    after, hits = start, list[tuple[Entry, str]]()
    while after < last and len(hits) <= _OF_A_RUN:
        to = min(last, after + _WINDOW)
        while after < to and len(hits) <= _OF_A_RUN:
            page = await reader.entries(row.id, kinds, after, _PAGE, text=want.data, before=to + 1)
            hits += [(entry, key) for entry in page if want.text in (key := _key(entry))]
            after = page[-1].seq if len(page) == _PAGE else to
        if clock.perf() > until and after < last and not hits:
            return after
        await clock.turn()
    if hits:
        codes = await reader.codes({entry.code for entry, _ in hits if entry.code})
        for entry, key in hits[:_OF_A_RUN]:
            step = codes[entry.code].name if entry.code in codes else ""
            failed = entry.kind == Kind.FAILURE
            more = len(hits) > _OF_A_RUN
            found.items.append(
                ItemHit(
                    row.name,
                    row.job,
                    step,
                    entry.seq,
                    key,
                    "failed" if failed else "done",
                    iso(entry.at),
                    more,
                )
            )
    return None


def _key(entry: Entry) -> str:
    """The key of an item; "" where it has none."""
    told = parsed(entry.inputs) if entry.inputs and entry.inputs.startswith(b'{"key"') else None
    return str(told.get("key", "")) if isinstance(told, dict) else ""


def _fields(row: RunRow, want: _Wanted) -> list[FieldHit]:
    """Where the contract of a run has the value that is looked for."""
    for path, value in _at(parsed(row.contract), want.path, ""):
        if _is(value, want.value):
            shown = json.dumps(hidden({path: value})[path], ensure_ascii=False)
            return [FieldHit(view(row), path, shown if len(shown) < 200 else shown[:199] + "…")]
    return []


def _at(value: Any, path: Sequence[str], told: str) -> Iterator[tuple[str, Any]]:
    """What lies at a path; a list stands for each of its elements, or for one by its index."""
    if isinstance(value, list):
        for index, one in enumerate(value):
            if path and path[0] == str(index):
                yield from _at(one, path[1:], f"{told}[{index}]")
            elif not path or not path[0].isdecimal():
                yield from _at(one, path, f"{told}[{index}]")
    elif not path:
        yield told.removeprefix("."), value
    elif isinstance(value, dict):
        for key, one in value.items():
            if key in (path[0], _camel(path[0])):
                yield from _at(one, path[1:], f"{told}.{key}")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _is(value: Any, text: str) -> bool:
    """Whether a value is what somebody wrote: a time may be given by its beginning."""
    if isinstance(value, str):
        begun = text.endswith("*") and value.startswith(text[:-1])
        timed = bool(_TIMESTAMP.match(value)) and value.startswith(text)
        return begun or timed or text in (value, json.dumps(value, ensure_ascii=False))
    if isinstance(value, (dict, list)):
        return False
    try:
        given = json.loads(text)
    except ValueError:
        return False
    return bool(given == value) and isinstance(given, bool) == isinstance(value, bool)


async def _delivered(reader: Reader, found: SearchView, digest: str) -> None:
    """Who delivered a file with this digest, and whose contract has it."""
    contract = RunFilter(digest=f"sha256:{digest}", limit=SHOWN, brief=True)
    runs = [view(row) for row in await reader.runs(contract)]
    found.contracts += runs
    entries = await reader.delivered(digest, SHOWN)
    if not runs and not entries:
        found.unknown.append(digest)
    rows = {one: await reader.run(one) for one in dict.fromkeys(entry.run for entry in entries)}
    makers = {row.name for row in rows.values()}
    siblings: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        note, row = parsed(entry.output), rows[entry.run]
        if not isinstance(note, dict):
            continue
        place = row.job, row.digest
        if place not in siblings:
            want = RunFilter(
                job=row.job, digest=row.digest, status=_ENDED, limit=_SIBLINGS, brief=True
            )
            siblings[place] = [one.name for one in await reader.runs(want) if one.parent is None]
        others = [name for name in siblings[place] if name != row.name]
        size = note.get("size")
        found.deliveries.append(
            Delivery(
                digest, view(row), str(note.get("name", "")), str(note.get("path", "")),
                size if isinstance(size, int) else None, iso(entry.at), entry.seq,
                [name for name in others if name in makers],
                [name for name in others if name not in makers],
            )
        )  # fmt: skip
