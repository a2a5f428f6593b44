"""What a run has on record to be compared: one point for each step, effect, file and result."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from nightproof.blobs.protocol import Blobs
from nightproof.errors import BlobError, NotFound
from nightproof.journal.protocol import Reader
from nightproof.journal.records import Entry, RunRow
from nightproof.model.canonical import sha256_hex
from nightproof.model.identity import ProcessIdentity
from nightproof.model.states import Kind

_PAGE = 2000
_KINDS = (
    Kind.RESULT, Kind.FAILURE, Kind.EFFECT, Kind.CHILD, Kind.ARTIFACT, Kind.VALUE, Kind.SIGNAL,
    Kind.UNDONE, Kind.REOPENED, Kind.EVENT,
)  # fmt: skip
_WORDS: dict[int, str] = {
    Kind.RESULT: "step", Kind.FAILURE: "step", Kind.EFFECT: "effect", Kind.CHILD: "child run",
    Kind.ARTIFACT: "artifact", Kind.VALUE: "recorded value", Kind.SIGNAL: "signal",
}  # fmt: skip
_REPLICATE = re.compile(r"(-[0-9a-f]{10})\.\d+$")
_NAMED_REPLICATE = re.compile(r"(-[0-9a-f]{10})\.\d+\b")
_PLAIN_KEY = re.compile(rb'\{"key": ?"([ !#-\[\]-~]*)"')
"""A key that is written without escapes: read without its arguments, it takes a tenth of the time."""
LAST = 2**62
"""The sequence number of a run's result: it comes after everything."""
LARGEST = 64 << 20
"""Bytes of a file whose content is still looked at."""
MISSING = object()
"""A value that is no longer there, or that is no text and no JSON, or a very large file."""


class Point(NamedTuple):
    """One thing that a run did; `raw` is the digest of its output as stored.

    `fp` is the same for the same step with the same inputs. `code` is the digest of
    its code, "" where it has none; `at` milliseconds since the epoch.
    """

    what: str
    name: str
    key: str
    fp: bytes
    seq: int
    at: int
    code: str
    raw: str
    failed: bool
    empty: bool = False


@dataclass
class Record:
    """All of one run; `world` is what it took from outside: the time, signals."""

    run: RunRow
    points: list[Point] = field(default_factory=list)
    world: list[Point] = field(default_factory=list)
    events: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    processes: list[ProcessIdentity] = field(default_factory=list)
    """Of each attempt, as `starts`."""

    def attempt(self, at: int) -> int:
        """The number of the attempt that was at work at a time (milliseconds), from 1."""
        return max(1, sum(start <= at for start in self.starts))

    def process(self, attempt: int) -> ProcessIdentity | None:
        """The process that an attempt ran in, if it is on record."""
        return self.processes[attempt - 1] if 0 < attempt <= len(self.processes) else None

    def notes(self, kind: str) -> list[tuple[int, dict[str, Any]]]:
        """The events of one kind, each with the number of its attempt."""
        return [(self.attempt(at), note) for at, note in self.events if note.get("kind") == kind]


async def record(reader: Reader, run: RunRow) -> Record:
    """Read the history of a run, in pages; outputs are digested, not kept."""
    found = Record(run)
    for attempt in await reader.attempts(run.id):
        found.starts.append(attempt.started)
        found.processes.append(attempt.process)
    latest: dict[bytes, Point] = {}
    codes: dict[int, tuple[str, str]] = {}
    after = -1
    while True:
        entries = await reader.entries(run.id, _KINDS, after, _PAGE)
        unknown = {entry.code for entry in entries if entry.code and entry.code not in codes}
        for code, row in (await reader.codes(unknown)).items():
            codes[code] = (row.name, row.digest)
        for entry in entries:
            _take(found, latest, entry, codes)
        if len(entries) < _PAGE:
            break
        after = entries[-1].seq
    points = sorted(latest.values(), key=lambda point: point.seq)
    found.world = [point for point in points if point.what in ("recorded value", "signal")]
    found.points = [point for point in points if point.what not in ("recorded value", "signal")]
    found.points.append(_end(run))
    return found


def _take(
    found: Record, latest: dict[bytes, Point], entry: Entry, codes: dict[int, tuple[str, str]]
) -> None:
    if entry.kind == Kind.EVENT:
        note = _json(entry.output)
        if isinstance(note, dict):
            found.events.append((entry.at, note))
    elif entry.kind == Kind.REOPENED:
        for fp in [fp for fp, point in latest.items() if point.failed]:
            del latest[fp]
    elif entry.kind == Kind.RESULT and entry.inputs is None:
        # An expiring or secret value: a new one each time, and never part of a result.
        return
    elif entry.kind != Kind.UNDONE:
        point = _point(entry, codes)
        latest[_by_name(point) if entry.kind == Kind.ARTIFACT else entry.fp] = point


def _by_name(point: Point) -> bytes:
    return b"artifact " + point.name.encode("utf-8", "replace")


