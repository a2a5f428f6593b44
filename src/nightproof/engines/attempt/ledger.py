"""What a run has on record: loaded when an attempt begins, extended as it goes."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from typing import Any

from nightproof.blobs.protocol import Blobs
from nightproof.durable.step import Routine
from nightproof.errors import BlobError, CodeChanged, MisuseError, NightproofError
from nightproof.journal.commit import Committed, Lane
from nightproof.journal.protocol import Journal
from nightproof.journal.records import CodeRow, Entry, Recorded, UseBlob, checksum
from nightproof.model import clock
from nightproof.model.code import comparable
from nightproof.model.fingerprint import fingerprint
from nightproof.model.states import Kind
from nightproof.provenance.seeds import adopt

INLINE = 512
"""Outputs up to this many bytes are loaded at once when a run is resumed."""

_REFS = re.compile(rb'\{"sha256":"(sha256:[0-9a-f]{64})","size":\d+\}')
HIDDEN = 1000
"""So many secrets are remembered, the newest, to keep them out of messages."""
_UNDOES = {int(Kind.RESULT), int(Kind.EFFECT), int(Kind.CHILD)}


def code_id(name: str, digest: str) -> int:
    """The id of a step's code: 48 bits of a hash, so that no look-up is needed."""
    return int.from_bytes(fingerprint(name.encode(), [digest.encode()])[:6], "big")


