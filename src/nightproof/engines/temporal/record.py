"""What a workflow knows of its run's record: the index that it began with."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any, cast

from nightproof.engines.attempt.ledger import Ledger
from nightproof.engines.temporal.execution import Execution
from nightproof.engines.temporal.messages import (
    RECALL,
    BeginAnswer,
    RecallAnswer,
    StepAnswer,
    change_fp,
)
from nightproof.journal.records import CodeRow, Recorded
from nightproof.model.code import comparable

RECALLED = 500
RECALLED_BYTES = 2 * 1024 * 1024
RECALLED_BLOBS = 32
"""So many outcomes, bytes and blobs come with one recall, at most."""


class _NoLane:
    """A workflow writes nothing itself: activities do."""

    def __init__(self) -> None:
        self.writes: deque[Any] = deque(maxlen=0)


class Record(Ledger):
    """The index by fingerprint, and the code that it was recorded with."""

    def __init__(self, run: Execution, begun: BeginAnswer) -> None:
        super().__init__(
            cast("Any", None), run.host.blobs, cast("Any", _NoLane()), begun["run"]["name"]
        )
        self._run = run
        self._recalled: dict[bytes, StepAnswer] = {}
        self._lost: set[bytes] = set()
        self._long: deque[Recorded] | None = None
        self._recalling = asyncio.Lock()
        self.strict = run.ask["strict"]
        self.damaged = begun.get("damaged", 0)
        self.undone = {bytes.fromhex(fp) for fp in begun.get("undone", ())}
        for fp, seq, kind, code, size, output, blob in begun.get("index", ()):
            mark = bytes.fromhex(fp)
            data = None if output is None else output.encode()
            self.recorded[mark] = Recorded(seq, kind, code, mark, size, data, blob)
        told = begun.get("told", {})
        self.changed.update(told.get("changed", {}))
        self._codes = {
            int(number): CodeRow(int(number), name, digest)
            for number, (name, digest) in begun.get("codes", {}).items()
        }

    def heard(self, what: str, code: str | None, now: str) -> None:
        """An answer came from code of digest `code`, and `now` is here: a replay by new code.

        Raises CodeChanged under strict.
        """
        changed = code is not None and code != now and comparable(code, now)
        if code is not None and changed and (self.strict or what not in self.changed):
            self.code_changed(what, code, now)

    async def recall(self, found: Recorded) -> StepAnswer | None:
        """The outcome that :func:`short` does not have; None where it has to be worked out.

        What was recorded after it comes along: a body mostly asks in the same order again,
        and its history would grow by an activity for each.
        """
        async with self._recalling:
            known = self._recalled.pop(found.fp, None)
            if known is not None or found.fp in self._lost:
                return known
            wanted = self._following(found)
            seqs = [one.seq for one in wanted]
            answer: RecallAnswer = await self._run.asking.ask(
                RECALL, {"seqs": seqs}, f"recall-{found.fp.hex()}", works=False
            )
            marks = {one.seq: one.fp for one in wanted}
            for seq, one in answer["found"]:
                self._recalled[marks.pop(seq)] = one
            self._lost.update(marks.values())
            return self._recalled.pop(found.fp, None)

    def _following(self, found: Recorded) -> list[Recorded]:
        wanted, size, blobs = [found], found.size, int(found.blob is not None)
        if self._long is None:
            long = (one for one in self.recorded.values() if short(one) is None)
            self._long = deque(sorted(long, key=lambda one: one.seq))
        for _ in range(len(self._long)):
            one = self._long[0]
            if one.fp not in self.recorded or one.fp in self._recalled:
                self._long.popleft()
                continue
            size, blobs = size + one.size, blobs + (one.blob is not None)
            if len(wanted) >= RECALLED or size > RECALLED_BYTES or blobs > RECALLED_BLOBS:
                break
            wanted.append(self._long.popleft())
        return wanted

    def take(self, fp: bytes) -> Recorded | None:
        """What is on record of a call, once."""
        return self.recorded.pop(fp, None)

    def note(self, kind: str, data: dict[str, Any]) -> None:
        """Have a line of the log written with the next activity."""
        self._run.note(kind, data)

    def code_changed(self, what: str, before: str, after: str) -> None:
        """As the ledger's; workers notice the same change and write the same line."""
        run, strict = self._run, self.strict
        if strict:
            super().code_changed(what, before, after)  # raises
        self.changed[what] = (before, after)
        told = {"kind": "code-changed", "what": what, "before": before, "after": after}
        text = json.dumps(told, ensure_ascii=False)
        run.asking.event(text, change_fp(run.facts["token"], what, before, after))


def short(found: Recorded | None) -> bytes | None:
    """The whole output, where the index has it; None where only an activity can get it."""
    if found is None or found.blob is not None:
        return None
    if found.output is None:
        return b"" if not found.size else None
    return found.output