def _point(entry: Entry, codes: dict[int, tuple[str, str]]) -> Point:
    name, code = codes.get(entry.code, ("", ""))
    what, key, fp = _WORDS[entry.kind], "", entry.fp
    raw = entry.blob or _digest(entry.output or b"")
    if entry.kind == Kind.CHILD:
        name = _job_of(str((_json(entry.inputs) or [""])[0]))
    elif entry.kind == Kind.ARTIFACT:
        note = _json(entry.output)
        name, raw = note["name"], f"sha256:{note['sha256']}"
    elif entry.kind == Kind.FAILURE:
        note = _json(entry.output)
        raw = _digest(json.dumps(_failure(note)).encode())
        if not entry.code and isinstance(note, dict) and "run" in note:
            what, name = _WORDS[Kind.CHILD], _job_of(str(note["run"]))
    elif entry.kind == Kind.VALUE:
        name = "now()"  # uuid() and random() are the same in every run of a contract
    if entry.inputs and entry.inputs.startswith(b'{"key"'):
        plain = _PLAIN_KEY.match(entry.inputs)
        key = plain[1].decode() if plain else str(_json(entry.inputs).get("key", ""))
    point = Point(
        what, name, key, fp, entry.seq, entry.at, code, raw,
        entry.kind == Kind.FAILURE, not entry.output and entry.blob is None,
    )  # fmt: skip
    return point._replace(fp=_by_name(point)) if entry.kind == Kind.ARTIFACT else point


def _job_of(run: str) -> str:
    """The job in the name of a run."""
    return _REPLICATE.sub(r"\1", run).rpartition("-")[0]


def _end(run: RunRow) -> Point:
    failed = run.error is not None and run.result is None and run.result_blob is None
    if failed:
        raw = _digest(json.dumps(_failure(_json(run.error))).encode())
    else:
        raw = run.result_blob or _digest(run.result or b"")
    at = run.finished or run.updated
    return Point("result", run.job, "", b"result", LAST, at, run.code, raw, failed)


async def output(reader: Reader, blobs: Blobs, run: RunRow, point: Point) -> Any:
    """The output of a point as JSON data or text; MISSING where there is none to show."""
    if point.what == "result":
        if point.failed:
            return _failure(_json(run.error))
        return await _value(blobs, run.result, run.result_blob, False)
    entries = await reader.entries(run.id, (), point.seq - 1, 1)
    if not entries or entries[0].seq != point.seq:
        return MISSING
    entry = entries[0]
    if point.what == "artifact":
        return await asyncio.to_thread(_delivered, _json(entry.output))
    if point.failed:
        return _failure(_json(entry.output))
    return await _value(blobs, entry.output, entry.blob, bool(entry.blob and entry.output))


async def inputs(reader: Reader, run: RunRow, point: Point) -> Any:
    """The arguments of a point, large ones as their digests."""
    entries = await reader.entries(run.id, (), point.seq - 1, 1)
    if not entries or entries[0].seq != point.seq:
        return MISSING
    found = _json(entries[0].inputs)
    if point.what == "child run" and isinstance(found, list):
        return [_REPLICATE.sub(r"\1", str(name)) for name in found]
    return found.get("args") if isinstance(found, dict) else found


async def child(reader: Reader, run: RunRow, point: Point) -> RunRow | None:
    """The run that a "child run" point stands for, if it is still on record."""
    entries = await reader.entries(run.id, (), point.seq - 1, 1)
    if not entries or entries[0].seq != point.seq:
        return None
    names = _json(entries[0].inputs)
    if not isinstance(names, list) or not names:
        return None
    try:
        found = await reader.find(str(names[0]))
    except NotFound:  # it is gone, and several others begin like it
        return None
    return found if found is not None and found.name == names[0] else None


async def _value(blobs: Blobs, data: bytes | None, blob: str | None, raw: bool) -> Any:
    if blob is not None:
        try:
            data = await asyncio.to_thread(blobs.get, blob)
        except BlobError:
            return MISSING
    return _text(data or b"") if raw else _json(data)


def _delivered(note: Any) -> Any:
    """A delivered file, if it is still what was delivered, and not very large."""
    try:
        # What lies there now may be a pipe, which must not be waited for.
        with open(os.open(note["path"], os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            known = os.fstat(file.fileno())
            if not stat.S_ISREG(known.st_mode) or known.st_size > LARGEST:
                return MISSING
            data = file.read(LARGEST + 1)
    except (OSError, ValueError):
        return MISSING
    if sha256_hex(data) != note["sha256"]:
        return MISSING
    if str(note["name"]).endswith(".json"):
        try:
            return json.loads(data)
        except ValueError:
            return _text(data)
    return _text(data)


def _text(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return MISSING


def _json(data: bytes | None) -> Any:
    if not data:
        return None
    try:
        return json.loads(data)
    except ValueError:
        return _text(data)


def _failure(stored: Any) -> Any:
    if isinstance(stored, dict):
        message = stored.get("message")
        if isinstance(message, str):  # a child of a replicate is named like one
            message = _NAMED_REPLICATE.sub(r"\1", message)
        return {"type": stored.get("type"), "message": message}
    return stored


def _digest(data: bytes) -> str:
    return "sha256:" + sha256(data).hexdigest()