class Ledger:
    """The recorded entries of one run by fingerprint, and the way to add to them."""

    def __init__(self, journal: Journal, blobs: Blobs, lane: Lane, run_name: str) -> None:
        self.journal = journal
        self.blobs = blobs
        self.lane = lane
        self.run_name = run_name
        self.recorded: dict[bytes, Recorded] = {}
        self.undone: set[bytes] = set()
        self.damaged = 0
        self.used_blobs: list[UseBlob] = []
        self._codes: dict[int, CodeRow] = {}
        self._owners: dict[str, Routine[..., Any]] = {}
        self._ids: dict[int, int] = {}
        self.changed: dict[str, tuple[str, str]] = {}
        self.strict = False

    async def load(self, retry_failures: bool) -> None:
        """Read the run's history; `retry_failures` forgets recorded failures."""
        found, damaged = await self.journal.index(self.lane.run, INLINE)
        self.damaged = len(damaged)
        # Log lines are not replayed, but they have numbers too.
        self.lane.seq = await self.journal.last_seq(self.lane.run)
        recorded = self.recorded
        for item in found:
            kind = item.kind
            if kind == Kind.REOPENED:
                self._reopen()
            elif kind == Kind.UNDONE:
                self.undone.add(item.fp)
            else:
                recorded[item.fp] = item
        if retry_failures:
            self._reopen()
            self.lane.later(self.entry(Kind.REOPENED, b""))
        self._codes = await self.journal.codes({item.code for item in found if item.code})

    def _reopen(self) -> None:
        """From here on failures are tried again, and what was undone is done again."""
        _forget_failures(self.recorded)
        for fp in self.undone:
            self.recorded.pop(fp, None)
        self.undone.clear()

    def entry(
        self,
        kind: int,
        fp: bytes,
        output: bytes | None = None,
        blob: str | None = None,
        inputs: bytes | None = None,
        code: int = 0,
        took: int = 0,
    ) -> Entry:
        """A new entry at the end of the history (not yet written)."""
        lane = self.lane
        return Entry(
            lane.run, lane.next_seq(), kind, code, fp, clock.now_ms(), took, inputs, output,
            blob, checksum(fp, output, blob),
        )  # fmt: skip

    def append(self, entry: Entry) -> Committed:
        """Write `entry` and the blobs used so far; await it to know it is on disk."""
        if self.used_blobs:
            used, self.used_blobs = self.used_blobs, []
            self.lane.writes.extend(used)
        return self.lane.append(entry)

    def append_alone(self, entry: Entry) -> Committed | None:
        """As :meth:`append`; None says that the entry is on disk already."""
        if self.used_blobs:
            return self.append(entry)
        return self.lane.append_alone(entry)

    def refs_are_there(self, data: bytes) -> bool:
        """Whether the blobs that the Refs in a recorded result stand for exist."""
        return all(self.blobs.exists(found.decode()) for found in _REFS.findall(data))

    def note(self, kind: str, data: dict[str, Any]) -> None:
        """Add an informing entry to the history; nobody waits for it."""
        text = json.dumps({"kind": kind, **data}, ensure_ascii=False, default=str)
        self.lane.later(self.entry(Kind.EVENT, b"", text.encode("utf-8", "replace")))

    def know(self, step: Routine[..., Any]) -> int:
        """The id of the step's code; on its first use in this attempt, look for edits.

        Raises MisuseError where two steps share a name, CodeChanged under strict.
        """
        known = self._ids.get(id(step))
        if known is not None:
            return known
        owner = self._owners.setdefault(step.name, step)
        if owner is not step and owner.fn is not step.fn:
            raise MisuseError(
                f"two different functions are steps called '{step.name}'",
                "Give one of them another name: @step(name=...).",
            )
        adopt(step.fn.__globals__)
        if "opentelemetry.sdk.trace" in sys.modules:
            from nightproof.durable import spans  # needs the SDK, which few jobs load

            spans.watch()
        number = self._ids[id(step)] = code_id(step.name, step.code)
        if number not in self._codes:
            row = CodeRow(number, step.name, step.code)
            self._note_edit(row)
            self._codes[number] = row
            self.lane.writes.append(row)
        return number

    def _note_edit(self, row: CodeRow) -> None:
        for before in self._codes.values():
            if before.name == row.name and comparable(before.digest, row.digest):
                self.code_changed(f"step '{row.name}'", before.digest, row.digest)
                return

    def code_changed(self, what: str, before: str, after: str) -> None:
        """Say that code is not what the run recorded; raise CodeChanged under strict."""
        if self.strict:
            raise CodeChanged(
                f"the code of {what} has changed since run {self.run_name} recorded results "
                f"with it ({before} -> {after})",
                "Restore the code, run without --strict to use matching results, or start "
                "afresh with --replicate.",
            )
        self.changed[what] = (before, after)
        self.note("code-changed", {"what": what, "before": before, "after": after})

    def name_of(self, code: int) -> str:
        """The step name behind a code id."""
        row = self._codes.get(code)
        return row.name if row else "?"

    def parameters(self, name: str) -> list[str]:
        """The stored parameters of a step of this attempt, in order."""
        step = self._owners.get(name)
        return step.arguments.names if step is not None else []

    async def whole(self, found: Recorded) -> bytes | None:
        """The output of a recorded entry, from the journal or the blob store.

        None where it is gone or damaged (which is noted): then the step runs again.
        """
        if found.blob is None:
            if found.output is not None:
                return found.output
            if not found.size:
                return b""
            entries = await self.journal.outputs(self.lane.run, [found.seq])
            if found.seq in entries:
                return entries[found.seq].output
            self.lost(found, "its journal entry is damaged")
            return None
        try:
            return await self.read_blob(found.blob)
        except BlobError as error:
            self.lost(found, error.message)
            return None

    def lost(self, found: Recorded, why: str) -> None:
        """Say that a recorded result cannot be used and that its step runs again."""
        what = self.name_of(found.code)
        self.note("result-lost", {"step": what, "message": f"'{what}' runs again: {why}"})

    async def read_blob(self, digest: str) -> bytes:
        """A blob's bytes, read and verified in a thread."""
        from asyncio import to_thread

        return await to_thread(self.blobs.get, digest)

    async def spill(self, data: bytes) -> str:
        """Store a large value outside the journal; its digest."""
        from asyncio import to_thread

        stored = await to_thread(self.blobs.put, data)
        self.used_blobs.append(UseBlob(stored.digest, stored.size))
        return stored.digest

    def put_blob(self, data: bytes) -> tuple[str, int]:
        """Store a value that a Ref refers to; may be called in any thread."""
        stored = self.blobs.put(data)
        self.used_blobs.append(UseBlob(stored.digest, stored.size))
        return stored.digest, stored.size

    def unasked(self) -> Iterable[Recorded]:
        """Recorded results of work that this attempt never asked for."""
        return (item for item in self.recorded.values() if item.kind in _UNDOES)


def _forget_failures(recorded: dict[bytes, Recorded]) -> None:
    for fp in [fp for fp, item in recorded.items() if item.kind == Kind.FAILURE]:
        del recorded[fp]


def failure_output(type_: str, message: str, attempts: list[Any]) -> bytes:
    """The recorded form of a failed step."""
    return json.dumps({"type": type_, "message": message, "attempts": attempts}).encode()


_hidden: dict[str, None] = {}


def hide(text: str) -> None:
    """From now on no message shows `text`: it is the value of a secret step."""
    _hidden.pop(text, None)
    _hidden[text] = None
    if len(_hidden) > HIDDEN:
        del _hidden[next(iter(_hidden))]


def brief(error: BaseException) -> str:
    """An exception's message in one line, without secrets."""
    if isinstance(error, NightproofError):
        text = error.message
    else:
        text = " ".join(str(error).split())[:2000]
    for secret in list(_hidden):  # threads may add to it meanwhile
        text = text.replace(secret, "(secret)")
    # Names of files may hold bytes that are no text; the journal holds only text.
    return text.encode("utf-8", "replace").decode()
